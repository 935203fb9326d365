"""Owns mends over Django's models: conditional updates in the database, locked reads, and one transaction around a function."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.answers import swallowing
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import decorate, layout, remove, replace, use
from toughen.codemod.module import Module, dotted, halt, names_in, own, scope_of
from toughen.codemod.races import Step, alternatives, copied, ends, step_at
from toughen.codemod.statements import single_assignment

if TYPE_CHECKING:
    from toughen.codemod.module import FunctionNode

_REFUSED: dict[type[ast.cmpop], str] = {ast.Lt: "gte", ast.LtE: "gt", ast.Gt: "lte", ast.GtE: "lt"}
"""What must hold where the test of a refusal does not."""
_ALLOWED: dict[type[ast.cmpop], str] = {ast.Lt: "lt", ast.LtE: "lte", ast.Gt: "gt", ast.GtE: "gte"}
_MIRRORED = {"gte": "lte", "gt": "lt", "lte": "gte", "lt": "gt"}
_WRITES = frozenset({"save", "create", "update", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create"})
_F = "from django.db.models import F"
_UNSEEN = "The step is one UPDATE now: signals, `save()` of the model and `auto_now` fields do not see it."


@word
def claim_saved(module: Module, line: int) -> Draft:
    """Take from a counter and check it in one conditional UPDATE, refused as the check in front of it refuses.

    Shapes: `row.c -= n` (or `+`, or `row.c = row.c - n`) at `line` with one `row.save()` behind it, where `row` was
    loaded from a model in this function or is `self`, and an earlier `if row.c < n: <refusal>` (also one of several
    conditions joined by `or`, or the step inside `if row.c >= n: ... else: <refusal>`). Refuses: rows without a known
    model, no check, other writes between the check and the step, a second save of the row, and refusals that a broad
    handler around would swallow.
    """
    found, function, model = _found(module, line)
    check, lookup, body = _check(module, function, found) or halt(f"no check of {found.row}.{found.column} precedes the step")
    if any(isinstance(item, ast.Raise) for item in body) and swallowing(module, found.statement) is not None:
        halt("a broad handler around the step would swallow the refusal")
    between = [
        item for item in scope_of(function)
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr in _WRITES and check.lineno < item.lineno < found.statement.lineno
    ]  # fmt: skip
    if between:
        halt("something is written between the check and the step: it would stay where the step is refused")
    refusal = "\n".join("    " + item if item.strip() else item for item in copied(module, body).split("\n"))
    update = f"{model}.objects.filter(pk={found.row}.pk, {lookup}).update({found.column}={_computed(module, found)})"
    return _saved(module, function, found, f"if not {update}:\n{refusal}")


@word
def step_saved(module: Module, line: int) -> Draft:
    """Let the database compute a step: `row.c += n; row.save()` becomes one UPDATE with `F("c") + n`; nothing is checked.

    Shapes and refusals as in `claim_saved`, without a check.
    """
    found, function, model = _found(module, line)
    return _saved(module, function, found, f"{model}.objects.filter(pk={found.row}.pk).update({found.column}={_computed(module, found)})")


@word
def lock_saved(module: Module, line: int) -> Draft:
    """Lock the row that the statement at `line` loads until the transaction ends; the function becomes one transaction where it is none.

    Shapes: `M.objects.get(...)`, `M.objects.filter(...).first()`, `get_object_or_404(M, ...)`. For servers only: SQLite has no such lock.
    Refuses: reads that are locked already, and functions that commit in parts.
    """
    statement = module.statement(line)
    function = module.enclosing(statement) or halt("the read stands outside of a function")
    managers = [node for node in own(statement) if isinstance(node, ast.Attribute) and node.attr == "objects" and _is_model(node.value)]
    found = [node for node in own(statement) if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "get_object_or_404" and node.args and _is_model(node.args[0])]
    if len(managers) + len(found) != 1:
        halt(f"{module.file}:{line} holds {len(managers) + len(found)} loads of a model, not one")
    if any(isinstance(node, ast.Attribute) and node.attr == "select_for_update" for node in ast.walk(function)):
        halt("the function locks a row already")
    loaded = managers[0] if managers else found[0].args[0]
    ending = ".select_for_update()" if managers else ".objects.select_for_update()"
    draft = replace(module, loaded, module.segment(loaded) + ending)
    blocks = [node for node in ast.walk(function) if isinstance(node, ast.With) and any("atomic" in module.segment(item.context_expr) for item in node.items)]
    if any(loaded in ast.walk(node) for node in blocks) or any("atomic" in module.segment(node) for node in function.decorator_list):
        return draft.note("SQLite ignores the lock.")
    if blocks:
        halt("the row is read outside of the transaction that the function begins")
    return (draft + decorate(module, function, "transaction.atomic") + use(module, "from django.db import transaction")).note("SQLite ignores the lock.")


@word
def whole(module: Module, function: str) -> Draft:
    """Make a function one transaction of Django's: what it writes is there as a whole, or not at all.

    Refuses: asynchronous functions, and those that begin a transaction themselves.
    """
    node = module.function(function)
    if isinstance(node, ast.AsyncFunctionDef):
        halt(f"{node.name} is asynchronous: a transaction of Django's is not")
    if any(isinstance(item, ast.Attribute | ast.Name) and dotted(item).rpartition(".")[2] in {"atomic", "on_commit", "set_autocommit"} for item in ast.walk(node)):
        halt(f"{node.name} begins a transaction itself")
    return decorate(module, node, "transaction.atomic") + use(module, "from django.db import transaction")


def _found(module: Module, line: int) -> tuple[Step, FunctionNode, str]:
    found = step_at(module, line)
    function = module.enclosing(found.statement) or halt("the step stands outside of a function")
    return found, function, _model(module, found)


def _model(module: Module, found: Step) -> str:
    """Text of the model of a row: from its one load, or `type(self)` in a method of a model."""
    if found.row == "self" and any(isinstance(item, ast.ClassDef) and any(dotted(base).rpartition(".")[2] in {"Model", "AbstractUser"} for base in item.bases) for item in module.ancestors(found.statement)):
        return "type(self)"
    assigned = single_assignment(module, found.statement, found.row)
    for node in own(assigned[0]) if assigned else ():
        match node:
            case ast.Attribute(value=value, attr="objects") if _is_model(value):
                return module.segment(value)
            case ast.Call(func=func, args=[first, *_]) if dotted(func).rpartition(".")[2] == "get_object_or_404":
                model = first.value if isinstance(first, ast.Attribute) and first.attr == "objects" else first
                if _is_model(model):
                    return module.segment(model)
    return halt(f"the model of `{found.row}` is unknown here")


def _is_model(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2][:1].isupper()


def _check(module: Module, function: FunctionNode, found: Step) -> tuple[ast.If, str, list[ast.stmt]] | None:
    """(the check, the lookup that must hold, the refusal's statements)."""
    for item in reversed([node for node in scope_of(function) if isinstance(node, ast.If)]):
        inside = any(node is found.statement for part in item.body for node in ast.walk(part))
        refusal = item.orelse if inside else item.body
        if not refusal or not ends(refusal) or (not inside and item.lineno >= found.statement.lineno):
            continue
        for test in alternatives(item.test, ast.And if inside else ast.Or):
            lookup = _lookup(module, test, found, _ALLOWED if inside else _REFUSED)
            if lookup:
                return item, lookup, refusal
    return None


def _lookup(module: Module, test: ast.expr, found: Step, signs: dict[type[ast.cmpop], str]) -> str:
    own_column = f"{found.row}.{found.column}"
    match test:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in signs:
            sign = signs[type(operator)]
            value = right if dotted(left) == own_column else left if dotted(right) == own_column else None
            if value is None or found.row in names_in(value):
                return ""
            return f"{found.column}__{sign if value is right else _MIRRORED[sign]}={module.segment(value)}"
        case ast.UnaryOp(op=ast.Not(), operand=operand) if signs is _REFUSED and dotted(operand) == own_column and found.sign == "-":
            return f"{found.column}__gt=0"
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=0)]) if signs is _REFUSED and dotted(left) == own_column and found.sign == "-":
            return f"{found.column}__gt=0"
    return ""


