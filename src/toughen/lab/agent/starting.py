"""Owns the prototype's own start: its script is run up to its server, and what that server would serve is served."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from . import frames, prepare

if TYPE_CHECKING:
    from .boot import App

STARTED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
"""Servers that were asked to start: which function, and with what."""
_ON = ("1", "true", "t", "yes", "y", "on")


def served(script: str, app: App, config: dict[str, Any]) -> Any:
    """Return what the prototype's own start would serve; the app itself where that cannot be told."""
    try:
        if script == "flask":
            return _run(app.flask, {"debug": True})
        _execute(os.path.join(str(config.get("root") or ""), script))
    except BaseException as error:
        sys.stderr.write("toughen_agent: its start: " + frames.failure(error)["traceback"] + "\n")
    for name, arguments, keywords in reversed(STARTED):
        try:
            if name == "Flask.run" and arguments:
                named = dict(zip(("host", "port", "debug", "load_dotenv"), arguments[1:]))
                return _run(arguments[0], {**named, **keywords})
            if name == "run_simple":
                named = dict(zip(("hostname", "port", "application", "use_reloader", "use_debugger", "use_evalex"), arguments))
                return _debugged(named.get("application", keywords.get("application")), {**named, **keywords})
        except Exception as error:
            sys.stderr.write("toughen_agent: its start: " + frames.failure(error)["traceback"] + "\n")
    return app.target


def _run(flask: Any, options: dict[str, Any]) -> Any:
    """What `Flask.run` does before it serves."""
    if options.get("debug") is not None:
        flask.debug = bool(options["debug"])
    elif "FLASK_DEBUG" in os.environ:
        flask.debug = os.environ["FLASK_DEBUG"].lower() in _ON
    options.setdefault("use_debugger", flask.debug)
    return _debugged(flask, options)


def _debugged(application: Any, options: dict[str, Any]) -> Any:
    """What `run_simple` of Werkzeug's puts around the app."""
    if not options.get("use_debugger"):
        return application
    from werkzeug.debug import DebuggedApplication  # type: ignore[import-not-found, unused-ignore]

    return DebuggedApplication(application, evalex=bool(options.get("use_evalex", True)))


def _execute(file: str) -> None:
    """Run the main block of a file; a file that is no module yet is imported first."""
    module = next((each for each in list(sys.modules.values()) if _is(each, file)), None)
    if module is None:
        name = os.path.splitext(os.path.basename(file))[0]
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            return
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(name, module)
        spec.loader.exec_module(module)
    with open(file, "rb") as source:
        tree = ast.parse(source.read(), file)
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and prepare.is_main(node.test):
            body += node.body
    code = compile(ast.Module(body=body, type_ignores=[]), file, "exec")
    exec(code, vars(module))


def _is(module: Any, file: str) -> bool:
    own = getattr(module, "__file__", None)
    return isinstance(own, str) and os.path.realpath(own) == os.path.realpath(file)
