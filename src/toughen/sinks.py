"""Owns the places in a source at which a text of the request does harm: shells, paths, hosts, interpreters, redirects, pages."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod.fragments import added, based, shown
from toughen.codemod.module import dotted
from toughen.codemod.pages import bare
from toughen.codemod.refusals import is_route
from toughen.codemod.statements import single_assignment
from toughen.flows import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.codemod.module import Module
    from toughen.flows import Flow

SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell", "commands.getoutput"}
RUNS = {"subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen"}
READS = {"open", "io.open", "os.open", "codecs.open", "aiofiles.open", "flask.send_file", "os.remove", "os.unlink", "os.listdir", "os.scandir", "os.makedirs", "os.mkdir", "os.rename", "os.walk", "glob.glob", "glob.iglob"}
_PATH_METHODS = {"read_text", "read_bytes", "write_text", "write_bytes", "unlink", "open", "save"}
CLIENTS = re.compile(r"^(requests|httpx|urllib\.request|urllib3|aiohttp|httpx2)\.")
_VERBS = {"get", "post", "put", "patch", "delete", "head", "options", "request", "urlopen", "urlretrieve", "stream", "Request"}
_OUTSIDE = re.compile(r"^https?://[^/{}]+/", re.IGNORECASE)
"""A text that begins so has its host already."""
EVALUATES = {"eval", "exec", "compile", "pickle.loads", "pickle.load", "dill.loads", "marshal.loads", "yaml.unsafe_load", "flask.render_template_string", "jinja2.Template", "__import__"}
_SAFE_YAML = {"SafeLoader", "CSafeLoader", "BaseLoader"}
REDIRECTS = {"flask.redirect", "werkzeug.utils.redirect", "fastapi.responses.RedirectResponse", "starlette.responses.RedirectResponse"}
PAGES = {"fastapi.responses.HTMLResponse", "starlette.responses.HTMLResponse", "markupsafe.Markup", "flask.Markup"}
_STEPS = 4
_SHELL_NAMES = {"sh", "bash", "/bin/sh", "/bin/bash", "cmd"}


def _first(call: ast.Call, *names: str) -> ast.expr | None:
    given = call.args[0] if call.args and not isinstance(call.args[0], ast.Starred) else None
    return given or next((each.value for each in call.keywords if each.arg in names), None)


def _imported(flow: Flow, call: ast.Call) -> str:
    """Full name of what is called; a response class by where frameworks keep it."""
    return flow.module.resolve(call.func)


def shell_text(module: Module, call: ast.Call) -> ast.expr | None:
    """The command line that a call hands to a shell, None where there is no shell."""
    name = module.resolve(call.func)
    if name in SHELLS:
        return _first(call, "cmd", "command")
    if name in RUNS:
        first = _first(call, "args")
        if any(each.arg == "shell" and isinstance(each.value, ast.Constant) and each.value.value for each in call.keywords):
            return first
        match first:
            case ast.List(elts=[ast.Constant(value=str() as program), *_, last]) if program in _SHELL_NAMES:
                return last
    return None


def _shell(flow: Flow, node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call) and (found := shell_text(flow.module, node)) is not None:
        yield found


def _path(flow: Flow, node: ast.AST) -> Iterator[ast.expr]:
    if not isinstance(node, ast.Call):
        return
    name = _imported(flow, node)
    if name in READS or name.rpartition(".")[2] == "FileResponse" or (name.startswith("shutil.") and node.args):
        found = _first(node, "path", "file", "path_or_file")
        if found is not None:
            yield found
    elif isinstance(node.func, ast.Attribute) and node.func.attr in _PATH_METHODS:
        # `file.save(path)` takes the path; `(folder / name).read_text()` is called on it.
        risky = _first(node, "dst") if node.func.attr == "save" else node.func.value
        if risky is not None and (node.func.attr != "open" or not node.args or isinstance(node.args[0], ast.Constant)):
            yield risky


def _host(flow: Flow, node: ast.AST) -> Iterator[ast.expr]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
        return
    name = _imported(flow, node)
    last = name.rpartition(".")[2] or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    if last not in _VERBS or not (CLIENTS.match(name) or _is_client(flow, node)):
        return
    found = _first(node, "url")
    if last in {"request", "stream", "Request"} and len(node.args) > 1 and last != "Request":
        found = node.args[1]
    if found is not None and not _settled(flow.module, node, found):
        yield found


def _is_client(flow: Flow, call: ast.Call) -> bool:
    """Whether a method is called on a client that this file makes of a library for HTTP."""
    holder = dotted(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if not holder:
        return False
    for node in ast.walk(flow.place.node):
        match node:
            case ast.withitem(context_expr=ast.Call(func=func), optional_vars=ast.Name(id=name)) if name == holder:
                return bool(CLIENTS.match(flow.module.resolve(func)))
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if name == holder:
                return bool(CLIENTS.match(flow.module.resolve(func)))
    return any(
        isinstance(each, ast.Assign) and isinstance(each.value, ast.Call) and CLIENTS.match(flow.module.resolve(each.value.func))
        and any(dotted(target) == holder for target in each.targets)
        for each in flow.module.tree.body
    )


def beginning(module: Module, use: ast.AST, node: ast.expr) -> str:
    """The constant text that an expression begins with, also through one local name; "" where there is none."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str() as text), *rest]):
            return text + ("{" if rest else "")
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod()):
            return beginning(module, use, left)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format")):
            return text
        case ast.Name(id=name):
            found = single_assignment(module, use, name)
            if found is not None:
                return beginning(module, found[0], found[1])
            constants = [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets)]
            return beginning(module, use, constants[0]) if len(constants) == 1 and not isinstance(constants[0], ast.Name) else ""
    return ""


