"""Owns the asking of a database of vulnerabilities about what is installed: by pip-audit, or by advisories that lie here."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from packaging.utils import canonicalize_name

from toughen.lab import osv
from toughen.lab.caching import cache_folder, locked
from toughen.model.advisory import Advisory, Affected, Audit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toughen.model.advisory import Package

SECONDS, _SOCKET_SECONDS = 60, 5
"""Longest time that one question may take, and one wait within it."""
_FRESH = 86_400
"""Seconds that an answer is kept for."""
_ROUNDS = 4
"""Later releases of a package that are asked about before none is named."""
_CONTROL = ("pycrypto", "2.6.1")
"""The last release of a package that was given up, with vulnerabilities that were never fixed (CVE-2013-7459, CVE-2018-6594): who does not know of them knows nothing."""
_INSTALL = "install it with `pip install 'toughen[dependencies]'`"
_FOLDER = "or name a folder of advisories in the OSV format: `advisories` in [tool.toughen]"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of some packages in some releases."""

    advisories: Mapping[str, tuple[Advisory, ...]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    """Packages that the database has never heard of."""
    failed: str = ""
    """Why there is no answer, and what to do about it."""


class Database(Protocol):
    """Who knows the vulnerabilities of packages."""

    @property
    def source(self) -> str:
        """In words."""

    def ask(self, releases: Mapping[str, str]) -> Answer:
        """What is known of these packages (name -> version)."""


@dataclass(frozen=True, slots=True)
class Files:
    """Advisories that lie in a folder or an archive."""

    place: Path
    source: str

    def ask(self, releases: Mapping[str, str]) -> Answer:
        """Read them all; no network is needed."""
        found, known = osv.records(self.place, releases)
        if not known:
            return Answer(failed=f"there is no advisory of a Python package in {self.source}")
        return Answer({name: told for name, version in releases.items() if (told := osv.advisories(found, name, version))})


@dataclass(frozen=True, slots=True)
class PipAudit:
    """pip-audit (of the Python Packaging Authority), with PyPI's database or with a service that speaks OSV's language."""

    url: str = ""
    cache: Path | None = None

    @property
    def source(self) -> str:
        """Which database it asks."""
        return f"pip-audit with {self.url}" if self.url else "pip-audit with PyPI's advisories"

    def ask(self, releases: Mapping[str, str]) -> Answer:
        """One call, kept for a day; nothing that failed is kept."""
        if importlib.util.find_spec("pip_audit") is None:
            return Answer(failed=f"pip-audit is not installed beside toughen: {_INSTALL}, {_FOLDER}")
        folder = (self.cache or cache_folder()) / "advisories"
        listed = "\n".join(sorted(f"{name}=={version}" for name, version in {_CONTROL[0]: _CONTROL[1], **releases}.items()))
        named = hashlib.blake2b(f"{self.url}\n{listed}".encode(), digest_size=16).hexdigest()
        kept = folder / f"{named}.json"
        with locked(kept.with_suffix(".lock")):
            said = _kept(kept)
            if said is None:
                said, failed = self._called(listed, folder)
                if failed:
                    return Answer(failed=failed)
            answer = _read(said, releases)
            if not answer.failed:
                kept.write_text(said)
        return answer

    def _called(self, listed: str, folder: Path) -> tuple[str, str]:
        """(what it printed, "") or ("", why it printed nothing)."""
        # Its working folder is empty: nothing of the prototype's is imported by our own interpreter.
        with tempfile.TemporaryDirectory(prefix="toughen-audit-") as empty:
            asked = Path(empty) / "installed.txt"
            asked.write_text(listed + "\n")
            service = ["--vulnerability-service", "osv", "--osv-url", self.url] if self.url else []
            command = [sys.executable, "-m", "pip_audit", "--requirement", str(asked), "--no-deps", "--disable-pip", "--format", "json", "--desc", "off"]
            options = ["--progress-spinner", "off", "--timeout", str(_SOCKET_SECONDS), "--cache-dir", str(folder / "http"), *service]
            environment = {key: value for key, value in os.environ.items() if key != "PIP_AUDIT_OUTPUT"}
            try:
                done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=SECONDS, check=False, cwd=empty, env=environment)
            except (OSError, subprocess.TimeoutExpired) as error:
                return "", f"{self.source} gave no answer ({type(error).__name__} after at most {SECONDS} s): check the network, {_FOLDER}"
        if done.returncode not in {0, 1} or not done.stdout.lstrip().startswith("{"):
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            return "", f"{self.source} gave no answer ({lines[-1][:200]}): check the network, {_FOLDER}"
        return done.stdout, ""


