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


def argument(column: str, row: dict[str, Json]) -> Json:
    """What a token function is given: `id`, `str:id`, or `sub:username` for a claims dictionary."""
    shape, _, name = column.rpartition(":")
    value = row.get(name)
    match shape:
        case "":
            return value
        case "str":
            return str(value)
        case "sub" | "user_id" | "id" | "username" | "email":
            return {shape: str(value) if shape == "sub" else value}
    return value


def forgeries(session: Session, row: dict[str, Json]) -> Iterator[tuple[str, str, str]]:
    """(function, what it was given, token) for each way in which the project's own functions make a token for this row."""
    names = [name for name in ("id", "user_id", "username", "email", "name") if row.get(name) is not None]
    shapes = [*names, *(f"sub:{name}" for name in names), *(f"{name}:{name}" for name in names if name in {"user_id", "id", "username", "email"})]
    for function in functions(session, _TOKEN_MAKER):
        for shape in shapes:
            try:
                token = session.call_function(function, [argument(shape, row)])
            except LookupError:
                continue
            if isinstance(token, dict):
                token = next((each for each in token.values() if isinstance(each, str)), None)
            if isinstance(token, str) and len(token) > 12:  # noqa: PLR2004
                yield function, shape, token
