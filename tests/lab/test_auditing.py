"""Asking pip-audit for real, with a service on this machine in the place of the world's database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toughen.lab.auditing import Answer, Auditor, Files, PipAudit, auditor
from toughen.lab.environment import Environment
from toughen.lab.needs import Needs
from toughen.lab.packages import installed
from toughen.model.advisory import Advisory, Package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

GIVEN_UP = {"pycrypto": [("CVE-2013-7459", "99")]}
FLASK = Package("flask", "2.0.0")


@dataclass
class Service:
    """A vulnerability service: (id, first release without it) by package."""

    known: Mapping[str, list[tuple[str, str]]]
    status: int = 200
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, package: str, version: str) -> dict[str, Any]:
        self.asked.append(f"{package}=={version}")
        vulns = [
            {"id": name, "affected": [{"package": {"name": package, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]}
            for name, fixed in self.known.get(package, []) if [int(part) for part in version.split(".")] < [int(part) for part in fixed.split(".")]
        ]
        return {"vulns": vulns} if vulns else {}


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    """Serve it on the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(service.answer(query["package"]["name"], query["version"])).encode()
            self.send_response(service.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        service.url = f"http://127.0.0.1:{server.server_port}/v1/query"
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Serve for as long as the test lasts."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda *args, **keywords: stack.enter_context(serving(Service(*args, **keywords)))


def test_what_is_affected_and_the_nearest_release_that_is_not(serve: Callable[..., Service], tmp_path: Path) -> None:
    """The later release is asked about as well, until one is free of all that is known; the same major version goes first."""
    service = serve({**GIVEN_UP, "flask": [("CVE-1", "2.2.5"), ("CVE-2", "2.3.2")]})
    found = Auditor(PipAudit(service.url, tmp_path)).audit([FLASK, Package("click", "8.0.0")])
    assert [(each.package, each.safe) for each in found.affected] == [(FLASK, "2.3.2")]
    assert {one.id for each in found.affected for one in each.advisories} == {"CVE-1", "CVE-2"}
    assert (found.asked, found.unanswered) == (2, ())
    assert "flask==2.3.2" in service.asked


def test_an_answer_is_kept_for_a_day(serve: Callable[..., Service], tmp_path: Path) -> None:
    """The same releases are asked about once, other ones anew."""
    service = serve(GIVEN_UP)
    for _ in range(2):
        assert Auditor(PipAudit(service.url, tmp_path)).audit([FLASK]).unanswered == ()
    assert service.asked.count("flask==2.0.0") == 1
    Auditor(PipAudit(service.url, tmp_path)).audit([Package("flask", "2.0.1")])
    assert "flask==2.0.1" in service.asked


def test_a_database_without_advisories_is_not_believed(serve: Callable[..., Service], tmp_path: Path) -> None:
    """Who knows nothing of a package that is affected beyond doubt (a mirror, a proxy) says nothing by his silence."""
    found = Auditor(PipAudit(serve({}).url, tmp_path)).audit([FLASK])
    assert not found.affected
    assert "1 installed packages were not looked up" in found.unanswered[0]
    assert "holds no advisories" in found.unanswered[0]


@pytest.mark.parametrize("status", [500, 429])
def test_a_service_that_fails_is_told(serve: Callable[..., Service], tmp_path: Path, status: int) -> None:
    """No answer is no clean bill, and is not kept."""
    service = serve(GIVEN_UP, status)
    assert "gave no answer" in Auditor(PipAudit(service.url, tmp_path)).audit([FLASK]).unanswered[0]
    service.status = 200
    assert Auditor(PipAudit(service.url, tmp_path)).audit([FLASK]).unanswered == ()


def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    """A closed network ends in a sentence that says what to do."""
    told = Auditor(PipAudit("http://127.0.0.1:9/v1/query", tmp_path)).audit([FLASK]).unanswered[0]
    assert "check the network" in told
    assert "`advisories` in [tool.toughen]" in told


def test_without_pip_audit_it_says_how_to_get_it(tmp_path: Path) -> None:
    """An interpreter that lacks the extra asks nobody and names the extra."""
    code = "import sys; sys.modules['pip_audit'] = None\nfrom toughen.lab import auditing\nimport importlib.util as u\nu.find_spec = lambda name: None\nprint(auditing.PipAudit().ask({'flask': '2.0.0'}).failed)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert "pip install 'toughen[dependencies]'" in done.stdout


@dataclass(frozen=True)
class Known:
    """A database that is asked by a call."""

    told: Mapping[str, Answer]
    source: str = "a list"

    def ask(self, releases: Mapping[str, str]) -> Answer:
        return self.told[",".join(f"{name}=={version}" for name, version in releases.items())]


def test_no_release_is_named_where_none_is_known_to_be_free_of_it() -> None:
    """A vulnerability that nobody fixed leaves nothing to raise to, and unknown packages are told."""
    said = Answer({"flask": (Advisory("CVE-1", fixed=("2.0.1",)), Advisory("CVE-2"))}, unknown=("inner",))
    found = Auditor(Known({"flask==2.0.0,inner==1": said})).audit([FLASK, Package("inner", "1")])
    assert found.affected[0].safe == ""
    assert "inner" in found.unanswered[0]


def test_the_setting_chooses_who_is_asked(tmp_path: Path) -> None:
    """Nothing is PyPI's database, an address is a service, and all else is a place below the project."""
    assert auditor("", tmp_path).database == PipAudit()
    assert auditor("http://127.0.0.1/x", tmp_path).database == PipAudit("http://127.0.0.1/x")
    assert auditor("known", tmp_path).database == Files(tmp_path / "known", "known")


def test_releases_that_nobody_asked_for_are_marked(tmp_path: Path) -> None:
    """In an environment as of a day, only what the project pins is its own choice; in the user's own environment all is."""
    (tmp_path / "requirements.txt").write_text("pytest\n")
    ours = Environment(Path(sys.executable), "3.11", "test", cached=True, own=False)
    found = installed(ours)
    version = next(each.version for each in found.packages if each.name == "pytest")
    assert all(each.stated for each in found.packages)
    assert found.loaded(["pytest/__init__.py", "nobody.py"]) == (("pytest", version),)
    dated = Environment(Path(sys.executable), "3.11", "test", cached=True, wanted=Needs("requirements.txt", (tmp_path / "requirements.txt",), as_of="2020-01-01"))
    assert not any(each.stated for each in installed(dated).packages)
    (tmp_path / "requirements.txt").write_text(f"PyTest[x] == {version}  # pinned\n")
    assert [each.name for each in installed(dated).packages if each.stated] == ["pytest"]


def test_an_environment_of_another_day_holds_what_was_new_then(tmp_path: Path) -> None:
    """What lies in the cache since yesterday is what the project asks for only where it is pinned: a new one may be free of what is known."""
    (tmp_path / "requirements.txt").write_text("flask\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o700)
    (tmp_path / "complete.json").write_text("{}")
    kept = Environment(tmp_path / "bin" / "python", "3.11", "test", cached=True, wanted=Needs("requirements.txt", (tmp_path / "requirements.txt",)))
    assert {each.stated for each in installed(kept).packages} == {True}
    os.utime(tmp_path / "complete.json", (1, 1))
    assert {each.stated for each in installed(kept).packages} == {False}
