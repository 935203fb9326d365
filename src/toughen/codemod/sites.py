"""Owns the words that keep a redirect on this site, and a request of the server's out of its own network."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import before, follow, replace, use
from toughen.codemod.module import dotted, halt, names_in
from toughen.codemod.refusals import declined

if TYPE_CHECKING:
    from toughen.codemod.module import Module

PUBLIC = "is_public_url"
_PUBLIC = f'''
def {PUBLIC}(url):
    """Whether every address that the host of a URL resolves to lies outside of this network."""
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or None)
    except (OSError, ValueError):
        return False
    return bool(found) and all(ipaddress.ip_address(each[4][0].partition("%")[0]).is_global for each in found)
'''
_NEEDS = ("import ipaddress", "import socket", "from urllib.parse import urlsplit")


@word
def relative(module: Module, node: ast.AST, target: ast.expr) -> Draft:
    """Follow only paths of this site: another target becomes the one that the prototype falls back to, or `/`."""
    statement = module.statement_of(node)
    fallback = _fallback(module, node, target)
    # Browsers drop tabs and newlines and read a backslash as a slash (url.spec.whatwg.org).
    slashes = "(" + ", ".join(module.literal("/" + each) for each in "/\\\t\r\n") + ")"
    draft = Draft(module)
    if isinstance(target, ast.Name):
        name = target.id
    else:
        name = "next_page"
        function = module.enclosing(node)
        if function is not None and any(isinstance(each, ast.Name | ast.arg) and (each.id if isinstance(each, ast.Name) else each.arg) == name for each in ast.walk(function)):
            halt(f"`{name}` already means something in {function.name}")
        draft += replace(module, target, name)
    bound = "" if isinstance(target, ast.Name) else f"{name} = {module.segment(target)}\n"
    test = f"if not {name}.startswith({module.literal('/')}) or {name}.startswith({slashes}):\n    {name} = {fallback}"
    return draft + before(module, statement, bound + test)


def _fallback(module: Module, node: ast.AST, target: ast.expr) -> str:
    """Where the prototype goes without a target: what stands behind the last `or`, else `/`."""
    function = module.enclosing(node)
    if isinstance(target, ast.Name) and function is not None:
        bound = [each.value for each in ast.walk(function) if isinstance(each, ast.Assign) and any(isinstance(one, ast.Name) and one.id == target.id for one in each.targets)]
        own = next((each for each in bound if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in {"url_for", "url_path_for"}), None)
        if own is not None:
            return module.segment(own)
        target = bound[0] if len(bound) == 1 else target
    if isinstance(target, ast.BoolOp) and isinstance(target.op, ast.Or) and isinstance(target.values[-1], ast.Call | ast.Constant):
        last = target.values[-1]
        if not isinstance(last, ast.Constant) or str(last.value).startswith("/"):
            return module.segment(last)
    return module.literal("/")


@word
def public(module: Module, node: ast.AST, address: ast.expr, status: int, text: str) -> Draft:
    """Refuse an address whose host resolves to the server's own network, before it is asked."""
    function = module.enclosing(node) or halt("no function holds the request")
    statement = module.statement_of(node)
    refusal = declined(module, function, status, text)
    draft = refusal.needs(module)
    for each in _NEEDS:
        draft += use(module, each)
    if PUBLIC not in module.globals:
        draft += follow(module, _last_import(module), _PUBLIC)
    lines = f"if not {PUBLIC}({module.segment(address)}):\n{refusal.indented}"
    return draft + before(module, _outermost(module, statement, names_in(address)), lines)


def _outermost(module: Module, statement: ast.stmt, names: set[str]) -> ast.stmt:
    """The `try` or `with` around a statement in front of which the names are bound already: no handler of it swallows a refusal there."""
    found = statement
    for above in module.ancestors(statement):
        if not isinstance(above, ast.Try | ast.With | ast.AsyncWith) or names & {each.id for each in ast.walk(above) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}:
            break
        found = above
    return found


def _last_import(module: Module) -> ast.stmt:
    imports = [each for each in module.tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    return imports[-1] if imports else halt(f"{module.file} imports nothing")
