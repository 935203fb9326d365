"""Owns the gate of types: the project's own checker, else mypy in strict mode on what is new."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from toughen.gatekeeping import DOWN, CouldNot, Faults, Gate, Looked, Site, Untouched
from toughen.model.gate import Fault
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SAID: Final = re.compile(r"^(?P<file>[^:\n]+\.pyi?):(?P<line>\d+)(?::\d+)*: error: (?P<message>.*?)(?:  \[(?P<code>[\w-]+)\])?$", re.MULTILINE)
_LACKS: Final = re.compile(r"Error importing plugin \S+ No module named '(\w+)'")
_PLUGINS: Final = {"mypy_django_plugin": "django-stubs", "mypy_drf_plugin": "djangorestframework-stubs", "pydantic": "pydantic", "sqlmypy": "sqlalchemy-stubs", "strawberry": "strawberry-graphql"}
"""Packages that bring the checker's plugins: a project's requirements for development are not always there."""
_SECONDS: Final = 300.0
_PLAIN: Final = ("--show-error-codes", "--no-color-output", "--no-pretty", "--no-error-summary", "--hide-error-context", "--cache-dir=/dev/null")
_STRICT: Final = (
    "--strict", "--allow-untyped-calls", "--allow-untyped-decorators", "--allow-subclassing-any", "--no-warn-return-any", "--implicit-reexport", "--no-warn-unused-ignores",
    "--ignore-missing-imports", "--disable-error-code=import-untyped", "--disable-error-code=import-not-found", "--follow-imports=silent", "--explicit-package-bases", "--namespace-packages",
)
"""What tells of old code and of other people's packages is not the new line's fault."""
_CONFIG: Final = "toughen-mypy.ini"
_MADE: Final = re.compile(r'^Name "[\w.]+\.\w+" is not defined$')
"""A name below another is an attribute: whether it is there is known when the program runs (Flask-SQLAlchemy's `db.Model`)."""


class Types(Gate):
    """What the project's own type checker says, as it is configured; else mypy's strict mode on mended and new lines."""

    id = "types"
    title = "Types hold"
    order = 10

    def look(self, site: Site) -> Looked:
        """Run the checker on a copy."""
        if site.changed is not None and not site.changed.touch(".py", ".pyi"):
            return Untouched("no Python file changed")
        checker = configured(site.root)
        if checker == "pyright":
            return _pyright(site)
        return _mypy(site, own=checker == "mypy")


def configured(root: Path) -> str:
    """Which checker the project says how to run: mypy, pyright, or none ("")."""
    table = _table(root / "pyproject.toml").get("tool", {})
    if (root / "mypy.ini").is_file() or (root / ".mypy.ini").is_file() or "mypy" in table or _section(root / "setup.cfg", "mypy"):
        return "mypy"
    return "pyright" if (root / "pyrightconfig.json").is_file() or {"pyright", "basedpyright"} & table.keys() else ""


def _table(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8", errors="replace"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}


def _section(file: Path, name: str) -> bool:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return False
    return parser.has_section(name)


def _mypy(site: Site, *, own: bool) -> Looked:
    new = site.new
    files = sorted(each for each in new.files if each.endswith(".py") and each in site.texts and new.files[each]) if new is not None else []
    if not own and new is None:
        return CouldNot("the project configures no type checker, and which lines are new is not known", "write a baseline in a git repository (`toughen gate --write-baseline`), or configure mypy or pyright")
    if not own and not files:
        return Faults(why="no checker is configured, and no line is new since the baseline")
    if not site.booted:
        return DOWN
    steps = [["mypy", *_PLAIN, *([] if own else [f"--config-file={_CONFIG}", *_STRICT, *files]), *(["."] if own and not _named(site.root) else [])]]
    # Without its plugin, pydantic's settings seem to be called without what the environment gives them.
    plugins = "\nplugins = pydantic.mypy" if any(re.search(r"^\s*(from|import) pydantic", each, re.MULTILINE) for each in site.texts.values()) else ""
    done = site.run(steps, packages=("mypy",), seconds=_SECONDS, brings={} if own else {_CONFIG: f"[mypy]{plugins}\n"})
    if not own and done is not None and done.code not in {0, 1, None} and "plugin" in done.output:
        done = site.run(steps, packages=("mypy",), seconds=_SECONDS, brings={_CONFIG: "[mypy]\n"})
    if own and done is not None and "Source file found twice" in done.output:
        # As most of its users call it: a folder without __init__.py is a package, too.
        steps = [[*steps[0], "--explicit-package-bases", "--namespace-packages"]]
        done = site.run(steps, packages=("mypy",), seconds=_SECONDS)
    lacks = _PLUGINS.get(match[1]) if done is not None and (match := _LACKS.search(done.output)) and own else None
    if lacks:
        done = site.run(steps, packages=("mypy", lacks), seconds=_SECONDS)
    if done is None:
        return CouldNot("mypy cannot be had here", "install mypy in the project's environment")
    if done.code is None:
        return CouldNot(f"mypy takes longer than {_SECONDS:.0f} s")
    found = [each for each in _SAID.finditer(done.output) if own or (new is not None and int(each["line"]) in new.lines(_plain(each["file"])) and not _MADE.match(each["message"]))]
    if done.code not in {0, 1} and not found:
        return CouldNot(f"mypy does not run: {_last(done.output)}", "run it by itself in the project's folder; a plugin that it names must be among the requirements")
    faults = [_fault(site.texts, _plain(each["file"]), int(each["line"]), each["code"] or "misc", each["message"], strict=not own) for each in found]
    what = "the whole project, as it configures mypy" if own else f"{_count(sum(len(new.lines(each)) for each in files) if new else 0, 'line')} that came since the baseline, mypy --strict"
    return Faults(faults, {"checker": "mypy"}, what)


def _named(root: Path) -> bool:
    """Whether the configuration says which files are checked."""
    own = _table(root / "pyproject.toml").get("tool", {}).get("mypy", {})
    if any(each in own for each in ("files", "packages", "modules")):
        return True
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([root / name for name in ("mypy.ini", ".mypy.ini", "setup.cfg")], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return False
    return parser.has_section("mypy") and any(parser.has_option("mypy", each) for each in ("files", "packages", "modules"))


def _pyright(site: Site) -> Looked:
    if not site.booted:
        return DOWN
    done = site.run([["pyright", "--outputjson"]], packages=("pyright",), seconds=_SECONDS)
    if done is None or done.code is None:
        return CouldNot("pyright cannot be had here" if done is None else f"pyright takes longer than {_SECONDS:.0f} s", "install pyright (with its own Node) in the project's environment")
    try:
        said = json.loads(done.output[done.output.index("{") :])
        faults = list(_diagnosed(site, said))
    except (ValueError, KeyError, TypeError, AttributeError):
        return CouldNot(f"pyright does not run: {_last(done.output)}")
    return Faults(faults, {"checker": f"pyright {said.get('version', '')}"}, "the whole project, as it configures pyright")


def _diagnosed(site: Site, said: dict[str, Any]) -> Iterator[Fault]:
    for each in said["generalDiagnostics"]:
        if each["severity"] == "error":
            name = next((known for known in site.texts if str(each["file"]).endswith(f"/{known}")), str(each["file"]).rpartition("/")[2])
            yield _fault(site.texts, name, int(each["range"]["start"]["line"]) + 1, str(each.get("rule", "error")), str(each["message"]).partition("\n")[0], strict=False)


def _fault(texts: Mapping[str, str], file: str, line: int, code: str, message: str, *, strict: bool) -> Fault:
    lines = texts.get(file, "").splitlines()
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return Fault(f"{file} {code}: {text}", f"{message} [{code}]", Location(file, line), strict=strict)


def _plain(file: str) -> str:
    return file.removeprefix("./")


def _last(output: str) -> str:
    lines = output.strip().splitlines()
    return next((each for each in lines if "error:" in each), lines[-1] if lines else "it says nothing")[:200]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
