"""Owns guards: dependencies, decorators, hooks and inline tests that ask who is calling, or what the caller may do."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Guard
from toughen.model.source import Location
from toughen.survey.asked import roles_in, roles_of, unique
from toughen.survey.facts import HOOK_DECORATORS, ROUTE_DECORATORS, dotted
from toughen.survey.fastapi import dependency_function, target_of
from toughen.survey.project import Function, Project, Symbol, source
from toughen.survey.refusals import FORBIDDEN, UNAUTHORIZED, denials, refuses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SCHEMES: Final = re.compile(r"^(?:OAuth2\w*|HTTPBearer|HTTPBasic|HTTPDigest|APIKey\w+|OpenIdConnect)$")
_KNOWN: Final = re.compile(
    r"login_required|jwt_required|auth_required|token_required|fresh_login_required|roles?_(?:required|accepted)"
    r"|permissions?_required|requires_auth|jwt_refresh_token_required|fresh_jwt_required|admin_required"
    r"|^user_passes_test$|^staff_member_required$"
    r"|^authenticate$|^authorize$|^requires$|^protected$"
)
_GLOBAL: Final = re.compile(r"^session$|current_user|auth|identity|jwt|claims|principal|^g$|token", re.IGNORECASE)
"""Names that the module or its imports bind and that hold the caller."""
_CALLER: Final = re.compile(r"^(?:current_)?(?:user|identity|claims|admin|account|principal)$|^current_\w+$|^jwt_\w+$")
"""Arguments that a decorator of the project hands over."""
_ASKING: Final = re.compile(
    r"current_user|get_(?:user|identity)_from|identity|get_jwt|claims|(?:verify|decode|check|validate)_?(?:access_?)?token"
    r"|token_valid|is_admin|check_(?:auth|perm)|authenticated|has_(?:role|perm)|verify_(?:jwt|auth|session)|require"
)
_NO_IDENTITY: Final = re.compile(r"csrf|captcha|state$|nonce|otp|cart|lang", re.IGNORECASE)
_MAKES: Final = re.compile(
    r"(?:create|generate|make|issue|encode|new|sign)_?\w*(?:token|jwt)|jwt\.encode", re.IGNORECASE
)
_DEEPEST: Final = 6


def is_hook(heads: Iterable[str]) -> bool:
    """Whether these decorators put a function in front of every handler."""
    return any(head.rpartition(".")[2] in HOOK_DECORATORS for head in heads)


def place(project: Project, symbol: Symbol) -> Location:
    """Where a function is defined."""
    definition = project.definition(symbol)
    return Location(symbol.file, definition.line if definition else 0, symbol.name)


# -- dependencies --------------------------------------------------------------------------------------------


def dependency_guards(project: Project, dependencies: Iterable[tuple[str, ast.expr]]) -> list[Guard]:
    """Guards among FastAPI dependencies; a bare security scheme counts only where nothing else guards."""
    found: list[Guard] = []
    schemes: list[Guard] = []
    for file, node in dependencies:
        pair = dependency_function(project, file, node)
        roles = _given(project, file, node)
        if pair is not None:
            symbol, function = pair
            asked = _asking(project, symbol, function)
            if asked is not None:
                name = dotted(node.func if isinstance(node, ast.Call) else node) or source(node)
                found.append(Guard("dependency", name, place(project, symbol), unique((*roles, *asked))))
        elif scheme := scheme_of(project, file, node):
            schemes.append(scheme)
        elif _library_user(project, file, node):
            found.append(Guard("dependency", source(node), Location(file, node.lineno), ()))
    return _distinct(found or schemes)


def _asking(project: Project, symbol: Symbol, function: Function) -> tuple[str, ...] | None:
    """Roles that a function in front of a handler asks for; None where it refuses nobody. Hundreds of routes share a few."""
    if symbol not in project.asking:
        guards = denials(function.body) or _security(function) or _calls_guard(project, symbol, function)
        project.asking[symbol] = roles_in(project, symbol.file, function) if guards else None
    return project.asking[symbol]


def _given(project: Project, file: str, node: ast.expr) -> tuple[str, ...]:
    """Literals that a dependency was made with, in place or where its name is bound."""
    if isinstance(node, ast.Call):
        return _literals(project, file, node)
    found = project.resolve(file, dotted(node)) if dotted(node) else ""
    value = project.value(found) if isinstance(found, Symbol) else None
    return _literals(project, found.file, value) if isinstance(found, Symbol) and isinstance(value, ast.Call) else ()


def scheme_of(project: Project, file: str, node: ast.expr) -> Guard | None:
    """`oauth2_scheme = OAuth2PasswordBearer(...)` is a scheme unless it lets the anonymous through."""
    found = target_of(project, file, node)
    value: ast.expr | None = node if isinstance(node, ast.Call) else None
    where = Location(file, getattr(node, "lineno", 0))
    if isinstance(found, Symbol):
        value = project.value(found)
        where = Location(found.file, getattr(value, "lineno", 0))
    if not isinstance(value, ast.Call) or not _SCHEMES.match(dotted(value.func).rpartition(".")[2]):
        return None
    for each in value.keywords:
        if each.arg == "auto_error" and isinstance(each.value, ast.Constant) and each.value.value is False:
            return None
    return Guard("scheme", dotted(node) or source(node), where)


def _library_user(project: Project, file: str, node: ast.expr) -> bool:
    """`fastapi_users.current_user(...)`, bound to a name or called in place."""
    found = target_of(project, file, node)
    value = project.value(found) if isinstance(found, Symbol) else node
    return isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in {"current_user", "get_current_user"}


def _security(function: Function) -> bool:
    names = [each for each in (*function.args.defaults, *function.args.kw_defaults) if isinstance(each, ast.Call)]
    return any(dotted(each.func).rpartition(".")[2] == "Security" for each in names)


def _calls_guard(project: Project, symbol: Symbol, function: Function, depth: int = 0) -> bool:
    """Whether a function calls one of the project's that raises 401 or 403."""
    if depth > 3:  # noqa: PLR2004 - refusals further away are not seen as guards
        return False
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            found = project.resolve(symbol.file, name, symbol.name)
            if isinstance(found, Symbol) and found != symbol and (inner := project.function(found)) is not None:
                raised = [each for each in denials(inner.body) if not isinstance(each.node, ast.Return)]
                if raised or _calls_guard(project, found, inner, depth + 1):
                    return True
    return False


