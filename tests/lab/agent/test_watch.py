"""Owns the claims about executed lines, canaries, files, the way out and the outbox."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARKER = "c4n4ry0123456789"

FLASK = """
    import functools, os, pickle, shutil, sqlite3, subprocess
    from flask import Flask, jsonify, request
    app = Flask(__name__)
    def login_required(view):
        @functools.wraps(view)
        def wrapper(*args, **keywords):
            if "Authorization" not in request.headers:
                return jsonify(error="log in"), 401
            return view(*args, **keywords)
        return wrapper
    @app.after_request
    def stamp(response):
        response.headers["X-Stamp"] = "1"
        return response
    @app.post("/guarded")
    @login_required
    def guarded():
        try:
            int("x")
        except ValueError:
            pass
        if request.json.get("stop"):
            return "stopped", 400
        return "through"
    @app.get("/boom")
    def boom():
        return helper()
    def helper():
        raise RuntimeError("no luck")
    @app.get("/see/<how>")
    def see(how):
        value = request.args["v"]
        db = sqlite3.connect(":memory:")
        try:
            if how == "sql": db.execute("select '%s'" % value)
            if how == "bound": db.execute("select ?", (value,))
            if how == "open": open("/nowhere/" + value)
            if how == "system": os.system("true " + value)
            if how == "popen": subprocess.run(["true", value])
            if how == "shell": subprocess.run("true " + value, shell=True)
            if how == "eval": eval("'%s'" % value)
            if how == "import": __import__(value)
            if how == "remove": os.remove("/nowhere/" + value)
            if how == "copy": shutil.copyfile("/nowhere/" + value, "/nowhere/x")
            if how == "resolve": __import__("socket").getaddrinfo(value + ".example", 80)
            if how == "none": value.upper()
        except (OSError, ImportError): pass
        return how
    @app.get("/write")
    def write():
        with open("out.txt", "w") as file: file.write("x")
        open("out.txt").read()
        return "written"
"""

FASTAPI = """
    from fastapi import Depends, FastAPI, HTTPException, Request
    app = FastAPI()
    def database():
        try:
            yield 1
        finally:
            closed = True
    def who(request: Request, db=Depends(database)):
        if not request.headers.get("authorization"):
            raise HTTPException(401)
        return 1
    @app.get("/guarded")
    def guarded(user=Depends(who)):
        value = 1
        return value
"""

WORLD = """
    import smtplib, socket, urllib.request
    from email.message import EmailMessage
    def fetch(): return urllib.request.urlopen("http://api.pay.example/v1/charges?x=1", timeout=5).read().decode()
    def literal(): return urllib.request.urlopen("http://169.254.169.254/latest", timeout=5).read().decode()
    def names(): return [socket.gethostbyname("pay.example") == socket.gethostbyname("mail.example"), socket.gethostbyname("localhost")]
    def own():
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname()[:2])
        server.accept()[0].sendall(b"inside"); return client.recv(10).decode()
    def mail():
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "shop@x.example", "ann@x.example", "Your code"
        message.set_content("The code is 4711")
        with smtplib.SMTP("smtp.x.example", 587) as client:
            client.starttls(); client.login("user", "secret"); client.send_message(message)
        with smtplib.SMTP_SSL("smtp.x.example", 465) as client:
            client.sendmail("shop@x.example", ["bob@x.example"], "Subject: hi\\n\\nbody")
        return "sent"
    def app(environ, start_response):
        result = globals()[environ["PATH_INFO"].strip("/")]()
        start_response("200 OK", [])
        return [str(result).encode()]
"""


class Fault(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the host and the client's port that it sees."""

    def do_GET(self) -> None:
        """Answer."""
        body = f"{self.headers['host']} {self.client_address[1]}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def flask(boot: Callable[..., Any]) -> Iterator[Any]:
    """A Flask app."""
    return boot(FLASK)


