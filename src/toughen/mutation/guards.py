"""Owns what a guard is: checks that refuse, constraints, dependencies, permissions, owners' filters, handlers, time-outs, locks, and boundaries.

Each is switched off by text that is only put around it, so that nothing moves: `if (__toughen__.on(7)) and (amount <= 0):`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.module import DEFINITIONS, Module, dotted, names_in
from toughen.codemod.refusals import refused_value, status_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_CONSTRAINTS = {
    "gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "regex", "min_items", "max_items", "max_digits", "decimal_places",
    "min_value", "max_value", "allow_blank", "allow_null", "validators", "validate", "strict",
}  # fmt: skip
_CONSTRAINED = re.compile(r"(^|\.)(Field|Query|Path|Body|Form|Header|conint|constr|confloat|condecimal|conlist|StringConstraints|\w*Field|Length|Range)$")
_VALIDATORS = re.compile(r"(^|\.)(validator|field_validator|model_validator|root_validator|validates|validates_schema)$")
_KEEPERS = re.compile(
    r"(^|\.)(login_required|auth_required|jwt_required|token_required|admin_required|fresh_login_required|permission_required|permissions_required|roles?_required|roles_accepted|user_passes_test|staff_member_required"
    r"|requires?(_\w+)?|\w+_required|csrf_protect|limit|ratelimit|retry|atomic|transactional|permission_classes|authentication_classes)$"
)
_OWNER = re.compile(r"^(user|owner|author|customer|account|tenant|org|organi[sz]ation|company|created_by|seller|buyer|member)(_?id)?$", re.IGNORECASE)
_ASKER = re.compile(r"\b(current_user|user|me|identity|request|session|g|principal|claims|payload|tenant|account|auth)\b", re.IGNORECASE)
_OWNER_SQL = re.compile(r"\bAND\s+((?:\w+\.)?(?:user|owner|author|customer|account|tenant|org)(?:_id)?\s*=\s*(?:\?|%s|:\w+|\$\d+))", re.IGNORECASE)
_LOCK_SQL = re.compile(r"(\s+FOR\s+(?:NO\s+KEY\s+)?UPDATE)\b", re.IGNORECASE)
_LOCKING = {"with_for_update", "select_for_update"}
_WITHIN = re.compile(r"(^|\.)(atomic|begin|begin_nested|transaction|lock|\w*_lock|Lock|acquire)$")
_PERMISSIONS = {"permission_classes", "authentication_classes", "throttle_classes", "dependencies"}
_FLIPS: dict[type[ast.cmpop], str] = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}
_CALLERS = re.compile(r"^(requests|httpx|aiohttp|urllib|urlopen|session|client|http|smtplib|socket|redis|self)\b|(^|\.)(get|post|put|patch|delete|request|send|urlopen|connect|Client|AsyncClient|ClientSession|SMTP)$")
_LONGEST, _TEXT = 100, 4_000
_REFUSED = range(400, 500)


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard: where it stands, and what is put around it to switch it off; `#` stands for its number."""

    kind: str
    start: int
    """Bytes from which to which the guard goes."""
    end: int
    opening: str
    closing: str
    line: int
    function: str
    text: str
    without: str
    at_import: bool
    """It is asked while its file is imported, once for all tests."""


def guards(module: Module, changed: Collection[int] = ()) -> tuple[Guard, ...]:
    """The guards of a file in the order of its text; boundaries only on the lines that were changed."""
    finder = _Finder(module)
    found = [each for node in ast.walk(module.tree) if not finder.hidden(node) for each in finder.of(node)]
    found += [each for node in ast.walk(module.tree) if isinstance(node, ast.Compare) and node.lineno in changed and not finder.hidden(node) for each in finder.boundary(node)]
    return tuple(sorted({(each.start, each.end, each.kind): each for each in found}.values(), key=lambda each: (each.start, each.end)))


