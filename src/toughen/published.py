"""Owns keys that stand in the source: every short text as what it may sign with, and whether something outside of the source replaces it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted
from toughen.handling import parsed
from toughen.model.blueprint import masked
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import Module
    from toughen.model.blueprint import Blueprint

_TEST = re.compile(r"(?:^|/)(?:tests?|fixtures|conftest|test_[^/]*|[^/]*_test)(?:/|\.py$)")
_SHORTEST, _LONGEST, _MOST = 1, 512, 20_000
_VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]+$")
_SETTINGS = re.compile(r"Settings$|^Env$|EnvSettings|BaseConfig$")
_MODE = re.compile(r"dev|test|local|debug|demo|example", re.IGNORECASE)
_OUTSIDE = re.compile(r"environ|getenv|\.env\(|config\(|secret_?manager|vault|from_pyfile|from_envvar|from_prefixed_env|read_text|dotenv_values", re.IGNORECASE)
SIGNS = re.compile(r"secret|signing|jwt|private_?key|encryption_?key|^api_?key$|fernet", re.IGNORECASE)
"""Names of keys that sign or encrypt."""
_KEPT_SO = re.compile(r"^(change|your|replace|todo|xxx|example|placeholder|dummy|<)|_here$", re.IGNORECASE)
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_PLACE = re.compile(r"^\w+(?:\+\w+)?://[^/\s:@{}]+:([^@\s{}]{4,})@(?!localhost|127\.|db[:/]|postgres[:/]|mysql[:/]|host)[\w.-]+")
_BORNE = re.compile(r"^(?:Bearer|Basic|Token) [\w.+/=-]{20,}$|^eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}$")
_LAYERED = {"from_pyfile", "from_envvar", "from_prefixed_env", "from_file"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text that stands in the source."""

    module: Module
    node: ast.Constant
    name: str
    """What it is bound to, "" where it stands by itself."""

    @property
    def value(self) -> str:
        """The text itself; of bytes what they say."""
        raw = self.node.value
        return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


def texts(sources: Mapping[str, str]) -> tuple[Text, ...]:
    """Every text of the project's own code that may be a key; of its tests none."""
    return _texts(tuple(sources.items()))


@lru_cache(maxsize=8)
def _texts(items: tuple[tuple[str, str], ...]) -> tuple[Text, ...]:
    found: list[Text] = []
    for file, module in parsed(dict(items)).items():
        if _TEST.search(file):
            continue
        found += [
            Text(module, node, bound_to(module, node)) for node in ast.walk(module.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and _SHORTEST <= len(node.value) <= _LONGEST and not _is_prose(module, node)
        ]
    return tuple(found[:_MOST])


def _is_prose(module: Module, node: ast.Constant) -> bool:
    """A docstring, or a part of an f-string."""
    return isinstance(module.parent(node), ast.Expr | ast.JoinedStr)


def bound_to(module: Module, node: ast.expr) -> str:
    """The last name of what a value is bound to, through `or` and calls that choose: a variable, an attribute, a key, a keyword argument."""
    child: ast.AST = node
    for above in module.ancestors(node):
        match above:
            case ast.Assign(targets=[target, *_]) | ast.AnnAssign(target=target):
                return _last(target)
            case ast.keyword(arg=str() as name):
                if name not in {"default", "default_factory", "cast"}:
                    return name
            case ast.Call(args=args) if any(each is child for each in args) and not _chooses(above):
                return ""
            case ast.Dict(keys=keys, values=values):
                return next((str(key.value) for key, value in zip(keys, values, strict=True) if value is child and isinstance(key, ast.Constant)), "")
            case ast.stmt():
                return ""
        child = above
    return ""


def _chooses(call: ast.Call) -> bool:
    """Whether a call gives back what it is given, or something from outside in its place; or wraps it."""
    first = call.args[0]
    name = dotted(call.func).rpartition(".")[2]
    return (isinstance(first, ast.Constant) and isinstance(first.value, str) and bool(_VARIABLE.match(first.value))) or bool(_OUTSIDE.search(dotted(call.func) + "(")) or name in {"Secret", "SecretStr", "str", "bytes", "Fernet"}


def _last(target: ast.expr) -> str:
    match target:
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return dotted(target).rpartition(".")[2]


def replaced(text: Text, sources: Mapping[str, str]) -> bool:
    """Whether the text is only what holds where nothing outside of the source says otherwise: a default, a setting of a development machine."""
    module, node = text.module, text.node
    child: ast.AST = node
    for above in module.ancestors(node):
        match above:
            case ast.Call(args=[ast.Constant(value=str() as name), *_]) if child is not above.args[0] and (_VARIABLE.match(name) or _OUTSIDE.search(dotted(above.func))):
                # What a call that reads the environment is given beside the variable's name.
                return True
            case ast.BoolOp(op=ast.Or()) | ast.IfExp():
                return True
            case ast.If(test=test) if _MODE.search(ast.unparse(test)) or "config" in ast.unparse(test).lower():
                return True
            case ast.ClassDef(bases=bases, name=name):
                if any(_SETTINGS.search(dotted(each).rpartition(".")[2]) for each in bases) or _MODE.search(name) or _nested(name, sources):
                    return True
            case ast.Call(func=ast.Attribute(attr="from_mapping" | "setdefault")):
                return True
        child = above
    return _layered(module) or _read_elsewhere(text, sources)


def _nested(name: str, sources: Mapping[str, str]) -> bool:
    """Whether a settings class has a field of that class: `SECURITY__SECRET_KEY` reaches into it (pydantic-settings)."""
    for module in parsed(sources).values():
        classes = [node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef) and node.name != name] if name in module.text and "Settings" in module.text else []
        settings = [node for node in classes if any(_SETTINGS.search(dotted(each).rpartition(".")[2]) for each in node.bases)]
        if any(isinstance(each, ast.AnnAssign) and dotted(each.annotation).rpartition(".")[2] == name for node in settings for each in node.body):
            return True
    return False


