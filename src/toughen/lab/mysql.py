"""Owns the throw-away MySQL or MariaDB server: where its program comes from, its data in memory, its start and its end."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import CLIENT

from toughen.errors import LabError
from toughen.lab import daemons, debian, sandbox
from toughen.lab.caching import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "toughen"
"""As whom the lab, and the agent for itself, connect; the prototype connects as APP, whatever it says."""
APP = "app"
PACKAGE = "mariadb-server-core"
"""MariaDB's server program in one of Debian's packages, taken where the system has none."""
_GLANCES = 100
_ANSWER_SECONDS = 60
"""Longest time that the lab waits for one answer of the server's."""
_METHOD = "1"
"""Raised where the first data would be made in another way."""
_OWN = ("information_schema", "mysql", "performance_schema", "sys")
_PARTS = ("system_tables", "performance_tables", "system_tables_data")
_ALWAYS = ("--skip-networking", "--skip-name-resolve")
_SETTINGS = (
    "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-use-native-aio=0",
    "--innodb-buffer-pool-dump-at-shutdown=0", "--innodb-buffer-pool-load-at-startup=0", "--max-connections=200", "--performance-schema=OFF",
    # InnoDB finds a deadlock at once. Who locks himself out is told so soon; in a race the agent has its sessions wait longer.
    "--innodb-deadlock-detect=ON", "--innodb-lock-wait-timeout=3", "--lock-wait-timeout=3", "--innodb-stats-persistent=0", "--event-scheduler=OFF",
)  # fmt: skip
_MARIADB = ("--character-set-server=utf8mb4", "--innodb-flush-method=nosync", "--log-warnings=0", "--collation-server=utf8mb4_unicode_ci", "--innodb-log-file-size=8M")
# Not every release knows the loose ones.
_MYSQL = ("--character-set-server=utf8mb4", "--innodb-flush-method=nosync", "--skip-log-bin", "--loose-mysqlx=OFF", "--log-error-verbosity=1", "--loose-innodb-redo-log-capacity=8M")


@dataclass(frozen=True, slots=True)
class Program:
    """The server as it is installed."""

    path: Path
    root: Path
    """Where all lies that it needs and that is no part of the system."""
    libraries: tuple[Path, ...] = ()

    @property
    def version(self) -> str:
        """`10.11.6-MariaDB`."""
        return _version(self.path, self.libraries)

    @property
    def mariadb(self) -> bool:
        """Whether it is MariaDB."""
        return "MariaDB" in self.version

    @property
    def share(self) -> Path | None:
        """The folder of its messages and of the statements that make its system tables."""
        above = self.path.parent.parent
        places = [above / "share" / name for name in ("mysql", "mariadb", "")]
        return next((each for each in places if (each / "english" / "errmsg.sys").exists() or (each / "charsets").is_dir()), None)


@dataclass(slots=True)
class Server:
    """A running server of one lab's own."""

    folder: Path
    program: Program
    box: sandbox.Box

    @property
    def socket(self) -> Path:
        """Folder of the Unix socket."""
        return self.folder / "socket"

    @property
    def version(self) -> str:
        """`10.11.6-MariaDB`."""
        return self.program.version

    @property
    def told(self) -> dict[str, Any]:
        """What the agent must know."""
        return {"socket": str(self.socket / "s"), "user": USER, "app": APP, "mariadb": self.program.mariadb}

    @property
    def variables(self) -> dict[str, str]:
        """By which MySQL's own programs find it."""
        return {"MYSQL_UNIX_PORT": str(self.socket / "s"), "MYSQL_PWD": ""}

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        """A connection of the lab's own, each statement its own transaction. Raises pymysql.Error."""
        return pymysql.connect(
            unix_socket=str(self.socket / "s"), user=USER, password="", database=database, autocommit=True, charset="utf8mb4", connect_timeout=10,
            read_timeout=_ANSWER_SECONDS, write_timeout=_ANSWER_SECONDS, client_flag=CLIENT.FOUND_ROWS,
        )

    def hang_up(self) -> None:
        """End every connection but the lab's own, as a server does that is started anew. Raises pymysql.Error."""
        with contextlib.closing(self.connect()) as live, live.cursor() as cursor:
            for _ in range(_GLANCES):
                cursor.execute("SELECT id FROM information_schema.processlist WHERE user = %s", [APP])
                others = cursor.fetchall()
                if not others:
                    return
                for (number,) in others:
                    with contextlib.suppress(pymysql.Error):
                        cursor.execute(f"KILL {int(number)}")
                time.sleep(0.02)

    def databases(self) -> list[str]:
        """Names of all databases but the server's own."""
        with contextlib.closing(self.connect()) as live, live.cursor() as cursor:
            cursor.execute("SHOW DATABASES")
            return sorted(str(name) for (name,) in cursor.fetchall() if str(name).lower() not in _OWN)

    def ensure(self, database: str) -> None:
        """Make a database, where it is not there. Raises pymysql.Error."""
        with contextlib.closing(self.connect()) as live, live.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {named(database)}")


@functools.cache
def lacking(cache: Path | None = None) -> str:
    """Why there can be no such server on this machine, and what would help; "" where there can."""
    try:
        _program(cache or cache_folder())
    except LabError as error:
        return f"{error.message}: {error.hint}" if error.hint else error.message
    return ""


def named(name: str) -> str:
    """A name as the server's SQL writes it."""
    return "`" + name.replace("`", "``") + "`"


