"""Owns the schema that a project brings as files of SQL, run as their author ran it: by the server's own client."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import pymysql

from toughen.lab import mysql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.lab.boot import Lab

_LARGEST, _FILES = 16 << 20, 20
_SKIPPED = {"node_modules", "site-packages", "venv", ".venv", "env", ".git", "drizzle", "prisma"}
_ASIDE = re.compile(r"(^|[._/-])(tests?|rollback|down|drop|teardown|queries|query|solutions?)([._/-]|$)", re.IGNORECASE)
_MAKES = re.compile(r"\bCREATE\s+TABLE\b", re.IGNORECASE)
_FILLS = re.compile(r"\bINSERT\s+INTO\b|\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:\w+\s*=\s*\S+\s+)*(?:VIEW|PROCEDURE|FUNCTION|TRIGGER)\b", re.IGNORECASE)
_TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`|--(?=\s|$)[^\n]*|#[^\n]*|/\*(?!!).*?\*/", re.DOTALL)
_DELIMITER = re.compile(r"^[ \t]*DELIMITER[ \t]+(\S+)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_CHOOSES = re.compile(r"\s*(?:USE|(?:CREATE|DROP)\s+(?:DATABASE|SCHEMA))\b", re.IGNORECASE)
_MAKER = re.compile(r"DEFINER\s*=\s*(?:`[^`]*`|'[^']*'|\w+)\s*@\s*(?:`[^`]*`|'[^']*'|[\w%.]+)", re.IGNORECASE)
_LATER = re.compile(r"utf8mb4(?:_\w+?)?_0900_\w+", re.IGNORECASE)


def load(lab: Lab) -> list[str]:
    """Run the project's files of SQL on its database; what was done, in words. Nothing where its server is another."""
    server = lab.world.server
    if not isinstance(server, mysql.Server):
        return []
    done = []
    with contextlib.suppress(pymysql.Error):
        own = [name for name in server.databases() if name in lab.opened] or server.databases()
        for file in _files(lab.project):
            text = file.read_text(encoding="utf-8", errors="replace")
            if run(server, text, own[0] if len(own) == 1 else None):
                done.append(f"ran {file.relative_to(lab.project).as_posix()}")
    return done


def run(server: mysql.Server, text: str, database: str | None) -> int:
    """Run a text's statements one by one, going on behind one that fails; how many went well.

    All of it goes into `database`, where there is one, whatever the text calls it.
    """
    # Whoever made a view there is not known here.
    text = _MAKER.sub("DEFINER=CURRENT_USER", text)
    if server.program.mariadb:
        text = _LATER.sub("utf8mb4_unicode_ci", text)
    went = 0
    with contextlib.closing(server.connect(database)) as live, live.cursor() as cursor:
        for statement in statements(text):
            if database is not None and _CHOOSES.match(statement):
                continue
            with contextlib.suppress(pymysql.Error):
                cursor.execute(statement)
                went += 1
    return went


def statements(text: str) -> Iterator[str]:
    """The statements of a text as the client of MySQL takes it apart: `DELIMITER` is its own word."""
    end, at = ";", 0
    for change in [*_DELIMITER.finditer(text), None]:
        yield from _split(text[at : change.start() if change else len(text)], end)
        if change is not None:
            end, at = change.group(1), change.end()


def _split(text: str, end: str) -> Iterator[str]:
    start = at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is not None:
            at = token.end()
        elif text.startswith(end, at):
            if statement := _bare(text[start:at]):
                yield statement
            start = at = at + len(end)
        else:
            at += 1
    if statement := _bare(text[start:]):
        yield statement


def _bare(statement: str) -> str:
    """A statement without what stands in front of it; "" where nothing is left."""
    while True:
        statement = statement.strip()
        found = re.match(r"--(?=\s|$)[^\n]*|#[^\n]*|/\*(?!!).*?\*/", statement, re.DOTALL)
        if found is None:
            return statement
        statement = statement[found.end() :]


def _files(root: Path) -> list[Path]:
    """Files that make tables, then those that fill them."""
    makes, fills = [], []
    for folder, names, files in os.walk(root):
        names[:] = [each for each in names if each not in _SKIPPED and not each.startswith(".")]
        for name in files:
            place = root.__class__(folder) / name
            if not name.lower().endswith(".sql") or _ASIDE.search(place.relative_to(root).as_posix()):
                continue
            # What a link leads to may not be there, and who reads a pipe waits for ever.
            if not place.is_file() or place.stat().st_size > _LARGEST:
                continue
            text = place.read_text(encoding="utf-8", errors="replace")
            if _MAKES.search(text):
                makes.append(place)
            elif _FILLS.search(text):
                fills.append(place)
    return [file for each in (makes, fills) for file in sorted(each, key=lambda file: (len(file.parts), file.as_posix()))][:_FILES]