def _computed(module: Module, found: Step) -> str:
    amount = module.segment(found.amount)
    amount = f"({amount})" if isinstance(found.amount, (ast.BinOp, ast.IfExp, ast.BoolOp)) else amount
    return f'F("{found.column}") {found.sign} {amount}'


def _saved(module: Module, function: FunctionNode, found: Step, lines: str) -> Draft:
    """The lines in the place of the step, and of its save what else it writes."""
    saves = [
        item for item in scope_of(function)
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr == "save" and dotted(item.func.value) == found.row
    ]  # fmt: skip
    if len(saves) != 1 or saves[0].lineno <= found.statement.lineno or not isinstance(module.parent(saves[0]), ast.Expr):
        halt(f"`{found.row}` is not saved once, behind the step")
    save = saves[0]
    written = dict.fromkeys(item.attr for item in scope_of(function) if isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Store) and dotted(item.value) == found.row)
    if save.args or save.keywords:
        named = save.keywords[0].value if len(save.keywords) == 1 and save.keywords[0].arg == "update_fields" and not save.args else None
        if not isinstance(named, ast.List | ast.Tuple) or not all(isinstance(item, ast.Constant) and isinstance(item.value, str) for item in named.elts):
            halt("what the save writes is not known")
        written = dict.fromkeys(str(item.value) for item in named.elts if isinstance(item, ast.Constant))
    others = [name for name in written if name != found.column]
    if any(isinstance(item, ast.Name) and item.id == found.row and (item.lineno, item.col_offset) > (save.lineno, save.col_offset) for item in ast.walk(function)) or found.row == "self":
        lines += f'\n{found.row}.refresh_from_db(fields=["{found.column}"])'
    statement = module.statement_of(save)
    listed = ", ".join(f'"{name}"' for name in others)
    rest = replace(module, save, f"{found.row}.save(update_fields=[{listed}])") if others else remove(module, statement)
    return (replace(module, found.statement, layout(module, lines, module.indent(found.statement)).lstrip()) + rest + use(module, _F)).note(_UNSEEN)
