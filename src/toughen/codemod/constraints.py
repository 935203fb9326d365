"""Owns unique keys of Django's models: a constraint in the Meta of a model, and its violation answered as the check in front answers."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.answers import attempts, caught_names, swallowing
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, extend, replace, use, wrap
from toughen.codemod.module import Module, dotted, halt, names_in, scope_of
from toughen.codemod.races import calls_of, copied, ends
from toughen.codemod.refusals import Refusal, declined
from toughen.codemod.transactions import CONFLICT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.codemod.module import FunctionNode

_WRITES = frozenset({"save", "create", "update", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create"})
_FOUND = frozenset({"exists", "first", "last", "count", "filter", "get"})
_LINKS = frozenset({"ForeignKey", "OneToOneField"})
_LONGEST = 4
"""Statements of a refusal that are copied: more of them do something."""


def fields_of(node: ast.ClassDef) -> dict[str, str]:
    """The fields that a model's class declares, by the name of their column in lower case."""
    found: dict[str, str] = {}
    for item in node.body:
        match item:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as call):
                kind = dotted(call.func).rpartition(".")[2]
                if kind.endswith("Field") or kind in _LINKS:
                    named = next((each.value.value for each in call.keywords if each.arg == "db_column" and isinstance(each.value, ast.Constant)), None)
                    found[str(named or (f"{name}_id" if kind in _LINKS else name)).lower()] = name
    return found


@word
def unique_model(module: Module, model: str, fields: Sequence[str], name: str, above: str = "") -> Draft:
    """Declare a unique key of a Django model: a `UniqueConstraint` of these fields among the constraints of its Meta.

    Shapes: a Meta with a list of constraints gets one more; one without gets the list; a model without a Meta gets one behind
    its fields, below `above` (`Base.Meta`) where it inherits one. Refuses keys that are there, and constraints that are put together.
    """
    node = next((item for item in module.classes() if item.name == model), None) or halt(f"{module.file} holds no class {model}")
    listed = ", ".join(module.literal(each) for each in fields)
    prefix, needs = ("models.", Draft(module)) if module.imports.get("models", "").startswith("django.") else ("", use(module, "from django.db.models import UniqueConstraint"))
    text = f"{prefix}UniqueConstraint(fields=[{listed}], name={module.literal(name)})"
    block = f"constraints = [\n    {text},\n]"
    meta = next((item for item in node.body if isinstance(item, ast.ClassDef) and item.name == "Meta"), None)
    if meta is None:
        lines = f"class Meta({above}):" if above else "class Meta:"
        last = next((item for item in reversed(node.body) if isinstance(item, ast.Assign | ast.AnnAssign)), node.body[-1])
        follows = node.body[node.body.index(last) + 1 :]
        gap = "\n" if follows and module.line((last.end_lineno or last.lineno) + 1).strip() else ""
        body = "\n".join("    " + each for each in block.split("\n"))
        draft = after(module, last, f"\n{lines}\n{body}")
        return (draft + after(module, last, gap) if gap else draft) + needs
    known = next((item.value for item in meta.body if isinstance(item, ast.Assign) and "constraints" in map(dotted, item.targets)), None)
    if any(_fields(each) == list(fields) for each in ast.walk(meta)):
        halt(f"{model} has that key already")
    if known is None:
        only = meta.body[0]
        return (replace(module, only, block.replace("\n", f"\n{module.indent(only)}")) if len(meta.body) == 1 and isinstance(only, ast.Pass) else after(module, meta.body[-1], block)) + needs
    if not isinstance(known, ast.List | ast.Tuple):
        halt(f"the constraints of {model} are put together")
    if not known.elts:
        return replace(module, known, f"[{text}]") + needs
    element = known.elts[-1]
    own_line = module.line(element.lineno).strip().startswith(module.segment(element).split("\n")[0])
    return extend(module, element, ("," + module.newline + module.indent(element) if own_line else ", ") + text) + needs


def _fields(node: ast.AST) -> list[str]:
    """The fields of a unique constraint, [] for anything else."""
    if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] != "UniqueConstraint":
        return []
    named = next((each.value for each in node.keywords if each.arg == "fields"), None)
    return [str(each.value) for each in named.elts if isinstance(each, ast.Constant)] if isinstance(named, ast.List | ast.Tuple) else []


@word
def taken_saved(module: Module, line: int, model: str = "", text: str = "Already exists") -> Draft:
    """Answer a violated unique key of the row that the statement at `line` adds as the check in front of it answers.

    Shapes: `M.objects.create(...)`, `row.save()`, `form.save()`, `serializer.save()`, alone or in an assignment or `return`. The
    statement runs in a transaction of its own, so that one around it lives on. The check is an earlier `if` that asks for a row of
    `model` and leaves, or in whose `else` the row is added; else a form takes the error, or 409 is answered in the file's style.
    Refuses: violations that are handled, asynchronous views, and refusals behind which something written would stay.
    """
    statement = module.statement(line)
    function = module.enclosing(statement) or halt("the row is added outside of a function")
    if hasattr(statement, "body"):
        halt(f"{module.file}:{line} is a compound statement, not the write")
    calls = [each for each in calls_of(statement, *_WRITES) if _saves(each)]
    if not calls or isinstance(function, ast.AsyncFunctionDef):
        halt(f"{module.file}:{line} adds no row by a model of Django's" if not calls else f"{function.name} is asynchronous: a transaction of Django's is not")
    handled = {name.rpartition(".")[2] for attempt in attempts(module, statement) for item in attempt.handlers for name in caught_names(item)}
    if handled & {"IntegrityError", "DatabaseError"}:
        halt("a violated key is handled here already")
    block = module.block(statement)
    rest = block[block.index(statement) :]
    refusal, leaves = _check(module, function, statement, model) or _formed(module, function, statement, calls[0], text) or (declined(module, function, CONFLICT, text), True)
    if refusal.raises and swallowing(module, statement) is not None:
        halt("a broad handler around the write would swallow the refusal")
    undone = _undone(module, function, statement, refusal)
    tail = "except IntegrityError:\n" + ("    transaction.set_rollback(True)\n" if undone else "") + refusal.indented
    draft = wrap(module, [statement] if leaves else rest, "try:\n    with transaction.atomic():", tail, steps=2)
    return draft + use(module, "from django.db import IntegrityError, transaction") + refusal.needs(module)


