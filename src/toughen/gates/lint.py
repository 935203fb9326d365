"""Owns the gate of lint: ruff as the project configures it, else with a curated set; code that nobody uses; escapes from types on new lines."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import subprocess
import tokenize
import tomllib
from typing import TYPE_CHECKING, Any, Final

from toughen.gatekeeping import CouldNot, Faults, Gate, Looked, Site, Untouched
from toughen.model.gate import Fault
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_CURATED: Final = ("F", "E9", "PLE", "B", "ASYNC", "PGH", "S102", "S110", "S112", "S113", "S307", "S501", "S506", "BLE001", "RUF006", "TRY203")
"""What is wrong whoever wrote it: undefined and unused names, swallowed failures, calls that wait for ever, tasks that vanish. No taste."""
_IGNORED: Final = ("B007", "B008", "B009", "B010", "B011", "B904", "B905", "F403", "F405", "F541")
"""`Depends()` in an argument's default is how FastAPI means it; star imports are how Django settings are split; the others are matters of taste."""
_SECONDS: Final = 120.0
_MENTIONS: Final = (".toml", ".cfg", ".ini", ".conf", ".service", ".yml", ".yaml", ".json", ".html", ".jinja", ".jinja2", ".j2", ".txt", ".sh", ".env", "Procfile", "Dockerfile", "Makefile")
_APART: Final = re.compile(r"(^|/)(tests?|migrations|alembic|docs|examples|scripts)(/|$)|(^|/)(conftest|setup|manage|[\w.]*conf(ig)?|test_\w+|\w+_test)\.py$")
_ESCAPES: Final = (
    (re.compile(r"#\s*type:\s*ignore(?!\[)"), "`# type: ignore` says not which error is meant"),
    (re.compile(r"#\s*noqa(?!:)"), "`# noqa` says not which finding is meant"),
)
_LARGEST: Final = 1 << 20


class Lint(Gate):
    """ruff as the project configures it, else a curated set without matters of taste; functions and classes that nobody names; `Any` and blanket ignores on new lines."""

    id = "lint"
    title = "No lint, no unused code, no escape from types"
    order = 11

    def look(self, site: Site) -> Looked:
        """Run ruff, and read the rest."""
        if site.changed is not None and not site.changed.touch(".py", ".pyi"):
            return Untouched("no Python file changed")
        program = site.program("ruff")
        if program is None:
            return CouldNot("ruff cannot be had here", "install ruff in the project's environment")
        own = _configured(site.root)
        said = _ruff(program, site.root, own=own)
        if isinstance(said, CouldNot):
            return said
        faults = [*_told(site, said, own=own), *unused(site), *escapes(site)]
        return Faults(faults, {"release": _release(program), "ruff": "as the project configures it" if own else "curated: " + " ".join(_CURATED)}, f"{len(site.texts)} Python files")


def _configured(root: Path) -> bool:
    """Whether ruff is configured in the project's folder, or above it in its repository, as ruff itself looks for it."""
    for folder in (root, *root.parents):
        if (folder / "ruff.toml").is_file() or (folder / ".ruff.toml").is_file():
            return True
        with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
            if "ruff" in tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8", errors="replace")).get("tool", {}):
                return True
        if (folder / ".git").exists():
            return False
    return False


def _release(program: Path) -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL).stdout.strip()
    return ""


def _ruff(program: Path, root: Path, *, own: bool) -> list[dict[str, Any]] | CouldNot:
    # It reads, and runs nothing of what it reads.
    chosen = [] if own else ["--isolated", "--select", ",".join(_CURATED), "--ignore", ",".join(_IGNORED)]
    try:
        done = subprocess.run([str(program), "check", "--no-cache", "--no-fix", "--output-format", "json", *chosen, "."], cwd=root, capture_output=True, text=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL)
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return CouldNot(f"ruff takes longer than {_SECONDS:.0f} s")
    except OSError as error:
        return CouldNot(f"ruff does not run: {error}")
    except ValueError:
        return CouldNot(f"ruff does not run: {next(iter(done.stderr.strip().splitlines()[-1:]), 'it says nothing')[:200]}")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _told(site: Site, said: list[dict[str, Any]], *, own: bool) -> Iterator[Fault]:
    for each in said:
        file = str(each.get("filename", ""))
        name = next((known for known in site.texts if file.endswith(f"/{known}") and file == str(site.root / known)), None)
        if name is None or (not own and each.get("code") == "F401" and _meant(name, str(each.get("message")), site.texts)):
            continue
        line = int((each.get("location") or {}).get("row") or 1)
        lines = site.texts[name].splitlines()
        text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
        yield Fault(f"{name} {each.get('code') or 'syntax'}: {text}", f"{each.get('message')} [{each.get('code') or 'syntax'}]", Location(name, line))


