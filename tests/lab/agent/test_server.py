"""Owns the claims about the process that boots a prototype and forks children."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

PLAIN = """
import os, signal, sys, time
print("hello from the import")
seen = []
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/die": os._exit(3)
    if path == "/kill": os.kill(os.getpid(), signal.SIGKILL)
    if path == "/exit": sys.exit("enough")
    if path == "/interrupt": raise KeyboardInterrupt
    if path == "/fds": os.closerange(3, 200)
    if path == "/sleep": time.sleep(600)
    if path == "/late":
        import colorsys
        import helper
    seen.append(path)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [",".join(seen).encode()]
def token(name, days=1):
    return ("%s-%d" % (name, days)).encode()
"""


@pytest.fixture(scope="module")
def plain(boot: Callable[..., Any]) -> Iterator[Any]:
    """A bare WSGI function."""
    return boot({"main.py": PLAIN, "helper.py": "x = 1"})


def test_children_share_no_memory(plain: Any) -> None:
    """Each child starts with the memory that the prototype had after its import, and keeps its own."""
    first, second = plain.child(), plain.child()
    assert [each["body"] for each in first.serve(("GET", "/a"), ("GET", "/b"))] == [b"/a", b"/a,/b"]
    assert second.serve(("GET", "/c"))[0]["body"] == b"/c"


@pytest.mark.parametrize("path", ["/die", "/kill", "/fds"])
def test_server_outlives_a_child(plain: Any, path: str) -> None:
    """A handler that ends its process, or closes its connection, is seen as the end of the stream; the next child serves."""
    child = plain.child()
    child.begin(("GET", path))
    with pytest.raises(EOFError):
        child.exchange()
    assert plain.child().serve(("GET", "/after"))[0]["status"] == 200


@pytest.mark.parametrize(("path", "kind"), [("/exit", "SystemExit"), ("/interrupt", "KeyboardInterrupt")])
def test_exit_out_of_a_handler_is_told_before_the_worker_ends(plain: Any, path: str, kind: str) -> None:
    """SystemExit and KeyboardInterrupt have no status, name their type, and end the process."""
    child = plain.child()
    exchange = child.serve(("GET", path))[0]
    assert (exchange["status"], exchange["failure"]["type"]) == (None, kind)
    with pytest.raises(EOFError):
        child.receive()


def test_no_zombies_stay(plain: Any) -> None:
    """Children that ended are reaped without an order."""
    child = plain.child()
    pid = child.hello["pid"]
    child.send({"do": "quit"})
    with pytest.raises(EOFError):
        child.receive()
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:  # noqa: PTH110
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{pid}")  # noqa: PTH110


def test_late_imports_come_into_the_server(plain: Any) -> None:
    """A library that one child imported while serving is there in the next; a module of the project is not."""
    told = plain.child().serve(("GET", "/late"))[0]
    assert "colorsys" in told["imported"]
    assert "helper" not in told["imported"]
    assert "colorsys" not in plain.child().serve(("GET", "/late"))[0].get("imported", [])


def test_functions_of_the_project_can_be_called(plain: Any) -> None:
    """`call` gives back JSON, bytes as text; what the function raises is told."""
    child = plain.child()
    called = child.ask(do="call", function="main:token", arguments=["ann"], keywords={"days": 7})
    assert called == {"returned": "ann-7"}
    failed = child.ask(do="call", function="main:token", arguments=[])["failed"]
    assert (failed["stage"], failed["failure"]["type"]) == ("call", "TypeError")


def test_children_die_with_the_server(boot: Callable[..., Any]) -> None:
    """A child that sleeps for ever ends when the server is killed."""
    host = boot(PLAIN)
    child = host.child()
    child.begin(("GET", "/sleep"))
    time.sleep(0.1)
    os.kill(host.process.pid, signal.SIGKILL)
    with pytest.raises(EOFError):
        child.receive()


def test_stdout_of_the_prototype_stays_out_of_the_frames(plain: Any) -> None:
    """What the prototype prints goes to stderr."""
    assert plain.process.stdout is not None
    os.set_blocking(plain.process.stdout.fileno(), False)
    assert not plain.process.stdout.read()


def test_failed_import_tells_the_place(boot: Callable[..., Any]) -> None:
    """An import that raises is told with the user's own line, and the server still answers."""
    host = boot({"main.py": "import sqlite3\nimport inner\n", "inner.py": "x = 1\nraise ValueError('no key')\n"})
    assert host.told["failed"]["stage"] == "import"
    failure = host.told["failed"]["failure"]
    assert (failure["type"], failure["message"], failure["place"][:2]) == ("ValueError", "no key", ["inner.py", 2])
    assert "toughen_agent" not in failure["traceback"]
    assert host.server.ask(do="facts")["ready"]["routes"] == []
    assert "failed" in host.server.ask(do="fork", id=1)


