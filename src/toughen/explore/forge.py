"""Owns tokens made by the project's own token function, where sign-up or log-in is missing or broken."""

from __future__ import annotations

import ast
import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from toughen import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Session
    from toughen.model.blueprint import Json

_TOKEN_MAKER = r"^(create|generate|make|encode|issue|sign|get|new|build)_?\w*(token|jwt)\w*$|^encode_auth\w*$"
_HASHER = r"hash|encrypt_password|set_password|make_password|bcrypt"
_HASHES = {"CryptContext": "hash", "PasswordHasher": "hash", "PasswordHash": "hash", "Bcrypt": "generate_password_hash"}
"""Classes of the libraries that hash passwords (passlib, argon2-cffi, pwdlib, Flask-Bcrypt) -> their method."""
_UNFIT = re.compile(r"refresh|reset|verify|verif|decode|check|csrf|confirm|email|current|from|revoke", re.IGNORECASE)


def functions(session: Session, pattern: str) -> list[str]:
    """Functions of the project whose name fits and that need no more than their arguments, as `module:name`.

    Beside module-level functions: static methods (`module:Class.name`), and methods of an object that its module makes
    (`module:object.name`).
    """
    found: list[str] = []
    modules = list(_modules(session))
    methods = {each.name: _methods(each, pattern) for _, tree in modules for each in tree.body if isinstance(each, ast.ClassDef)}
    for module, tree in modules:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and _fits(node.name, pattern):
                found.append(f"{module}:{node.name}")
            elif isinstance(node, ast.ClassDef):
                found += [f"{module}:{node.name}.{name}" for name, static in methods[node.name].items() if static]
            elif made := _made(node):
                name, maker = made
                found += [f"{module}:{name}.{each}" for each in methods.get(maker, ())]
    return found


def hashers(session: Session) -> list[str]:
    """What hashes passwords here: functions named for it, then the library's objects that modules make."""
    found = functions(session, _HASHER)
    for module, tree in _modules(session):
        found += [f"{module}:{made[0]}.{_HASHES[made[1]]}" for node in tree.body if (made := _made(node)) and made[1] in _HASHES]
    if session.blueprint.framework == "django":
        found.append("django.contrib.auth.hashers:make_password")
    if any("werkzeug.security" in text for text in session.sources.values()):
        found.append("werkzeug.security:generate_password_hash")
    return found


def _modules(session: Session) -> Iterator[tuple[str, ast.Module]]:
    entry = session.blueprint.entry
    root = entry.import_root if entry else "."
    prefix = f"{entry.package}." if entry and entry.package else ""
    for file, text in session.sources.items():
        if re.search(r"(^|/)tests?(/|_)|test_", file):
            continue
        with contextlib.suppress(SyntaxError, ValueError):
            relative = Path(file).relative_to(root)
            yield prefix + ".".join(relative.with_suffix("").parts).removesuffix(".__init__"), syntax.parse(text)


def _methods(node: ast.ClassDef, pattern: str) -> dict[str, bool]:
    """Methods whose name fits -> whether the class alone can be asked."""
    return {
        each.name: not (each.args.args and each.args.args[0].arg == "self")
        for each in node.body
        if isinstance(each, ast.FunctionDef) and _fits(each.name, pattern)
    }


def _made(node: ast.stmt) -> tuple[str, str] | None:
    """(name, class) of `name = Class(...)` and `name = Class.maker(...)`."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call) or not isinstance(node.targets[0], ast.Name):
        return None
    parts = [part for part in ast.unparse(node.value.func).split(".") if part[:1].isupper()]
    return (node.targets[0].id, parts[-1]) if parts else None


def _fits(name: str, pattern: str) -> bool:
    return bool(re.search(pattern, name, re.IGNORECASE)) and not _UNFIT.search(name)


def arguments(shape: str, row: dict[str, Json]) -> list[Json]:
    """What a token function is given: `id`, `str:id`, `sub:username` for a claims dictionary; `str:id|role` for two."""
    return [_argument(each, row) for each in shape.split("|")]


def _argument(shape: str, row: dict[str, Json]) -> Json:
    kind, _, name = shape.rpartition(":")
    value = row.get(name)
    match kind:
        case "":
            return value
        case "str":
            return str(value)
        case "sub" | "user_id" | "id" | "username" | "email":
            return {kind: str(value) if kind == "sub" else value}
    return value


def forgeries(session: Session, row: dict[str, Json]) -> Iterator[tuple[str, str, str]]:
    """(function, what it was given, token) for each way in which the project's own functions make a token for this row."""
    names = [name for name in ("id", "user_id", "username", "email", "name") if row.get(name) is not None]
    claims = [*(f"sub:{name}" for name in names), *(f"{name}:{name}" for name in names if name in {"user_id", "id", "username", "email"})]
    for function in functions(session, _TOKEN_MAKER):
        others = _others(session, function, row)
        if others is None:
            continue
        for shape in [*names, *(f"str:{name}" for name in names), *claims]:
            whole = "|".join([shape, *others])
            try:
                token = session.call_function(function, list(arguments(whole, row)))
            except LookupError:
                continue
            if isinstance(token, dict):
                token = next((each for each in token.values() if isinstance(each, str)), None)
            if isinstance(token, str) and len(token) > 12:  # noqa: PLR2004
                yield function, whole, token


def _others(session: Session, function: str, row: dict[str, Json]) -> list[str] | None:
    """Columns for the required parameters behind the first, by name; None where one has no column."""
    module, _, path = function.partition(":")
    name = path.rpartition(".")[2]
    for found, tree in _modules(session):
        node = next((each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == name), None)
        if node is None or (found != module and "." not in path):
            continue
        named = [each for each in node.args.args if each.arg not in {"self", "cls"}]
        required = named[: len(named) - len(node.args.defaults)][1:]
        columns = [next((column for column in row if column.lower() in {each.arg.lower(), f"user_{each.arg.lower()}"}), None) for each in required]
        return None if None in columns else [each for each in columns if each is not None]
    return []
