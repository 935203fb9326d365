"""Owns what counts as a refusal in source: answers 401 and 403, the exceptions that become them, redirects to log-in."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

from toughen.survey.facts import dotted

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
_NAMED: Final = {
    "Unauthorized": UNAUTHORIZED,
    "Forbidden": FORBIDDEN,
    "PermissionDenied": FORBIDDEN,
    "AuthenticationFailed": UNAUTHORIZED,
    "NotAuthenticated": UNAUTHORIZED,
    "PermissionError": FORBIDDEN,
    "NoAuthorizationError": UNAUTHORIZED,
}
_LOGIN: Final = ("login", "log_in", "signin", "sign_in", "log-in", "sign-in", "auth")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement that ends a request with an error."""

    status: int | None
    """Literal status; 302 for a redirect to log-in; None where it is not literal."""
    node: ast.stmt
    messages: tuple[str, ...] = ()
    """String constants of the answer."""


def status_of(node: ast.expr | None) -> int | None:
    """The status that an expression means: 401, status.HTTP_401_UNAUTHORIZED, HTTPStatus.UNAUTHORIZED."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value if 100 <= node.value <= 599 else None  # noqa: PLR2004 - the range of HTTP statuses
    name = dotted(node)
    if "HTTP_" in name:
        code = name.partition("HTTP_")[2][:3]
        return int(code) if code.isdigit() else None
    if "HTTPStatus." in name:
        from http import HTTPStatus

        member = HTTPStatus.__members__.get(name.removesuffix(".value").rpartition(".")[2])
        return int(member) if member else None
    return None


def refuses(node: ast.stmt) -> Refusal | None:
    """What a statement refuses with: a raise, an abort, or a return with an error status; None for any other."""
    match node:
        case ast.Raise(exc=ast.Call() as call):
            return Refusal(_call_status(call), node, _messages(call))
        case ast.Raise(exc=ast.Name() | ast.Attribute() as name):
            return Refusal(_NAMED.get(dotted(name).rpartition(".")[2]), node)
        case ast.Raise():
            return Refusal(None, node)
        case ast.Expr(value=ast.Call() as call) | ast.Return(value=ast.Call() as call) if _is_abort(call):
            return Refusal(_call_status(call), node, _messages(call))
        case ast.Return(value=ast.Tuple(elts=[body, *rest])):
            found = next((status for each in rest if (status := status_of(each)) is not None), None)
            return Refusal(found, node, _messages(body)) if found is not None and found >= 400 else None  # noqa: PLR2004
        case ast.Return(value=ast.Call() as call):
            return _returned(call, node)
    return None


def _is_abort(call: ast.Call) -> bool:
    return dotted(call.func).rpartition(".")[2] in {"abort", "abort_with", "api_abort"}


def _returned(call: ast.Call, node: ast.stmt) -> Refusal | None:
    name = dotted(call.func).rpartition(".")[2]
    if name in {"redirect", "RedirectResponse"}:
        text = " ".join(_messages(call)).lower()
        return Refusal(302, node, _messages(call)) if any(word in text for word in _LOGIN) else None
    status = _call_status(call)
    if status is None and isinstance(call.func, ast.Name | ast.Attribute):
        # return Unauthorized(), return forbidden("...")
        words = {"unauthorized": UNAUTHORIZED, "forbidden": FORBIDDEN, "unauthenticated": UNAUTHORIZED}
        status = words.get(name.lower())
    return Refusal(status, node, _messages(call)) if status is not None and status >= 400 else None  # noqa: PLR2004


def _call_status(call: ast.Call) -> int | None:
    for named in call.keywords:
        if named.arg in {"status_code", "status", "code"} and (found := status_of(named.value)) is not None:
            return found
    for each in call.args:
        if (found := status_of(each)) is not None:
            return found
    for each in call.args:
        if isinstance(each, ast.Call) and (found := _call_status(each)) is not None:
            return found
    return _NAMED.get(dotted(call.func).rpartition(".")[2])


def _messages(node: ast.AST) -> tuple[str, ...]:
    found: list[str] = []
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.strip():
            found.append(each.value)
        elif isinstance(each, ast.Dict):
            keys = {key.value for key in each.keys if isinstance(key, ast.Constant)}
            found = [text for text in found if text not in keys]
    keys = {
        key.value for each in ast.walk(node) if isinstance(each, ast.Dict) for key in each.keys
        if isinstance(key, ast.Constant)
    }  # fmt: skip
    return tuple(dict.fromkeys(text for text in found if text not in keys))


def denials(body: list[ast.stmt]) -> list[Refusal]:
    """Every 401, 403 and redirect to log-in in these statements, inner functions included."""
    statements = (node for statement in body for node in ast.walk(statement) if isinstance(node, ast.stmt))
    refused = (refusal for node in statements if (refusal := refuses(node)) is not None)
    return [refusal for refusal in refused if refusal.status in {UNAUTHORIZED, FORBIDDEN, 302}]