def _saves(call: ast.Call) -> bool:
    """Whether a call writes: `form.save(commit=False)` does not."""
    return not any(each.arg == "commit" and isinstance(each.value, ast.Constant) and each.value.value is False for each in call.keywords)


def _check(module: Module, function: FunctionNode, statement: ast.stmt, model: str) -> tuple[Refusal, bool] | None:
    """What the check in front of a statement does, and whether it leaves the function there."""
    around = [function, *module.ancestors(statement)]
    asked = {name for name, value in _assigned(function, statement.lineno) if _asks(value, model)}
    tests = [item for item in scope_of(function) if isinstance(item, ast.If) and item.lineno < statement.lineno and module.parent(item) in around]
    for item in reversed(tests):
        found = _asks(item.test, model) or (names_in(item.test) & asked)
        inside = any(node is statement for part in item.orelse for node in ast.walk(part))
        within = any(node is statement for part in item.body for node in ast.walk(part))
        if not found or within or _absent(item.test) or len(item.body) > _LONGEST or any(isinstance(each, ast.If | ast.For | ast.While | ast.Try | ast.With) for each in item.body):
            continue
        if ends(item.body):
            return Refusal(copied(module, item.body), (), isinstance(item.body[-1], ast.Raise)), True
        if inside and item.orelse[-1:] == module.block(statement)[-1:]:
            return Refusal(copied(module, item.body), (), raises=False), False
    return None


def _assigned(function: FunctionNode, before: int) -> Iterator[tuple[str, ast.expr]]:
    for node in scope_of(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if node.lineno < before:
                yield name, value
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if node.lineno < before:
                yield name, value


def _asks(node: ast.expr, model: str) -> bool:
    """Whether an expression looks for rows: `M.objects.filter(...).exists()`."""
    asking = any(isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in _FOUND for each in ast.walk(node))
    managed = [dotted(each.value).rpartition(".")[2] for each in ast.walk(node) if isinstance(each, ast.Attribute) and each.attr == "objects"]
    return asking and (model in managed if managed and model else bool(managed) or any(isinstance(each, ast.Attribute) and each.attr.endswith("_set") for each in ast.walk(node)))


def _absent(test: ast.expr) -> bool:
    """`if not row`, `if row is None`: what is refused is that nothing was found."""
    match test:
        case ast.UnaryOp(op=ast.Not()) | ast.Compare(ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None | 0)]):
            return True
        case ast.BoolOp(values=[first, *_]):
            return _absent(first)
    return False


def _formed(module: Module, function: FunctionNode, statement: ast.stmt, call: ast.Call, text: str) -> tuple[Refusal, bool] | None:
    """A form that takes the error and is shown once more; None where no form is saved."""
    names = [each.arg for each in function.args.args]
    if function.name == "form_valid" and names[:1] == ["self"] and len(names) == 2:  # noqa: PLR2004 - self and the form
        return Refusal(f"{names[1]}.add_error(None, {module.literal(text)})\nreturn self.form_invalid({names[1]})"), True
    last = function.body[-1]
    for item in module.ancestors(statement):
        match item:
            case ast.If(test=ast.Call(func=ast.Attribute(value=ast.Name(id=form), attr="is_valid"))) if isinstance(last, ast.Return) and last.value is not None:
                shown = isinstance(last.value, ast.Call) and dotted(last.value.func).rpartition(".")[2] == "render" and form in names_in(last.value)
                whole = module.block(statement) is item.body and not item.orelse
                if shown and whole and form == dotted(call.func).rpartition(".")[0]:
                    return Refusal(f"{form}.add_error(None, {module.literal(text)})"), False
    return None


def _undone(module: Module, function: FunctionNode, statement: ast.stmt, refusal: Refusal) -> bool:
    """Whether what was written before must be rolled back by the refusal; refuses where it would stay."""
    earlier = [each for each in scope_of(function) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in _WRITES and _saves(each) and each.lineno < statement.lineno]
    earlier = [each for each in earlier if dotted(each.func.value) not in {"request.session", "cache"}]  # type: ignore[attr-defined]
    if not earlier:
        return False
    blocks = [item for item in module.ancestors(statement) if isinstance(item, ast.With) and any("atomic" in module.segment(each.context_expr) for each in item.items)]
    whole = any("atomic" in module.segment(each) for each in function.decorator_list)
    if not whole and not (blocks and all(each in set(ast.walk(blocks[-1])) for each in earlier)):
        halt("something is written before the row is added: it would stay where the row is refused")
    return not refusal.raises