def _kept(file: Path) -> str | None:
    """An answer of the last day."""
    try:
        return file.read_text() if time.time() - file.stat().st_mtime < _FRESH else None
    except OSError:
        return None


def _read(said: str, releases: Mapping[str, str]) -> Answer:
    found: dict[str, tuple[Advisory, ...]] = {}
    unknown = []
    try:
        for each in json.loads(said)["dependencies"]:
            name = canonicalize_name(str(each["name"]))
            if "skip_reason" in each:
                unknown.append(name)
            elif each["vulns"]:
                found[name] = tuple(Advisory(str(one["id"]), tuple(map(str, one.get("aliases") or ())), osv.ordered(one["fix_versions"])) for one in each["vulns"])
    except (ValueError, KeyError, TypeError):
        return Answer(failed="pip-audit's answer cannot be read by this version of toughen")
    if _CONTROL[0] not in found and releases.get(_CONTROL[0], _CONTROL[1]) == _CONTROL[1]:
        what = f"it does not know of the vulnerabilities of {' '.join(_CONTROL)} either"
        return Answer(failed=f"the database that pip-audit reached here holds no advisories ({what}): check the network, {_FOLDER}")
    return Answer({name: each for name, each in found.items() if name in releases}, tuple(each for each in unknown if each in releases))


@dataclass(slots=True)
class Auditor:
    """Asks one database about one set of packages, once a run."""

    database: Database
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _said: Audit | None = None

    def audit(self, packages: Sequence[Package]) -> Audit:
        """What it says of them; remembered."""
        with self._lock:
            if self._said is None:
                self._said = self._ask(packages)
            return self._said

    def _ask(self, packages: Sequence[Package]) -> Audit:
        first = self.database.ask({each.name: each.version for each in packages})
        if first.failed:
            return Audit(asked=len(packages), unanswered=(f"{len(packages)} installed packages were not looked up: {first.failed}",))
        safe = self._safe({each.name: each.version for each in packages if each.name in first.advisories}, first.advisories)
        affected = tuple(Affected(each, first.advisories[each.name], safe.get(each.name, "")) for each in packages if each.name in first.advisories)
        told = f"{self.database.source} does not know {', '.join(first.unknown)}: nothing is said of them"
        return Audit(affected, len(packages), self.database.source, (told,) if first.unknown else ())

    def _safe(self, releases: dict[str, str], known: Mapping[str, tuple[Advisory, ...]]) -> dict[str, str]:
        """The nearest later releases that it knows nothing against."""
        safe: dict[str, str] = {}
        for _ in range(_ROUNDS):
            releases = {name: later for name, version in releases.items() if (later := _next(version, known.get(name, ())))}
            if not releases:
                break
            answer = self.database.ask(releases)
            if answer.failed:
                break
            safe |= {name: version for name, version in releases.items() if name not in answer.advisories and name not in answer.unknown}
            known = answer.advisories
        return safe


def _next(version: str, advisories: Sequence[Advisory]) -> str:
    """The lowest release in which all of these are fixed, of the same major version where there is one; "" where one is not fixed."""
    own = osv.parse(version)
    steps = []
    for each in advisories:
        later = [(parsed, fixed) for fixed in each.fixed if (parsed := osv.parse(fixed)) is not None and own is not None and parsed > own]
        if own is None or not later:
            return ""
        steps.append(min(later, key=lambda step: (step[0].major != own.major, step[0])))
    return max(steps)[1] if steps else ""


def auditor(told: str, root: Path) -> Auditor:
    """By the setting `advisories`: an address of a service, a folder or archive of files, or PyPI's advisories where it is empty."""
    if told.startswith(("http://", "https://")):
        return Auditor(PipAudit(told))
    return Auditor(Files(root / told, told) if told else PipAudit())
