"""Owns the way to PostgreSQL: every connection, whatever its settings say, leads to the lab's throw-away server."""

from __future__ import annotations

import os
import re
import time
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .pg_wire import ServerError, Session, identifier, literal
from .recorder import RECORDER

MAINTENANCE = "postgres"
"""The database that every server has; and the role that dumps of other servers name as owner."""
_ATTEMPTS = 40
_EXISTS = ("42P04", "42710", "23505")
"""It is there already, or another process makes it at this moment."""
_BUSY = ("55006", "57P03", "53300")
_DROPPED = (
    "host hostaddr port user password passfile service servicefile requirepeer require_auth channel_binding"
    " target_session_attrs load_balance_hosts direct_tls database"
).split()
_FAMILIES = ("ssl", "gss", "krb", "scram_", "oauth_")
_NEUTRAL = {
    "PGHOSTADDR": ("hostaddr", ""),
    "PGGSSENCMODE": ("gssencmode", "disable"),
    "PGCHANNELBINDING": ("channel_binding", "disable"),
    "PGTARGETSESSIONATTRS": ("target_session_attrs", "any"),
    "PGREQUIREAUTH": ("require_auth", ""),
    "PGREQUIREPEER": ("requirepeer", ""),
    "PGSSLROOTCERT": ("sslrootcert", ""),
    "PGSSLNEGOTIATION": ("sslnegotiation", "postgres"),
}
"""What libpq would take from the environment, where it is set, and what to say against it. Older releases do not know
all of these words: only what somebody set is answered."""

_SPACE = re.compile(r"(?<!\\)\s+")


class Server:
    """The lab's server, as its configuration names it."""

    def __init__(self, folder: str, port: int, user: str) -> None:
        """Take its socket's folder, its port and its superuser."""
        self.folder = folder
        self.port = port
        self.user = user
        self._known: set[tuple[str, str]] = set()

    @property
    def path(self) -> str:
        """The Unix socket."""
        return os.path.join(self.folder, ".s.PGSQL." + str(self.port))

    def session(self, database: str = MAINTENANCE, settings: dict[str, str] | None = None) -> Session:
        """A session of the agent's own. Raises OSError, ServerError."""
        return Session(self.path, self.user, database, {"application_name": "toughen", **(settings or {})})

    def admit(self, database: str, user: str) -> None:
        """Note a database, and make it and the prototype's user where they do not exist: outside somebody has done so."""
        RECORDER.databases.setdefault(("postgresql", database))
        if (database, user) in self._known:
            return
        try:
            session = self.session()
        except (OSError, ServerError):
            # The driver will say so in its own words.
            return
        try:
            for role in dict.fromkeys((MAINTENANCE, user)):
                if not session.rows("SELECT 1 FROM pg_roles WHERE rolname = " + literal(role)):
                    _make(session, "CREATE ROLE " + identifier(role) + " SUPERUSER LOGIN")
            if not session.rows("SELECT 1 FROM pg_database WHERE datname = " + literal(database)):
                _make(session, "CREATE DATABASE " + identifier(database))
            self._known.add((database, user))
        except (OSError, ServerError):
            return
        finally:
            session.close()

    def forget(self) -> None:
        """Look again whether databases are there: one that was is gone."""
        self._known.clear()

    def lost(self, error: BaseException, database: str, user: str) -> bool:
        """Whether a connection failed because its database went since it was seen last; then it is made again."""
        if (database, user) not in self._known or "does not exist" not in str(error):
            return False
        self._known.discard((database, user))
        self.admit(database, user)
        return True


def _make(session: Session, statement: str) -> None:
    for _ in range(_ATTEMPTS):
        try:
            session.rows(statement)
        except ServerError as error:
            if error.code in _EXISTS:
                return
            if error.code not in _BUSY:
                raise
            # Another process copies the template at this moment.
            time.sleep(0.05)
        else:
            return


_server: Server | None = None


def install(config: dict[str, Any] | None) -> None:
    """Take the lab's word for where the server is; None: there is none."""
    global _server
    _server = None
    if config:
        user = str(config.get("user") or "toughen")
        _server = Server(str(config["socket"]), int(config.get("port") or 5432), user)


def server(*, gone: bool = False) -> Server | None:
    """The server, None where the lab has none, or where it is `gone` as far as the prototype is to see."""
    return _server if gone or not RECORDER.gone() else None


def names(given: dict[str, Any]) -> tuple[str, str]:
    """(database, user) that the prototype means, found as libpq finds them."""
    user = str(given.get("user") or os.environ.get("PGUSER") or MAINTENANCE)
    return str(given.get("dbname") or given.get("database") or os.environ.get("PGDATABASE") or user), user


def led(given: dict[str, Any], to: Server) -> dict[str, Any]:
    """Keywords of libpq that lead to the lab's server; what has nothing to do with the way there is kept."""
    database, _ = names(given)
    kept = {name: value for name, value in given.items() if value is not None and not of_the_way(name)}
    options = given.get("options")
    if options is None:
        options = os.environ.get("PGOPTIONS")
    if options is not None:
        kept["options"] = options_of(str(options))
    for name, (keyword, value) in _NEUTRAL.items():
        if name in os.environ:
            kept[keyword] = value
    kept.update(host=to.folder, port=str(to.port), user=to.user, dbname=database, sslmode="disable")
    return kept


def of_the_way(name: str) -> bool:
    """Whether a keyword says how to get to a server, and as whom."""
    return name in _DROPPED or name.startswith(_FAMILIES)


def options_of(text: str) -> str:
    """Options that a server knows; what stands there bare (`endpoint=...`) is meant for a proxy in front of it."""
    kept: list[str] = []
    words = iter(_SPACE.split(text.strip()))
    for word in words:
        if word == "-c":
            kept += [word, next(words, "")]
        elif word.startswith("-"):
            kept.append(word)
    return " ".join(kept)


def address(given: dict[str, Any]) -> tuple[str, int]:
    """(host, port) that the prototype means."""
    host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST") or "localhost"
    port = given.get("port") or os.environ.get("PGPORT") or 5432
    try:
        return str(host), int(port)
    except (TypeError, ValueError):
        return str(host), 5432


def refusal(given: dict[str, Any]) -> str:
    """What libpq says where nobody answers."""
    host, port = address(given)
    return (
        'connection to server at "' + host + '", port ' + str(port) + " failed: Connection refused\n"
        "\tIs the server running on that host and accepting TCP/IP connections?\n"
    )


def parsed(address: str) -> dict[str, Any]:
    """The keywords of a URL, read as asyncpg and libpq read them."""
    parts = urlsplit(address)
    given: dict[str, Any] = dict(parse_qsl(parts.query))
    login, _, where = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    host, _, port = where.partition(",")[0].rpartition(":") if ":" in where else (where, "", "")
    found = {"host": host, "port": port, "user": user, "password": password, "database": parts.path.lstrip("/")}
    for name, value in found.items():
        if value:
            given.setdefault(name, unquote(value))
    return given


def session_of(given: dict[str, Any], encoding: str | None) -> dict[str, str]:
    """What libpq tells the server at the start of a session with these keywords."""
    told = {"client_encoding": encoding or "UTF8"}
    name = given.get("application_name") or given.get("fallback_application_name")
    if name:
        told["application_name"] = str(name)
    if given.get("options"):
        told["options"] = str(given["options"])
    return told
