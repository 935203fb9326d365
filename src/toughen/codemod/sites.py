"""Owns the words that keep a redirect on this site, and a request of the server's out of its own network."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import argument, before, follow, replace, use
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


_HOOK = "refuse_internal_redirect"
_HOOKED = f'''
def {_HOOK}(answer, *args, **kwargs):
    """Stops a redirect that leads into this network before it is followed."""
    if answer.is_redirect and not {PUBLIC}(requests.compat.urljoin(answer.url, answer.headers["location"])):
        raise requests.exceptions.InvalidURL("The address that it redirects to is not allowed")
'''
_HANDLER = "PublicRedirects"
_HANDLED = f'''
class {_HANDLER}(urllib.request.HTTPRedirectHandler):
    """Stops a redirect that leads into this network before it is followed."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not {PUBLIC}(newurl):
            raise urllib.error.URLError("The address that it redirects to is not allowed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
'''


@word
def unredirected(module: Module, call: ast.AST) -> Draft:
    """Ask of each redirect what was asked of the address, before it is followed.

    Shapes: a call of requests or of one of its sessions (a hook), `urllib.request.urlopen` (an opener of its own); of
    httpx and aiohttp, which are told not to follow.
    """
    if not isinstance(call, ast.Call):
        halt("the address is not asked in a call")
    name = module.resolve(call.func)
    given = {each.arg: each.value for each in call.keywords}
    if name == "urllib.request.urlopen":
        return _opened(module, call)
    if name.startswith("httpx.") and "follow_redirects" in given:
        return replace(module, given["follow_redirects"], "False")
    if name.startswith("aiohttp.") or ("aiohttp" in module.imports.values() and "requests" not in module.imports.values()):
        return replace(module, given["allow_redirects"], "False") if "allow_redirects" in given else argument(module, call, "allow_redirects=False")
    if "requests" not in {each.partition(".")[0] for each in module.imports.values()} or "hooks" in given:
        halt("how the redirect is followed is not seen here")
    return _guards(module, _HOOK, _HOOKED, "import requests") + argument(module, call, f"hooks={{{module.literal('response')}: {_HOOK}}}")


def _opened(module: Module, call: ast.Call) -> Draft:
    """`urlopen(x, timeout=9)` by an opener that looks at redirects; a TLS context goes to its own handler."""
    parts = [each for each in call.keywords if each.arg != "context"]
    context = next((module.segment(each.value) for each in call.keywords if each.arg == "context"), "")
    handlers = _HANDLER + (f", urllib.request.HTTPSHandler(context={context})" if context else "")
    given = ", ".join([*(module.segment(each) for each in call.args), *(f"{each.arg}={module.segment(each.value)}" for each in parts)])
    draft = _guards(module, _HANDLER, _HANDLED, "import urllib.error", "import urllib.request")
    return draft + replace(module, call, f"urllib.request.build_opener({handlers}).open({given})")


def _guards(module: Module, name: str, text: str, *needs: str) -> Draft:
    """The function or class of that name behind the imports, with what tells public addresses."""
    draft = Draft(module)
    for each in (*_NEEDS, *needs):
        draft += use(module, each)
    for known, helper in ((PUBLIC, _PUBLIC), (name, text)):
        if known not in module.globals:
            draft += follow(module, _last_import(module), helper)
    return draft


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