class _Finder:
    def __init__(self, module: Module) -> None:
        self.module = module
        self._within_texts = {id(inner) for node in ast.walk(module.tree) if isinstance(node, ast.JoinedStr) for inner in ast.walk(node) if inner is not node}

    def hidden(self, node: ast.AST) -> bool:
        """Whether a node's place is not known: it stands within an f-string."""
        return id(node) in self._within_texts

    def of(self, node: ast.AST) -> Iterator[Guard]:
        """The guards that a node is."""
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                if _refuses(body):
                    yield self._around("refusal", test, f"{_ON} and (", ")", f"`{self._said(test)}` is never true")
                elif orelse and not isinstance(orelse[0], ast.If) and _refuses(orelse):
                    yield self._around("refusal", test, "(not " + _ON + ") or (", ")", f"`{self._said(test)}` is always true")
            case ast.Call(func=func, keywords=keywords):
                yield from self._call(node, dotted(func), keywords)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from self._decorators(node)
                if not isinstance(node, ast.ClassDef):
                    yield from self._dependencies(node)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=elements) | ast.Tuple(elts=elements)) if name in _PERMISSIONS and len(elements) > 0:
                yield from (self._listed("permission", each) for each in elements)
            case ast.ExceptHandler(type=ast.expr() as caught) if not _only_raises(node.body):
                yield self._around("handler", caught, f"{_CALL}caught(#, ", ")", f"`except {self._said(caught)}` catches nothing")
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for each in items:
                    name = dotted(each.context_expr.func if isinstance(each.context_expr, ast.Call) else each.context_expr)
                    if _WITHIN.search(name) and each.optional_vars is None and not any(isinstance(inner, ast.Await) for inner in ast.walk(each.context_expr)):
                        kind = "lock" if "lock" in name.lower() else "transaction"
                        yield self._around(kind, each.context_expr, f"{_CALL}within(#, lambda: ", ")", f"`with {self._said(each.context_expr)}` holds nothing")
            case ast.Constant(value=str() as text) if len(text) <= _TEXT and not self._is_doc(node):
                yield from self._statement(node, text)

    def boundary(self, node: ast.Compare) -> Iterator[Guard]:
        """A comparison that is one off."""
        flip = _FLIPS.get(type(node.ops[0])) if len(node.ops) == 1 else None
        if flip is None:
            return
        one, other = self.module.segment(node.left), self.module.segment(node.comparators[0])
        if "\n" in one + other:
            return
        yield self._around("boundary", node, f"((({one}) {flip} ({other})) if not {_ON} else ", ")", f"`{self._said(node)}` is one off: {flip}")

    def _call(self, node: ast.Call, name: str, keywords: list[ast.keyword]) -> Iterator[Guard]:
        for each in keywords:
            if each.arg is None:
                continue
            if each.arg in _CONSTRAINTS and _CONSTRAINED.search(name) and not (isinstance(each.value, ast.Constant) and (each.value.value is None or each.value.value is False)):
                yield self._keyword("constraint", each, f"{name.rpartition('.')[2]} without `{self._said(each.value, each.arg)}`")
            elif each.arg == "timeout" and _CALLERS.search(name) and not (isinstance(each.value, ast.Constant) and each.value.value is None):
                yield self._keyword("timeout", each, "the call waits for ever")
            elif each.arg == "with_for_update" and isinstance(each.value, ast.Constant) and each.value.value is True:
                yield self._keyword("lock", each, "the row is not locked")
            elif each.arg == "dependencies" and isinstance(each.value, ast.List):
                yield from (self._listed("dependency", inner) for inner in each.value.elts)
        # A chain of calls has no dotted name.
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name
        if last in _LOCKING and isinstance(node.func, ast.Attribute):
            yield self._around("lock", node, f"{_CALL}unlocked(#, ", ")", f"without `.{last}()`")
        if last in {"filter", "where", "filter_by", "exclude", "get", "get_object_or_404", "first_or_404"}:
            yield from self._owners(node, last)

    def _owners(self, node: ast.Call, last: str) -> Iterator[Guard]:
        for each in node.args:
            if isinstance(each, ast.Compare) and len(each.ops) == 1 and isinstance(each.ops[0], ast.Eq) and last in {"filter", "where"}:
                sides = (each.left, each.comparators[0])
                if any(_OWNER.search(dotted(side).rpartition(".")[2]) for side in sides) and any(_ASKER.search(self.module.segment(side)) for side in sides) and len(node.args) + len(node.keywords) > 0:
                    yield self._listed("owner", each)
        for keyword in node.keywords:
            if keyword.arg and _OWNER.search(keyword.arg) and _ASKER.search(self.module.segment(keyword.value)) and last != "exclude":
                yield self._keyword("owner", keyword, f"rows of everybody, without `{self._said(keyword.value, keyword.arg)}`")

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[Guard]:
        for each in node.decorator_list:
            name = dotted(each.func if isinstance(each, ast.Call) else each)
            if _VALIDATORS.search(name):
                yield self._around("constraint", each, f"{_CALL}worn(#, ", ")", f"without `@{self._said(each)}`")
            elif _KEEPERS.search(name):
                yield self._around("decorator", each, f"{_CALL}worn(#, ", ")", f"without `@{self._said(each)}`")

    def _dependencies(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Guard]:
        """Dependencies whose value nobody reads: they are there to refuse."""
        arguments = node.args
        plain = [*arguments.posonlyargs, *arguments.args]
        given = [*zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
        read = {name for statement in node.body for name in names_in(statement)}
        for argument, default in given:
            match default:
                case ast.Call(func=func, args=[wanted, *_]) if dotted(func).rpartition(".")[2] in {"Depends", "Security"} and argument.arg not in read:
                    yield self._around("dependency", wanted, f"{_CALL}asked(#, ", ")", f"nobody asks `{self._said(wanted)}`")

    def _statement(self, node: ast.Constant, text: str) -> Iterator[Guard]:
        """An owner's condition, or a lock, in a statement's text."""
        source = self.module.segment(node)
        if not re.match(r"\s*(SELECT|UPDATE|DELETE|BEGIN)\b", text, re.IGNORECASE):
            return
        owner, lock = _OWNER_SQL.search(source), _LOCK_SQL.search(source)
        if owner is not None and source.count(owner.group(1)) == 1:
            yield self._around("owner", node, f"{_CALL}said(#, ", f", {owner.group(1)!r}, {f'({owner.group(1)} OR 1 = 1)'!r})", f"rows of everybody: `{owner.group(1)}` is always true")
        if lock is not None:
            yield self._around("lock", node, f"{_CALL}said(#, ", f", {lock.group(1)!r}, '')", "the row is not locked")
        if re.match(r"\s*BEGIN\s+(IMMEDIATE|EXCLUSIVE)\s*;?\s*$", text, re.IGNORECASE):
            yield self._around("lock", node, f"{_CALL}said(#, ", f", {text.split()[1]!r}, '')", "the transaction takes no write lock")

    # -- how it is put -----------------------------------------------------------------------------------------------------

    def _around(self, kind: str, node: ast.AST, opening: str, closing: str, without: str) -> Guard:
        span = self.module.span(node)
        return Guard(kind, span.start, span.end, opening, closing, node.lineno, self._function(node), self._said(node), without, self._at_import(node))  # type: ignore[attr-defined]

    def _keyword(self, kind: str, node: ast.keyword, without: str) -> Guard:
        span = self.module.span(node)
        return Guard(kind, span.start, span.end, f"**{_CALL}kept(#, ", ")", node.lineno, self._function(node), self._said(node.value, node.arg or ""), without, self._at_import(node))

    def _listed(self, kind: str, node: ast.expr) -> Guard:
        return self._around(kind, node, f"*{_CALL}listed(#, ", ")", f"without `{self._said(node)}`")

    def _said(self, node: ast.AST, name: str = "") -> str:
        flat = " ".join(self.module.segment(node).split())
        said = f"{name}={flat}" if name else flat
        return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"

    def _function(self, node: ast.AST) -> str:
        above = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else self.module.enclosing(node)
        if above is not None:
            return self.module.qualified(above)
        home = next((each for each in self.module.ancestors(node) if isinstance(each, ast.ClassDef)), None)
        return self.module.qualified(home) if home is not None else ""

    def _at_import(self, node: ast.AST) -> bool:
        """Whether no body of a function holds it; decorators and defaults belong to what is around their function."""
        below = node
        for above in self.module.ancestors(node):
            if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and (isinstance(above, ast.Lambda) or below in above.body):
                return False
            below = above
        return True

    def _is_doc(self, node: ast.Constant) -> bool:
        above = self.module.parent(node)
        return isinstance(above, ast.Expr) and isinstance(self.module.parent(above), (*DEFINITIONS, ast.Module))


_CALL = "__toughen__."
"""The switch, among the builtins (lab/agent/switch.py)."""
_ON = f"{_CALL}on(#)"


def _refuses(body: list[ast.stmt]) -> bool:
    """Whether a branch turns the request away: its last statement answers 4xx, aborts, or raises something."""
    last = body[-1]
    if isinstance(last, ast.Raise):
        return last.exc is not None
    value = refused_value(last)
    return value is not None and (_answers_4xx(value) or (isinstance(last, ast.Expr) and isinstance(value, ast.Call)))


def _answers_4xx(value: ast.expr) -> bool:
    return any(status in _REFUSED for node in ast.walk(value) if isinstance(node, ast.expr) and (status := status_of(node)) is not None)


def _only_raises(body: list[ast.stmt]) -> bool:
    """`except X: raise`: it guards nothing."""
    return len(body) == 1 and isinstance(body[0], ast.Raise) and body[0].exc is None