def fact_guards(project: Project, dependencies: list[tuple[str, Location, tuple[str, ...], str]]) -> list[Guard]:
    """Guards among the dependencies that the framework itself names: (name, location, roles, kind)."""
    found: list[Guard] = []
    schemes: list[Guard] = []
    for name, where, roles, kind in dependencies:
        if kind == "scheme":
            schemes.append(Guard("scheme", name, where, roles))
            continue
        function, symbol = _function_at(project, where)
        if function is None or symbol is None:
            continue
        asked = _asking(project, symbol, function)
        if asked is not None:
            shown = name.partition(".<locals>")[0].removesuffix(".__call__")
            found.append(Guard("dependency", shown, place(project, symbol), unique((*roles, *asked))))
    return _distinct(found or schemes)


def _function_at(project: Project, where: Location) -> tuple[Function | None, Symbol | None]:
    facts = project.facts.get(where.file)
    for each in facts.definitions if facts else ():
        if each.line == where.line:
            symbol = Symbol(where.file, each.name)
            if each.kind == "class":
                symbol = Symbol(where.file, f"{each.name}.__call__")
                if project.function(symbol) is None:
                    symbol = Symbol(where.file, f"{each.name}.__init__")
            return project.function(symbol), symbol
    return None, None


# -- decorators ----------------------------------------------------------------------------------------------