def _settled(module: Module, use: ast.AST, node: ast.expr) -> bool:
    """Whether the host of an address stands in the source."""
    return bool(_OUTSIDE.match(beginning(module, use, node).replace("%s", "{")))


def _code(flow: Flow, node: ast.AST) -> Iterator[ast.expr]:
    if not isinstance(node, ast.Call):
        return
    name = _imported(flow, node)
    loads = name in {"yaml.load", "yaml.load_all"} and not any(
        dotted(each).rpartition(".")[2] in _SAFE_YAML for each in (*node.args[1:], *(word.value for word in node.keywords if word.arg == "Loader"))
    )
    own = isinstance(node.func, ast.Name) and node.func.id in flow.module.globals and name == node.func.id
    if loads or (name in EVALUATES and not own) or name.rpartition(".")[2] == "from_string":
        found = _first(node, "source", "stream")
        if found is not None:
            yield found


def _redirect(flow: Flow, node: ast.AST) -> Iterator[ast.expr]:
    if not isinstance(node, ast.Call):
        return
    name = _imported(flow, node)
    if name in REDIRECTS or name.rpartition(".")[2] == "RedirectResponse":
        found = _first(node, "location", "url")
        begins = beginning(flow.module, node, found) if found is not None else ""
        if found is not None and not re.match(r"/[^/\\{]", begins) and not _OUTSIDE.match(begins):
            yield found


def _page(flow: Flow, node: ast.AST) -> Iterator[ast.expr]:
    function, flask = flow.place.node, flow.handler.blueprint.framework == "flask"
    match node:
        case ast.Call() if (name := _imported(flow, node)) in PAGES or name.rpartition(".")[2] in {"HTMLResponse", "Markup"}:
            found = _first(node, "content")
            if found is not None:
                yield found
        case ast.Call(func=func, args=[text, *_]) if flow.module.resolve(func) in {"flask.render_template_string", "flask.make_response", "flask.Response"} and _is_text(flow, node, text):
            kinds = [each.value for each in node.keywords if each.arg in {"mimetype", "content_type"}]
            if all(isinstance(each, ast.Constant) and "html" in str(each.value) for each in kinds):
                yield text
        case ast.Call(func=ast.Attribute(attr="render")) if unescaped(flow.module, node) is not None:
            yield from (*node.args, *(each.value for each in node.keywords))
        case ast.Return(value=ast.expr() as value) if is_route(function) and flask:
            text = value.elts[0] if isinstance(value, ast.Tuple) and value.elts else value
            if _is_text(flow, node, text):
                yield text
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.Call() if (is_route(function) or not flow.believes) and (step := added(node)) is not None:
            if step[0] in shown(flow.module, function) and (_composed(flow.module, node, step[1]) or isinstance(node, ast.AugAssign | ast.Call)):
                yield step[1]


def _is_text(flow: Flow, node: ast.AST, text: ast.expr) -> bool:
    """Whether a page is a text that is put together here; where a proof has shown it, also a column as it stands."""
    return _composed(flow.module, node, text) or (not flow.believes and bare(flow.module, node, text))


def unescaped(module: Module, call: ast.Call) -> ast.Call | None:
    """The call that makes the template, or the environment it comes from, where it is Jinja's own without autoescape; None for all else."""
    made: ast.expr | None = call.func.value if isinstance(call.func, ast.Attribute) else None
    for _ in range(_STEPS):
        match made:
            case ast.Name(id=name):
                once = single_assignment(module, call, name)
                tops = [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets)]
                made = once[1] if once is not None else tops[0] if len(tops) == 1 else None
            case ast.Call(func=ast.Attribute(value=value, attr="from_string" | "get_template" | "select_template")):
                made = value
            case ast.Call(func=func, keywords=words) if module.resolve(func) in {"jinja2.Template", "jinja2.Environment", "jinja2.environment.Template", "jinja2.environment.Environment"}:
                given = next((each.value for each in words if each.arg == "autoescape"), None)
                return made if given is None or (isinstance(given, ast.Constant) and not given.value) else None
            case _:
                return None
    return None


def _composed(module: Module, use: ast.AST, node: ast.expr) -> bool:
    """Whether an expression is a text put together here: an f-string, a sum, `%` or `format`."""
    match node:
        case ast.JoinedStr() | ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str())):
            return True
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return any((isinstance(each, ast.Constant) and isinstance(each.value, str)) or _composed(module, use, each) for each in (left, right))
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="format")):
            return True
        case ast.Name(id=name):
            found = single_assignment(module, use, name)
            return found is not None and _composed(module, found[0], found[1])
    return based(module, node) is not None


SHELL = Sink(_shell, frozenset({"quote", "split"}), "{} becomes part of a command line for a shell")
PATH = Sink(
    _path, frozenset({"secure_filename", "safe_join", "basename", "uuid4", "hexdigest", "token_hex", "name", "stem", "suffix", "splitext", "rsplit"}),
    "{} becomes part of a path, and nothing keeps it below its folder",
)
HOST = Sink(_host, frozenset(), "{} says which host the server asks, and nothing keeps it from internal ones", frozenset({"startswith", "endswith", "match", "fullmatch"}))
CODE = Sink(_code, frozenset({"literal_eval", "quote"}), "{} is read as code")
REDIRECT = Sink(_redirect, frozenset({"url_for", "url_path_for"}), "{} says where the browser is sent, and nothing keeps it on this site", frozenset({"startswith"}))
PAGE = Sink(_page, frozenset({"escape", "clean", "jsonify", "dumps", "tojson", "quote", "quote_plus", "urlencode"}), "{} becomes part of a page as it stands, markup and all")
