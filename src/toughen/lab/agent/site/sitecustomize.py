"""Owns the start of the prototype's own scripts: their databases and their way out lead where the lab says.

The lab puts this folder first on PYTHONPATH and names, in TOUGHEN_AGENT, a JSON file with the keys "postgres",
"mysql", "outbound" and "root" of the agent's configuration. Nothing is recorded, and no script fails because of this.
"""

# ruff: noqa: INP001 - Python looks for it by this name, in a folder of its own
from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location

_HERE = os.path.dirname(os.path.abspath(__file__))
_AGENT = "toughen_agent"


def _lead() -> None:
    """Put the hooks in place."""
    import json

    with open(os.environ["TOUGHEN_AGENT"], encoding="utf-8") as file:
        config = json.load(file)
    folder = os.path.dirname(_HERE)
    # Not by PYTHONPATH: the script has no need of the agent's name.
    spec = spec_from_file_location(_AGENT, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
    if _AGENT in sys.modules or spec is None or spec.loader is None:
        return
    module = sys.modules[_AGENT] = module_from_spec(spec)
    spec.loader.exec_module(module)

    from toughen_agent import frames, hooks, mysql, outbound, postgres  # type: ignore[import-not-found]

    frames.own(str(config.get("root") or os.getcwd()))
    finder = hooks.Finder()
    outbound.install(finder, config.get("outbound"), ())
    postgres.install(finder, config.get("postgres"))
    mysql.install(finder, config.get("mysql"))
    finder.install()


def _pass_on() -> None:
    """Run the sitecustomize that this one stands before."""
    others = [each for each in sys.path if os.path.abspath(each or os.curdir) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)


if os.environ.get("TOUGHEN_AGENT"):
    try:
        _lead()
    except Exception as error:
        sys.stderr.write("toughen_agent: this script is not hooked: " + repr(error) + "\n")
_pass_on()
