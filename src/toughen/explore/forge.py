"""Owns tokens made by the project's own token function, where sign-up or log-in is missing or broken."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Session
    from toughen.model.blueprint import Json

_TOKEN_MAKER = r"^(create|generate|make|encode|issue|sign|get|new|build)_?\w*(token|jwt)\w*$|^encode_auth\w*$"
_UNFIT = re.compile(r"refresh|reset|verify|verif|decode|check|csrf|confirm|email|current|from|revoke", re.IGNORECASE)


def functions(session: Session, pattern: str) -> list[str]:
    """Module-level functions of the project whose name fits, as `module:name`."""
    entry = session.blueprint.entry
    root = entry.import_root if entry else "."
    found = []
    for file, text in session.sources.items():
        if "def " not in text or re.search(r"(^|/)tests?(/|_)|test_", file):
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        try:
            relative = Path(file).relative_to(root)
        except ValueError:
            continue
        module = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        found += [
            f"{module}:{node.name}" for node in tree.body
            if isinstance(node, ast.FunctionDef) and re.search(pattern, node.name, re.IGNORECASE) and not _UNFIT.search(node.name)
        ]
    return found


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
    module, _, name = function.partition(":")
    tail = module.replace(".", "/")
    for file, text in session.sources.items():
        if not file.removesuffix(".py").removesuffix("/__init__").endswith(tail):
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                required = node.args.args[: len(node.args.args) - len(node.args.defaults)][1:]
                found = [next((column for column in row if column.lower() in {each.arg.lower(), f"user_{each.arg.lower()}"}), None) for each in required]
                return None if None in found else [each for each in found if each is not None]
    return []