def decorator_guards(project: Project, file: str, scope: str, nodes: Iterable[ast.expr]) -> list[Guard]:
    """Guards among the decorators of a handler, or the functions that wrap it."""
    found: list[Guard] = []
    for node in nodes:
        call = node if isinstance(node, ast.Call) else None
        name = dotted(call.func if call else node)
        if not name or name.rpartition(".")[2] in ROUTE_DECORATORS:
            continue
        target = project.resolve(file, name, scope)
        symbol = target if isinstance(target, Symbol) else None
        function = project.function(symbol) if symbol else None
        literals = _literals(project, file, call) if call else ()
        if function is not None and symbol is not None:
            if denials(function.body) or _calls_guard(project, symbol, function):
                roles = unique((*literals, *roles_in(project, symbol.file, function)))
                found.append(Guard("decorator", name, place(project, symbol), roles))
        elif _KNOWN.search(name.rpartition(".")[2]) and not _optional(call):
            shown = name
            if name.rpartition(".")[2] == "authenticate" and call and call.args:
                shown = f"{name}({source(call.args[0])})"
            found.append(Guard("decorator", shown, Location(file, node.lineno, scope or None), literals))
    return _distinct(found)


def _optional(call: ast.Call | None) -> bool:
    return call is not None and any(
        each.arg in {"optional", "locations"} and isinstance(each.value, ast.Constant) and each.value.value is True
        for each in call.keywords
    )