def _meant(file: str, message: str, texts: Mapping[str, str]) -> bool:
    """Whether an import that nobody uses does something: it runs a module of the project's own, or hands a name of it on."""
    match = re.match(r"`(\.*)([\w.]+)(?: as \w+)?` imported", message)
    if match is None:
        return False
    dots, path = match[1], match[2].replace(".", "/")
    places = {each.removesuffix(".py").removesuffix("/__init__") for each in texts}
    if any(each == path or each.endswith(f"/{path}") for each in places):
        return True
    first = path.partition("/")[0]
    return file.endswith("__init__.py") and (bool(dots) or any(f"/{each}/".find(f"/{first}/") >= 0 for each in places))


def unused(site: Site) -> Iterator[Fault]:
    """Functions and classes at the top of a file whose name stands nowhere else, in code or beside it."""
    words: dict[str, int] = {}
    for text in (*site.texts.values(), *_mentions(site.root)):
        for word in re.findall(r"[A-Za-z_]\w*", text):
            words[word] = words.get(word, 0) + 1
    started = site.blueprint.entry.target.rpartition(":")[2].removesuffix("()") if site.blueprint.entry is not None else ""
    for file, text in site.texts.items():
        if _APART.search(file):
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.decorator_list and words.get(node.name, 0) == 1 and node.name != started and not _called_by_others(node):
                yield Fault(f"{file} unused: {node.name}", f"nothing names {node.name}", Location(file, node.lineno, node.name))


def _called_by_others(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether a framework finds it: by its name, or, of a class, by what it is made of (a model, a form, a command)."""
    return node.name.startswith("__") or node.name in {"main", "Command", "handler", "lambda_handler", "lifespan", "create_app"} or (isinstance(node, ast.ClassDef) and bool(node.bases or node.keywords))


def _mentions(root: Path) -> Iterator[str]:
    for place in sorted(root.rglob("*")):
        parts = place.relative_to(root).parts
        if any(each.startswith(".") or each in {"node_modules", "venv", "env", "__pycache__", "site-packages"} for each in parts[:-1]):
            continue
        if place.name.endswith(_MENTIONS) and place.is_file() and not place.is_symlink() and place.stat().st_size <= _LARGEST:
            yield place.read_text(encoding="utf-8", errors="replace")


def escapes(site: Site) -> Iterator[Fault]:
    """`Any`, and ignores that name no error, on lines that are new."""
    for file, lines in (site.new.files if site.new is not None else {}).items():
        text = site.texts.get(file, "") if not _APART.search(file) else ""
        for line, what in _escaping(text):
            if line in lines:
                yield Fault(f"{file} escape: {text.splitlines()[line - 1].strip()}", what, Location(file, line), strict=True)


def _escaping(text: str) -> Iterator[tuple[int, str]]:
    try:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.arg | ast.AnnAssign | ast.FunctionDef | ast.AsyncFunctionDef):
                annotation = node.returns if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else node.annotation
                named = [each for each in ast.walk(annotation) if (isinstance(each, ast.Name) and each.id == "Any") or (isinstance(each, ast.Attribute) and each.attr == "Any")] if annotation else []
                yield from ((each.lineno, "`Any` switches the types off here") for each in named[:1])
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield from ((token.start[0], what) for pattern, what in _ESCAPES if pattern.search(token.string))
    except (SyntaxError, ValueError, RecursionError, tokenize.TokenError):
        return