@pytest.fixture(scope="module")
def address() -> Iterator[list[Any]]:
    """A fault server's address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fault)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield list(server.server_address)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def world(boot: Callable[..., Any], address: list[Any]) -> Iterator[Any]:
    """An app that talks to the world outside, with a fault server in its place."""
    return boot(WORLD, outbound=address)


def source_line(source: str, text: str) -> int:
    """Number of the line of a source that holds a text."""
    return next(number for number, line in enumerate(source.splitlines(), 1) if text in line)


def test_lines_and_the_guard_that_ended_it(flask: Any) -> None:
    """Refused by a decorator: the last line is the decorator's return, not the after_request hook's."""
    told = flask.child(lines=True).serve(("POST", "/guarded", {}), lines=True)[0]
    assert told["last_line"][:2] == ["main.py", source_line(FLASK, "log in")]
    assert source_line(FLASK, "X-Stamp") in dict(told["lines"])["main.py"]


def test_last_line_of_the_handler_and_what_it_caught(flask: Any) -> None:
    """Refused by the handler: its last line, its lines in order, and the exception that it caught."""
    told = flask.child(lines=True).serve(("POST", "/guarded", {"stop": 1}, {"authorization": "x"}), lines=True)[0]
    assert told["last_line"] == ["main.py", source_line(FLASK, '"stopped"'), "guarded"]
    lines = dict(told["lines"])["main.py"]
    assert lines.index(source_line(FLASK, "int(")) < lines.index(source_line(FLASK, '"stopped"'))
    assert [each["type"] for each in told["handled"]] == ["ValueError"]


def test_escaped_exception_is_not_handled(flask: Any) -> None:
    """An exception that ended the request is a failure, and not also a handled one."""
    told = flask.child(lines=True).serve(("GET", "/boom"), lines=True)[0]
    assert (told["failure"]["type"], told["handled"]) == ("RuntimeError", [])


def test_guard_in_a_worker_thread(boot: Callable[..., Any]) -> None:
    """FastAPI runs handlers and dependencies in threads: their lines are there, and tidying up is not the last."""
    host = boot(FASTAPI)
    refused, passed = host.child(lines=True).serve(
        ("GET", "/guarded"), ("GET", "/guarded", None, {"authorization": "x"}), lines=True
    )
    assert refused["last_line"] == ["main.py", source_line(FASTAPI, "HTTPException(401)"), "who"]
    assert refused["handled"] == []
    assert passed["last_line"] == ["main.py", source_line(FASTAPI, "return value"), "guarded"]


def test_no_lines_unless_asked(flask: Any) -> None:
    """A child that traces records lines only for requests that ask for them."""
    told = flask.child(lines=True).serve(("GET", "/write"), lines=False)[0]
    assert (told["lines"], told["last_line"]) == ([], None)


@pytest.mark.parametrize(
    ("how", "event"),
    [
        ("sql", "sql"),
        ("open", "open"),
        ("system", "os.system"),
        ("popen", "subprocess.Popen"),
        ("shell", "subprocess.Popen"),
        ("eval", "compile"),
        ("import", "import"),
        ("remove", "os.remove"),
        ("copy", "shutil.copyfile"),
        ("resolve", "socket.getaddrinfo"),
    ],
)
def test_canary_surfaces(flask: Any, how: str, event: str) -> None:
    """A marker in a statement's text, a path, a command, code or a host name is seen, with the user's line."""
    told = flask.child().serve(("GET", f"/see/{how}?v={MARKER}"), markers=["other", MARKER])[0]
    seen = [each for each in told["sightings"] if each["event"] == event]
    assert seen
    assert MARKER in seen[0]["text"]
    assert seen[0]["place"][:2] == ["main.py", source_line(FLASK, f'"{how}"')]


@pytest.mark.parametrize("how", ["bound", "none"])
def test_canary_that_is_data_is_not_seen(flask: Any, how: str) -> None:
    """A bound value, or mere text, is no sighting."""
    assert flask.child().serve(("GET", f"/see/{how}?v={MARKER}"), markers=[MARKER])[0]["sightings"] == []


def test_written_files(flask: Any) -> None:
    """Files opened for writing are told with their absolute path, files that are read are not."""
    assert flask.child().serve(("GET", "/write"))[0]["written_files"] == [str(flask.root / "out.txt")]


@pytest.mark.parametrize(("path", "host"), [("fetch", "api.pay.example"), ("literal", "169.254.169.254")])
def test_the_world_outside_is_the_fault_server(world: Any, path: str, host: str) -> None:
    """A name that does not exist and a literal address lead to the fault server; the local port joins both ends."""
    told = world.child().serve(("GET", "/" + path))[0]
    (outgoing,) = told["outgoing"]
    assert (outgoing["host"], outgoing["port"], outgoing["place"][2]) == (host, 80, path)
    assert told["body"].decode() == f"{host} {outgoing['local_port']}"


def test_without_fault_server_nobody_answers(boot: Callable[..., Any]) -> None:
    """With no fault server a connection is refused, and noted."""
    told = boot(WORLD).child().serve(("GET", "/fetch"))[0]
    assert told["failure"]["type"] == "urllib.error.URLError"
    assert told["outgoing"][0]["host"] == "api.pay.example"


def test_hosts_can_be_refused_for_one_request(world: Any) -> None:
    """A host, a mail server too, refuses connections during a request where the fault says so."""
    child = world.child()
    assert child.serve(("GET", "/fetch"), fault={"kind": "refused", "host": "api.pay.example"})[0]["status"] == 500
    assert child.serve(("GET", "/mail"), fault={"kind": "refused"})[0]["failure"]["type"] == "ConnectionRefusedError"
    assert child.serve(("GET", "/fetch"))[0]["status"] == 200


def test_own_server_and_names(world: Any) -> None:
    """A socket that the prototype itself listens on is reached; two names have two addresses, localhost its own."""
    own, names = world.child().serve(("GET", "/own"), ("GET", "/names"))
    assert (own["body"], own["outgoing"], names["body"]) == (b"inside", [], b"[False, '127.0.0.1']")


def test_mail_stays_in_the_outbox(world: Any) -> None:
    """smtplib sends nothing; the messages are told with their text."""
    told = world.child().serve(("GET", "/mail"))[0]
    assert told["status"] == 200
    first, second = told["outgoing"]
    assert (first["host"], first["port"]) == ("smtp.x.example", 587)
    assert first["request"] == "MAIL shop@x.example -> ann@x.example"
    assert "The code is 4711" in first["mail"]
    assert second["port"] == 465
