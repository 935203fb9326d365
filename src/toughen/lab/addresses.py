"""Owns which database server a prototype wants, and the address that it is given where it names none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from toughen.lab.needs import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from toughen.model.blueprint import Blueprint

URL = re.compile(r"(DATABASE|DB|SQLALCHEMY|SQL|POSTGRES|POSTGRESQL|PG|MYSQL).*(URL|URI|DSN)$", re.IGNORECASE)
"""Variables that hold a database's whole address."""
PART = re.compile(r"^(DB|DATABASE|POSTGRES|POSTGRESQL|PG|SQL)_?(HOST|HOSTNAME|SERVER|PORT|USER|USERNAME|PASS|PASSWORD|PWD|NAME|DB|DATABASE)$", re.IGNORECASE)
"""Variables that hold a part of one."""
SERVER = re.compile(r"postgres|mysql|mariadb|mssql|oracle|cockroach", re.IGNORECASE)
POSTGRES = re.compile(r"postgres|psycopg|asyncpg|pg8000", re.IGNORECASE)
_WAITS = re.compile(r"\+(asyncpg|aiomysql|asyncmy|psycopg_async)")
_SPOKEN = re.compile(r"\bpostgres(?:ql)?(?:\+\w+)?://|\b(?:psycopg2?|asyncpg|pg8000)\b")
_TURNED = re.compile(r"replace\(\s*['\"]postgres")
_PARTS = {"port": "5432", "user": "toughen", "pass": "toughen", "pwd": "toughen", "host": "localhost", "server": "localhost"}
_NEEDS = ("*requirements*.txt", "requirements/*.txt", "pyproject.toml", "Pipfile", "setup.py", "environment.y*ml")


@dataclass(frozen=True, slots=True)
class Spoken:
    """How the source speaks to its database."""

    engines: str
    """`sync` or `async` where it makes SQLAlchemy engines, else empty."""
    drivers: frozenset[str]
    """Of psycopg2, psycopg, asyncpg and pg8000 those that the source or the requirements name."""
    turned: bool
    """Whether the source puts the driver into the address itself."""
    postgres: bool
    """Whether the source itself says PostgreSQL, by an address or a driver."""

    def waits(self, named: str) -> bool:
        """Whether an address like that is for an asynchronous driver."""
        return bool(_WAITS.search(named)) or self.engines == "async"

    def sqlite(self, named: str) -> str:
        """An address of SQLite's for the same kind of engine."""
        return "sqlite+aiosqlite:///./toughen-lab.db" if self.waits(named) else "sqlite:///./toughen-lab.db"

    def server(self, named: str) -> str:
        """An address of PostgreSQL's for the same kind of engine: where it leads is decided by the driver's hook."""
        driver = ""
        if match := re.match(r"postgres(?:ql)?(\+\w+)://", named):
            driver = match.group(1)
        elif self.engines and not self.turned:
            known = ("asyncpg", "psycopg") if self.waits(named) else ("psycopg2", "psycopg", "pg8000")
            spoken = next((each for each in known if each in self.drivers), known[0])
            driver = "" if spoken == "psycopg2" else f"+{spoken}"
        return f"postgresql{driver}://toughen:toughen@localhost:5432/toughen"


def spoken(root: Path, texts: Iterable[str]) -> Spoken:
    """Read how the source, and what the project requires, speak to a database."""
    engines, turned, postgres = "", False, False
    drivers: set[str] = set()
    for text in texts:
        if "create_async_engine" in text:
            engines = "async"
        elif not engines and re.search(r"\bcreate_engine\(|SQLALCHEMY_DATABASE_URI", text):
            engines = "sync"
        turned = turned or bool(_TURNED.search(text))
        found = set(_SPOKEN.findall(text))
        postgres = postgres or bool(found)
        drivers |= found
    for file in chain.from_iterable(root.glob(pattern) for pattern in _NEEDS):
        if file.is_file() and file.stat().st_size < 1 << 20:
            drivers |= set(re.findall(r"\b(psycopg2|psycopg|asyncpg|pg8000)\b", text_of(file)))
    return Spoken(engines, frozenset(drivers), turned, postgres)


def part(name: str) -> str:
    """A value for a part of an address, by the variable's name; where it leads is decided by the driver's hook."""
    return next((value for word, value in _PARTS.items() if word in name.lower()), "toughen")


def wants_postgres(blueprint: Blueprint, speaks: Spoken, values: Mapping[str, str]) -> bool:
    """Whether the prototype may connect to a PostgreSQL server: it says so, or what it is configured with does."""
    return blueprint.database == "postgresql" or speaks.postgres or any(POSTGRES.search(each) for each in values.values())