def _literals(project: Project, file: str, call: ast.Call) -> tuple[str, ...]:
    """Role literals given to a factory: strings, lists of strings, enum members."""
    found: list[str] = []
    for node in (
        *call.args,
        *(each.value for each in call.keywords if each.arg not in {"optional", "fresh", "scheme"}),
    ):
        value = project.fold(node, file)
        found.extend(each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
    return unique(found)


# -- inline --------------------------------------------------------------------------------------------------


def inline_guards(project: Project, symbol: Symbol, identities: Iterable[str] = ()) -> list[Guard]:
    """Tests in a handler that refuse by 401, 403 or a redirect to log-in, and ask about the caller.

    `identities` names arguments that hold the caller. A wrong password is no guard: it asks about the request.
    """
    node = project.function(symbol)
    if node is None:
        return []
    return _distinct(list(_Inline(project, symbol, node, set(identities)).guards()))


class _Inline:
    """One pass over a handler; `tainted` names hold something of the caller."""

    def __init__(self, project: Project, symbol: Symbol, node: Function, identities: set[str]) -> None:
        self.project = project
        self.symbol = symbol
        self.node = node
        self.tainted = identities
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        self.local = {each.arg for each in arguments} | {
            each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        }
        plain = {"login_required"} | ROUTE_DECORATORS
        heads = (dotted(each.func if isinstance(each, ast.Call) else each) for each in node.decorator_list)
        if any(head and head.rpartition(".")[2] not in plain for head in heads):
            self.tainted |= {each.arg for each in arguments if _CALLER.search(each.arg)}

    def guards(self) -> Iterator[Guard]:
        yield from self.block(self.node.body, 0)

    def block(self, body: list[ast.stmt], depth: int) -> Iterator[Guard]:
        if depth > 12:  # noqa: PLR2004 - deeper nesting is hostile
            return
        for node in body:
            match node:
                case ast.Assign() | ast.AnnAssign():
                    yield from self.calls(node)
                    value = node.value
                    made = value is not None and _MAKES.search(ast.unparse(value))
                    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                        names = {each.id for each in ast.walk(target) if isinstance(each, ast.Name)}
                        if value is not None and not made and self.asks(value):
                            self.tainted |= names
                        elif not isinstance(target, ast.Subscript | ast.Attribute):
                            self.tainted -= names
                case ast.If(test=test, body=inner, orelse=orelse):
                    denied = self.denied(inner)
                    otherwise = self.denied(orelse)
                    if (denied or otherwise) and self.asks(test) and not _NO_IDENTITY.search(ast.unparse(test)):
                        roles = roles_of(self.project, self.symbol.file, [test])
                        where = Location(self.symbol.file, node.lineno, self.symbol.name)
                        yield Guard("inline", source(test), where, roles)
                    yield from self.block(inner, depth + 1)
                    yield from self.block(orelse, depth + 1)
                case ast.Try():
                    yield from self.block(node.body, depth + 1)
                    decodes = any(self.asks(each) for each in _expressions(node.body))
                    for handler in node.handlers:
                        if self.denied(handler.body) and decodes and not self.makes(node.body):
                            where = Location(self.symbol.file, node.lineno, self.symbol.name)
                            name = f"except {source(handler.type)}" if handler.type else "except"
                            yield Guard("inline", name, where)
                    yield from self.block(node.orelse, depth + 1)
                    yield from self.block(node.finalbody, depth + 1)
                case ast.With(body=inner) | ast.AsyncWith(body=inner) | ast.For(body=inner) | ast.While(body=inner):
                    yield from self.block(inner, depth + 1)
                case ast.Expr():
                    yield from self.calls(node)

    def makes(self, body: list[ast.stmt]) -> bool:
        return any(_MAKES.search(ast.unparse(each)) for each in body)

    def denied(self, body: list[ast.stmt]) -> bool:
        return any(
            (refusal := refuses(each)) is not None and refusal.status in {UNAUTHORIZED, FORBIDDEN, 302} for each in body
        )

    def calls(self, statement: ast.stmt) -> Iterator[Guard]:
        """Calls of the project's own functions that raise 401 or 403."""
        for node in ast.walk(statement):
            if not isinstance(node, ast.Call) or not (name := dotted(node.func)):
                continue
            found = self.project.resolve(self.symbol.file, name, self.symbol.name)
            function = self.project.function(found) if isinstance(found, Symbol) else None
            if function is None or not isinstance(found, Symbol):
                continue
            raised = [each for each in denials(function.body) if not isinstance(each.node, ast.Return)]
            if raised and (self.asks(node) or _asks_itself(function)):
                yield Guard(
                    "inline", name, Location(self.symbol.file, node.lineno, self.symbol.name),
                    unique((*_literals(self.project, self.symbol.file, node),
                             *roles_in(self.project, found.file, function))),
                )  # fmt: skip

    def asks(self, node: ast.expr) -> bool:
        """Whether an expression speaks of the caller: session, header, cookie, or a name that came from one."""
        match node:
            case ast.Call(func=ast.Attribute(attr="get" | "pop", value=owner), args=[first, *_]) if self.local & _names(
                owner
            ):
                # A default taken from a cookie does not make a field of the body a credential.
                return self.asks(owner) or self.asks(first)
            case ast.Name(id=name):
                return name in self.tainted or (name not in self.local and bool(_GLOBAL.search(name)))
            case ast.Attribute(attr=attr, value=owner):
                if attr in {"is_authenticated", "current_user", "is_anonymous", "headers", "cookies", "authorization"}:
                    return (
                        not isinstance(owner, ast.Name) or owner.id not in self.local or owner.id in {"request", "req"}
                    )
                return self.asks(owner)
            case (
                ast.Subscript(value=owner, slice=index) | ast.Call(func=ast.Attribute(value=owner), args=[index, *_])
            ) if isinstance(index, ast.Constant) and isinstance(index.value, str) and _NO_IDENTITY.search(index.value):
                del owner
                return False
            case ast.Call(func=func):
                name = dotted(func)
                last = name.rpartition(".")[2]
                if name.partition(".")[0] not in self.local and _ASKING.search(last):
                    return True
        inner = (each.value if isinstance(each, ast.keyword) else each for each in ast.iter_child_nodes(node))
        return any(self.asks(each) for each in inner if isinstance(each, ast.expr))


def _names(node: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _asks_itself(function: Function) -> bool:
    text = ast.unparse(function)
    return bool(re.search(r"session|headers|cookies|current_user|token|g\.\w*user", text))


def _expressions(body: list[ast.stmt]) -> Iterator[ast.expr]:
    for statement in body:
        for node in ast.iter_child_nodes(statement):
            if isinstance(node, ast.expr):
                yield node


def _distinct(guards: list[Guard]) -> list[Guard]:
    return list(dict.fromkeys(guards))