def _layered(module: Module) -> bool:
    """Whether the same file lets settings be read from outside on top of what it says."""
    return any(isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in _LAYERED for each in ast.walk(module.tree))


def _read_elsewhere(text: Text, sources: Mapping[str, str]) -> bool:
    """Whether the same name is bound to something from outside elsewhere: another mode's class, a later line."""
    if not text.name:
        return False
    return any(
        value is not text.node and _OUTSIDE.search(ast.unparse(value)) and (module is text.module or _related(module, text.module))
        for module, value in bindings(sources, text.name)
    )


def _related(one: Module, other: Module) -> bool:
    """Whether one of two files imports the other: what lies beside it may be another application."""
    return any(
        home.file.rpartition("/")[2].removesuffix(".py") in origin.split(".")
        for home, reader in ((one, other), (other, one)) for origin in reader.imports.values()
    )


def bindings(sources: Mapping[str, str], name: str) -> Iterator[tuple[Module, ast.expr]]:
    """(module, value) wherever a name, attribute or key of that name is assigned."""
    for module in parsed(sources).values():
        for node in ast.walk(module.tree):
            match node:
                case ast.Assign(targets=targets, value=value) if any(_last(each) == name for each in targets):
                    yield module, value
                case ast.AnnAssign(target=target, value=ast.expr() as value) if _last(target) == name:
                    yield module, value


# -- what looks like a key ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lying:
    """A key that lies where others read it."""

    location: Location
    says: str


def lying(blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Lying]:
    """Keys in the source, in an `.env` that git tracks, and in the repository's history; their values are not shown."""
    every = texts(sources)
    told: set[str] = set()
    for secret in blueprint.secrets:
        at = [each for each in every if (each.module.file, each.node.lineno) == (secret.location.file, secret.location.line) and masked(each.value) == secret.shown]
        value = at[0].value if at else secret.shown
        if value in told:
            # The same key once more.
            continue
        told.add(value)
        copies = sorted((each for each in every if at and each.value == value and not replaced(each, sources)), key=_first)
        own = next((each for each in copies if each.name == at[0].name), None) if at else None
        where = Location(own.module.file, own.node.lineno, secret.location.function) if own is not None else secret.location
        if own is not None or not at:
            yield Lying(where, f"{_told(secret.name)} stands in the source: {secret.shown}")
        elif SIGNS.search(secret.name) and not _KEPT_SO.search(value):
            yield Lying(where, f"{secret.name} is a text of the source wherever nobody sets another: {secret.shown}")
    seen = {each.location for each in blueprint.secrets}
    for text in every:
        where = Location(text.module.file, text.node.lineno, None)
        if not any((each.file, each.line) == (where.file, where.line) for each in seen) and (_BORNE.match(text.value) or _PLACE.match(text.value)) and not replaced(text, sources):
            yield Lying(where, f"a credential stands in the source: {masked(text.value)}")
    for file, line, name, value in tracked(blueprint):
        yield Lying(Location(file, line), f"{name} stands in an .env that git tracks: {masked(value)}")
    for secret in blueprint.history:
        yield Lying(secret.location, f"{secret.name}, and that its history still shows: {secret.shown}")


def _first(text: Text) -> tuple[bool, str, int]:
    """Copies of one key in order: that with a name, then as they stand."""
    return not text.name, text.module.file, text.node.lineno


def _told(name: str) -> str:
    return "a key in the form of its provider" if name == "literal" else name


def tracked(blueprint: Blueprint) -> Iterator[tuple[str, int, str, str]]:
    """(file, line, name, value) of the keys in an `.env` that git tracks."""
    for file, text in ((file, text) for file, text in blueprint.companions if file.rpartition("/")[2] == ".env"):
        for match in _LINE.finditer(text):
            name, value = match.groups()
            if (SIGNS.search(name) or re.search(r"token|passw|key$", name, re.IGNORECASE)) and len(value) >= 6 and not _KEPT_SO.search(value):  # noqa: PLR2004 - shorter ones are labels
                yield file, text.count("\n", 0, match.start(1)) + 1, name, value
