"""Owns the way to MySQL: every connection, whatever its settings say, leads to the lab's throw-away server."""

from __future__ import annotations

import re
from typing import Any

from .my_wire import ServerError, Session, identifier
from .recorder import RECORDER

NO_DATABASE = 1049
"""What the server says of a database that is not there."""
REFUSED = 2003
"""What clients say where nobody answers (dev.mysql.com/doc/mysql-errors/8.0/en/client-error-reference.html)."""
_WAY = frozenset(
    "host port user username password passwd password1 password2 password3 unix_socket bind_address db database"
    " read_default_file read_default_group option_files option_groups auth_plugin auth_plugin_map server_public_key"
    " server_public_key_path compress named_pipe failover dsn allow_local_infile_in_path kerberos_auth_mode"
    " oci_config_file oci_config_profile webauthn_callback openid_token_file use_pure force_ipv6 tls_versions tls_ciphersuites"
    " conn_attrs krb_service_principal".split()
)
"""Keywords of the drivers that say how to get to a server, and as whom."""
_CHOOSES = re.compile(r"\s*(?:use|create\s+(?:database|schema)(?:\s+if\s+not\s+exists)?)\s+[`\"]?([^`\";\s]+)", re.IGNORECASE)
_MAKES = ("use", "cre")
_LATER = re.compile(r"utf8mb4(?:_\w+?)?_0900_\w+", re.IGNORECASE)
_ALIKE = "utf8mb4_unicode_ci"
_UNNAMED = "toughen"


class Server:
    """The lab's server, as its configuration names it."""

    def __init__(self, path: str, user: str, app: str, mariadb: bool) -> None:
        """Take its socket, the agent's user, and the one as whom the prototype is led there."""
        self.path = path
        self.user = user
        self.app = app
        self.mariadb = mariadb
        self._known: set[str] = set()

    def session(self) -> Session:
        """A session of the agent's own. Raises OSError, ServerError."""
        return Session(self.path, self.user)

    def admit(self, database: str) -> None:
        """Note a database, and make it where it does not exist: outside somebody has done so."""
        if not database or database.lower() in ("mysql", "information_schema", "performance_schema", "sys"):
            return
        RECORDER.databases.setdefault(("mysql", database))
        if database in self._known:
            return
        try:
            session = self.session()
        except (OSError, ServerError):
            # The driver will say so in its own words.
            return
        try:
            session.rows("CREATE DATABASE IF NOT EXISTS " + identifier(database))
            self._known.add(database)
        except (OSError, ServerError):
            return
        finally:
            session.close()

    def lost(self, error: BaseException, database: str) -> bool:
        """Whether a connection failed because its database went since it was seen last; then it is made again."""
        if database not in self._known or code_of(error) != NO_DATABASE:
            return False
        self._known.discard(database)
        self.admit(database)
        return True


_server: Server | None = None


def install(config: dict[str, Any] | None) -> None:
    """Take the lab's word for where the server is; None: there is none."""
    global _server
    _server = None
    if config:
        _server = Server(
            str(config["socket"]), str(config.get("user") or "toughen"), str(config.get("app") or "app"), bool(config.get("mariadb"))
        )


def server(*, gone: bool = False) -> Server | None:
    """The server, None where the lab has none, or where it is `gone` as far as the prototype is to see."""
    return _server if gone or not RECORDER.gone() else None


def code_of(error: BaseException) -> int:
    """The number of an error of a driver's; 0 where it has none."""
    for each in (getattr(error, "errno", None), *error.args[:1]):
        if isinstance(each, int):
            return each
    return 0


def database_of(given: dict[str, Any]) -> str:
    """The database that a connection is for, "" for none; one whose name was to come from elsewhere and did not gets one of ours."""
    name = given.get("database") or given.get("db") or (_UNNAMED if "database" in given or "db" in given else "")
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def led(given: dict[str, Any], to: Server) -> dict[str, Any]:
    """Keywords of a driver that lead to the lab's server; what has nothing to do with the way there is kept."""
    kept = {name: value for name, value in given.items() if name not in _WAY and not name.startswith("ssl")}
    kept.update(unix_socket=to.path, user=to.app, password="")
    database = database_of(given)
    if database:
        kept["database"] = database
    for name in ("collation", "init_command"):
        if to.mariadb and isinstance(kept.get(name), str):
            kept[name] = spoken(kept[name])
    return kept


def refusal(given: dict[str, Any]) -> tuple[int, str]:
    """What a client says where nobody answers."""
    host = str(given.get("host") or "localhost")
    return REFUSED, "Can't connect to MySQL server on '" + host + "' ([Errno 111] Connection refused)"


def spoken(text: Any) -> Any:
    """A statement as the lab's server understands it: the collations of MySQL 8 are unknown to MariaDB, which has others alike."""
    if _server is None or not _server.mariadb:
        return text
    if isinstance(text, str) and "_0900_" in text:
        return _LATER.sub(_ALIKE, text)
    if isinstance(text, (bytes, bytearray)) and b"_0900_" in text:
        return _LATER.sub(_ALIKE, bytes(text).decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    return text


def read(text: Any) -> Any:
    """A statement that is about to run, as the server understands it; the database that it chooses is there."""
    chosen(text)
    return spoken(text)


def chosen(text: Any) -> None:
    """Admit the database that a statement chooses or makes."""
    if isinstance(text, (bytes, bytearray)):
        text = bytes(text[:200]).decode("utf-8", "replace")
    if _server is None or not isinstance(text, str) or text.lstrip()[:3].lower() not in _MAKES:
        return
    found = _CHOOSES.match(text)
    if found:
        if text.lstrip()[:3].lower() == "use":
            _server.admit(found.group(1))
        else:
            RECORDER.databases.setdefault(("mysql", found.group(1)))
