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
PART = re.compile(r"^(DB|DATABASE|POSTGRES|POSTGRESQL|PG|SQL|MYSQL|MARIADB)_?(HOST|HOSTNAME|SERVER|PORT|USER|USERNAME|PASS|PASSWORD|PWD|NAME|DB|DATABASE)$", re.IGNORECASE)
"""Variables that hold a part of one."""
SERVER = re.compile(r"postgres|mysql|mariadb|mssql|oracle|cockroach", re.IGNORECASE)
POSTGRES = re.compile(r"postgres|psycopg|asyncpg|pg8000", re.IGNORECASE)
MYSQL = re.compile(r"mysql|mariadb|asyncmy", re.IGNORECASE)
_WAITS = re.compile(r"\+(asyncpg|aiomysql|asyncmy|psycopg_async)")
_SPOKEN = re.compile(r"\bpostgres(?:ql)?(?:\+\w+)?://|\b(?:psycopg2?|asyncpg|pg8000)\b")
_SPOKEN_MYSQL = re.compile(r"\b(?:mysql|mariadb)(?:\+\w+)?://|\bimport (pymysql|aiomysql|asyncmy|MySQLdb|mysql\.connector)|\bfrom (pymysql|aiomysql|asyncmy|MySQLdb|mysql\.connector|flask_mysqldb|flaskext\.mysql)\b")
_DIALECTS = {"aiomysql": "aiomysql", "asyncmy": "asyncmy", "pymysql": "pymysql", "mysqldb": "mysqldb", "mysqlclient": "mysqldb", "mysql.connector": "mysqlconnector", "mysql-connector-python": "mysqlconnector"}
"""Names of MySQL's drivers, and of their packages, and what SQLAlchemy calls them."""
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
    mysql: bool = False
    """Whether it says MySQL."""
    dialects: frozenset[str] = frozenset()
    """The drivers of MySQL that the source or the requirements name, as SQLAlchemy calls them."""

    def waits(self, named: str) -> bool:
        """Whether an address like that is for an asynchronous driver."""
        return bool(_WAITS.search(named)) or self.engines == "async"

    def sqlite(self, named: str) -> str:
        """An address of SQLite's for the same kind of engine."""
        return "sqlite+aiosqlite:///./toughen-lab.db" if self.waits(named) else "sqlite:///./toughen-lab.db"

    def server(self, named: str, kind: str = "postgresql") -> str:
        """An address of a server's for the same kind of engine: where it leads is decided by the driver's hook."""
        if kind == "mysql":
            return self._mysql(named)
        driver = ""
        if match := re.match(r"postgres(?:ql)?(\+\w+)://", named):
            driver = match.group(1)
        elif self.engines and not self.turned:
            known = ("asyncpg", "psycopg") if self.waits(named) else ("psycopg2", "psycopg", "pg8000")
            spoken = next((each for each in known if each in self.drivers), known[0])
            driver = "" if spoken == "psycopg2" else f"+{spoken}"
        return f"postgresql{driver}://toughen:toughen@localhost:5432/toughen"


    def _mysql(self, named: str) -> str:
        driver = ""
        if match := re.match(r"(?:mysql|mariadb)(\+\w+)://", named):
            driver = match.group(1)
        elif self.engines:
            known = ("aiomysql", "asyncmy") if self.waits(named) else ("pymysql", "mysqldb", "mysqlconnector")
            spoken = next((each for each in known if each in self.dialects), known[0])
            driver = "" if spoken == "mysqldb" else f"+{spoken}"
        return f"mysql{driver}://toughen:toughen@localhost:3306/toughen"


def spoken(root: Path, texts: Iterable[str]) -> Spoken:
    """Read how the source, and what the project requires, speak to a database."""
    engines, turned, postgres, mysql = "", False, False, False
    dialects: set[str] = set()
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
        said = [driver for each in _SPOKEN_MYSQL.finditer(text) for driver in each.groups()[:2]]
        mysql = mysql or bool(said)
        dialects |= {_DIALECTS.get(each.lower(), "mysqldb" if each == "flask_mysqldb" else "pymysql") for each in said if each}
    for file in chain.from_iterable(root.glob(pattern) for pattern in _NEEDS):
        if file.is_file() and file.stat().st_size < 1 << 20:
            needs = text_of(file)
            drivers |= set(re.findall(r"\b(psycopg2|psycopg|asyncpg|pg8000)\b", needs))
            dialects |= {_DIALECTS[each.lower()] for each in re.findall(r"\b(pymysql|aiomysql|asyncmy|mysqlclient|mysql-connector-python)\b", needs, re.IGNORECASE)}
    return Spoken(engines, frozenset(drivers), turned, postgres, mysql, frozenset(dialects))


def part(name: str) -> str:
    """A value for a part of an address, by the variable's name; where it leads is decided by the driver's hook."""
    if MYSQL.search(name) and "port" in name.lower():
        return "3306"
    return next((value for word, value in _PARTS.items() if word in name.lower()), "toughen")


def kind_of(named: str) -> str:
    """Of which kind of server an address is, "" for none that the lab starts."""
    return "postgresql" if POSTGRES.search(named) else "mysql" if MYSQL.search(named) else ""


def wanted_server(blueprint: Blueprint, speaks: Spoken, values: Mapping[str, str]) -> str:
    """The kind of server that the prototype may connect to: it says so, or what it is configured with does; "" for none."""
    kinds = {kind_of(each) for each in values.values()}
    postgres = blueprint.database == "postgresql" or speaks.postgres or "postgresql" in kinds
    mysql = blueprint.database == "mysql" or speaks.mysql or "mysql" in kinds
    if postgres and mysql:
        # One that supports both is tried on the one that its configuration names.
        named = [kind for value in values.values() if "://" in value and (kind := kind_of(value))]
        return named[0] if named else "mysql" if blueprint.database == "mysql" else "postgresql"
    return "postgresql" if postgres else "mysql" if mysql else ""