@pytest.mark.parametrize(
    ("source", "entry"),
    [
        (
            "def create_app():\n    def app(e, s):\n        s('200 OK', []); return [b'x']\n    return app\n",
            "main:create_app()",
        ),
        (
            "def create_app():\n    def app(e, s):\n        s('200 OK', []); return [b'x']\n    return app\n",
            "main:create_app",
        ),
        (
            "class Holder: pass\nholder = Holder()\ndef w(e, s):\n    s('200 OK', []); return [b'x']\nholder.app = w\n",
            "main:holder.app",
        ),
    ],
)
def test_entries(boot: Callable[..., Any], source: str, entry: str) -> None:
    """A factory is called with or without parentheses, and an attribute of an object is found."""
    assert boot(source, entry).child().serve(("GET", "/"))[0]["body"] == b"x"


LAZY = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
def app(environ: WSGIEnvironment, start_response: StartResponse):
    start_response("200 OK", []); return [b"x"]
def create_app() -> WSGIApplication:
    return app
"""


@pytest.mark.parametrize("entry", ["main:app", "main:create_app", "main:create_app()"])
def test_annotations_that_only_a_type_checker_can_resolve(boot: Callable[..., Any], entry: str) -> None:
    """From Python 3.14 on nobody evaluates annotations unasked: the agent does not ask, and loads what a server would."""
    host = boot(LAZY, entry)
    if int(host.server.hello["python"].split(".")[1]) < 14:
        pytest.skip("before Python 3.14 such annotations end the import itself")
    assert host.child().serve(("GET", "/"))[0]["body"] == b"x"


def test_script_that_imports_itself(boot: Callable[..., Any]) -> None:
    """An entry that runs as a script, but not as an import (`from app import x` in a circle), is loaded as a script."""
    host = boot(
        {
            "main.py": "import other\nKEY = 1\ndef app(e, s):\n    s('200 OK', []); return [str(other.KEY).encode()]\n",
            "other.py": "from main import KEY\n",
        }
    )
    # The second copy, imported as `main`, is whole: it finds `other` half made and does not need it.
    assert host.child().serve(("GET", "/"))[0]["body"] == b"1"


def test_thread_alive_after_the_import_is_a_reason(boot: Callable[..., Any]) -> None:
    """Threads do not survive a fork: the reason names them."""
    host = boot(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='ticker', daemon=True).start()\n"
        + PLAIN
    )
    assert "ticker" in host.facts["fork"]
    assert host.facts["threads"] == ["ticker"]


def test_whole_mode_serves_on_the_first_connection(boot: Callable[..., Any]) -> None:
    """Where forking is unsafe, the process that imported the prototype serves by itself."""
    host = boot(PLAIN, mode="whole")
    assert [each["body"] for each in host.server.serve(("GET", "/a"), ("GET", "/b"))] == [b"/a", b"/a,/b"]
    assert host.server.serve(("GET", "/c"))[0]["body"] == b"/a,/b,/c"


def test_whole_mode_obeys_fork_by_becoming_the_child(boot: Callable[..., Any]) -> None:
    """An order to fork makes the process connect as that child."""
    host = boot(PLAIN, mode="whole")
    child = host.child()
    assert child.hello["pid"] == host.process.pid
    assert child.serve(("GET", "/a"))[0]["status"] == 200
