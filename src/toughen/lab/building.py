"""Owns what a package needs to be compiled and this machine lacks: the client library of MySQL, out of a package of the system's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.errors import LabError
from toughen.lab import debian
from toughen.lab.caching import uv

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = "libmariadb-dev"
"""The headers and the library that mysqlclient is compiled with."""
_WANTING = re.compile(r"MYSQLCLIENT_CFLAGS|mysql_config|Can not find valid pkg-config name|mysql\.h: No such file")
_SYSTEM = re.compile(r"^(lib(c|m|dl|pthread|rt|resolv|gcc_s)|ld-linux\S*|linux-vdso)\.so")


def install(*arguments: str) -> str | None:
    """`uv pip install`; None when it succeeded, else what it said. What fails for want of MySQL's client library is built with one."""
    failed = uv("pip", "install", *arguments)
    if failed is None or not _WANTING.search(failed):
        return failed
    try:
        variables = _flags(debian.unpacked(CLIENT))
    except LabError:
        return failed
    again = uv("pip", "install", *arguments, variables=variables) if variables else failed
    return None if again is None else failed if _WANTING.search(again) else again


def _flags(root: Path) -> dict[str, str]:
    """Variables by which mysqlclient finds it; it is linked in, so that nothing is needed of it later."""
    static = next(iter(sorted(root.rglob("libmariadb.a"))), None)
    shared = next(iter(sorted(root.rglob("libmariadb.so.*"))), None)
    headers = next(iter(sorted(root.rglob("include/mariadb/mysql.h"))), None)
    if static is None or shared is None or headers is None:
        return {}
    needs = [line.split()[0] for line in debian.linked(shared) if "=>" in line]
    linked = [f"-L{static.parent}", "-l:libmariadb.a", *(f"-l:{name}" for name in needs if not _SYSTEM.match(name)), "-lm", "-ldl", "-lpthread"]
    return {"MYSQLCLIENT_CFLAGS": f"-I{headers.parent}", "MYSQLCLIENT_LDFLAGS": " ".join(linked)}