@contextlib.contextmanager
def serve(cache: Path | None = None) -> Iterator[Server]:
    """A fresh server with no database; it is gone with all its data when the context ends.

    Raises LabError where neither MySQL nor MariaDB can be had, or where it does not start.
    """
    cache = cache or cache_folder()
    program = _program(cache)
    with daemons.folder("my") as folder:
        data = _data(cache, program, folder)
        for name in ("socket", "private"):
            (folder / name).mkdir(exist_ok=True)
        shutil.copytree(data, folder / "data")
        places = [f"--datadir={folder / 'data'}", f"--socket={folder / 'socket' / 's'}", f"--pid-file={folder / 'pid'}"]
        with contextlib.closing(_run(program, folder, [*_options(program), *_ALWAYS, *_SETTINGS, *places], "server")) as box:
            server = Server(folder, program, box)
            daemons.await_answer(box, server.socket / "s", server.connect, pymysql.Error, "MySQL")
            yield server


def _options(program: Program) -> list[str]:
    """What every start needs; `--no-defaults` must come first."""
    found = ["--no-defaults", f"--basedir={program.path.parent.parent}", *(["--user=root"] if os.geteuid() == 0 else [])]
    share = program.share
    if share is not None:
        found += [f"--lc-messages-dir={share}", f"--character-sets-dir={share / 'charsets'}"]
    return [*found, *(_MARIADB if program.mariadb else _MYSQL)]


def _run(program: Program, folder: Path, arguments: list[str], name: str, stdin: Path | None = None) -> sandbox.Box:
    """Start the program in a box of its own."""
    daemon = sandbox.Daemon(None, folder / "private", (str(program.root), *map(str, program.libraries)), 0)
    environment = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder / "private"), "TZ": "UTC", "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": ":".join(map(str, program.libraries))}
    return sandbox.start([[str(program.path), *arguments]], work=folder, cwd=folder, environment=environment, name=name, daemon=daemon, stdin=stdin)


def _data(cache: Path, program: Program, folder: Path) -> Path:
    """A data folder as the program itself makes it, with the lab's users; made once for each version. Raises LabError."""
    digest = hashlib.blake2b(f"{_METHOD} {program.version} {USER} {APP}".encode(), digest_size=8).hexdigest()
    statements = folder / "first.sql"

    def make() -> sandbox.Box:
        into = f"--datadir={folder / 'data'}"
        if program.mariadb:
            statements.write_text(_first(program))
            return _run(program, folder, [*_options(program), "--bootstrap", into], "initial", statements)
        statements.write_text("".join(f"CREATE USER {name}@localhost;\nGRANT ALL ON *.* TO {name}@localhost WITH GRANT OPTION;\n" for name in (USER, APP)))
        return _run(program, folder, [*_options(program), "--initialize-insecure", into, f"--init-file={statements}"], "initial")

    return daemons.prepared(cache / "mysql" / f"data-{digest}", "mysql", folder, make, "MySQL")


def _first(program: Program) -> str:
    """The statements that make MariaDB's system tables, and two users who may do everything, by their socket and without a password. Raises LabError."""
    share = program.share
    files = [next(iter(sorted(share.glob(f"*_{part}.sql"))), None) if share else None for part in _PARTS]
    if None in files:
        raise LabError("this MariaDB cannot be prepared: the statements that make its system tables are not there", subject=share or program.path)
    texts = [file.read_text(errors="replace") for file in files if file is not None]
    users = [f"INSERT INTO global_priv SELECT Host, '{name}', Priv FROM global_priv WHERE User = 'root' AND Host = 'localhost';" for name in (USER, APP)]
    return "\n".join(["CREATE DATABASE mysql;", "USE mysql;", "SET @auth_root_socket = NULL;", *texts, *users, ""])


@functools.cache
def _version(program: Path, libraries: tuple[Path, ...]) -> str:
    return daemons.version([str(program), "--no-defaults"], r"Ver (\d+\.\d+\S*)", {"PATH": os.defpath, "LD_LIBRARY_PATH": ":".join(map(str, libraries))})


def _program(cache: Path) -> Program:
    """The server's program: the system's, else that of a package. Raises LabError."""
    for path in _installed():
        found = Program(path, path.parent.parent)
        if found.version:
            return found
    return _packaged(cache)


def _installed() -> Iterator[Path]:
    for name in ("mariadbd", "mysqld"):
        on_path = shutil.which(name)
        if on_path:
            yield Path(on_path).resolve()
    patterns = ("usr/sbin", "usr/libexec", "usr/local/mysql/bin", "usr/local/sbin", "opt/homebrew/opt/mariadb*/bin", "opt/homebrew/opt/mysql*/bin", "usr/local/opt/mysql*/bin")
    for pattern in patterns:
        yield from (path.resolve() for name in ("mariadbd", "mysqld") for path in Path("/").glob(f"{pattern}/{name}"))


def _packaged(cache: Path) -> Program:
    """The program that the package brings, unpacked into the cache. Raises LabError."""
    try:
        root = debian.unpacked(PACKAGE, cache)
    except LabError as error:
        said = f"{error.message}: {error.hint}" if error.hint else error.message
        raise LabError(
            "the prototype wants MySQL, and this machine has none", subject=PACKAGE,
            hint=f"install MariaDB or MySQL (its server program is enough; it need not run); taking it as a package failed: {said}",
        ) from error
    found = Program(root / "usr" / "sbin" / "mariadbd", root, tuple(debian.libraries(root)))
    if not found.version:
        lacks = ", ".join(debian.needed(found.path, found.libraries))
        raise LabError("the prototype wants MySQL, and the package that should bring it does not run", subject=PACKAGE, hint=f"it lacks {lacks}" if lacks else "")
    return found
