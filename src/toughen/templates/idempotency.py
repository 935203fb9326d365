"""Owns the text of the module by which a mended project does a request with an idempotency key once: for FastAPI, Flask and Django, and for each way to its database."""

from __future__ import annotations

TABLE = "idempotency_keys"
_TOP = '''"""A request that carries an idempotency key is done once: its key is kept in a table, and whoever sends it again gets the first answer.

The key is noted and committed before the request is done. Where the process dies in between, the outcome is unknown: the same
key is answered with 409 from then on, and nothing is done twice. Delete old rows of {table} by `made` when you like.
"""

'''
_STORE = '''

def _connected(database):
{connected}


def _claim(database, scope, digest):
    """None where this request is the first with its key; else what is known of the first: (digest, status, kind, answer, place)."""
    with _connected(database) as live:
        try:
            live.execute(TABLE)
            live.commit()
        except Exception:  # Two that make it at once.
            live.rollback()
        try:
            live.execute("INSERT INTO {table} (scope, digest, made) VALUES ({scope}, {digest}, {made})", {insert})
            live.commit()
        except Exception:
            live.rollback()
            known = live.execute("SELECT digest, status, kind, answer, place FROM {table} WHERE scope = {scope}", {select}).fetchone()
            if known is None:
                raise
            return tuple(known)
    return None


def _keep(database, scope, status, kind, answer, place):
    """Keep the answer for whoever sends the key again; a request that was refused did nothing and may come again."""
    with _connected(database) as live:
        if 400 <= status < 500:
            live.execute("DELETE FROM {table} WHERE scope = {scope}", {select})
        else:
            live.execute("UPDATE {table} SET status = {status}, kind = {kind}, answer = {answer}, place = {place} WHERE scope = {scope}", {update})
        live.commit()
'''
_DDL = """TABLE = (
    "CREATE TABLE IF NOT EXISTS idempotency_keys (scope VARCHAR(64) PRIMARY KEY, digest VARCHAR(64) NOT NULL, made VARCHAR(32) NOT NULL,"
    " status INTEGER, kind VARCHAR(200), answer TEXT, place VARCHAR(2000))"
)
"""
_WAYS = {
    "engine": "    return database().connect()",
    "connection": "    return contextlib.closing(_Plain(database()))",
    "kept": "    return contextlib.nullcontext(_Plain(database()))",
    "manager": "    return _wrapped(database())",
    "generator": "    return _wrapped(contextlib.contextmanager(database)())",
}
_PLAIN = '''

class _Plain:
    """A connection of a driver, with `execute` as all of them have on their cursors."""

    def __init__(self, live):
        self._live = live
        self.commit, self.rollback, self.close = live.commit, live.rollback, getattr(live, "close", None)

    def execute(self, statement, values=()):
        cursor = self._live.cursor()
        cursor.execute(statement, values)
        return cursor
'''
_WRAPPED = """

@contextlib.contextmanager
def _wrapped(opened):
    with opened as live:
        yield _Plain(live)
"""
_FLASK = '''

def install(app, database):
    """Do requests with a key once; `database` gives what the keys are kept in."""

    @app.before_request
    def known():
        key = {key}
        if not key or request.method not in METHODS:
            return None
        whose = request.headers.get("Authorization", "") + request.headers.get("Cookie", "")
        scope = _hash(request.method, request.path, str(key), whose)
        first = _claim(database, scope, _hash(request.get_data(as_text=True)))
        if first is None:
            g.idempotency_scope = scope
            return None
        digest, status, kind, answer, place = first
        if digest != _hash(request.get_data(as_text=True)):
            return jsonify(error="This idempotency key was sent with another request"), 422
        if status is None:
            return jsonify(error="A request with this idempotency key was begun already"), 409
        again = Response(answer, status, content_type=kind, headers={{"Idempotency-Replayed": "true"}})
        if place:
            again.headers["Location"] = place
        return again

    @app.after_request
    def keep(response):
        scope = g.pop("idempotency_scope", None)
        if scope is not None:
            # What is streamed is answered once; whoever sends the key again hears that it was done.
            answer = "" if response.is_streamed else response.get_data().decode("utf-8", "replace")
            _keep(database, scope, response.status_code, response.content_type, answer, response.headers.get("Location", ""))
        return response
'''
_ASGI = '''

class Idempotency:
    """Middleware that does requests with a key once; `database` gives what the keys are kept in."""

    def __init__(self, app, database):
        self.app = app
        self.database = database

    async def __call__(self, scope, receive, send):
        headers = Headers(scope=scope) if scope["type"] == "http" else {{}}
        key = {key}
        if not key or scope["method"] not in METHODS:
            await self.app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        whose = headers.get("authorization", "") + headers.get("cookie", "")
        name, digest = _hash(scope["method"], scope["path"], key, whose), _hash(body.decode("utf-8", "replace"))
        first = await asyncio.to_thread(_claim, self.database, name, digest)
        if first is not None:
            await self._again(first, digest)(scope, receive, send)
            return
        waiting = [{{"type": "http.request", "body": body, "more_body": False}}]
        sent = []

        async def receive_again():
            return waiting.pop() if waiting else await receive()

        async def hold(message):
            sent.append(message)

        await self.app(scope, receive_again, hold)
        start = next(message for message in sent if message["type"] == "http.response.start")
        answer = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        told = Headers(raw=start["headers"])
        kind, place = told.get("content-type", ""), told.get("location", "")
        await asyncio.to_thread(_keep, self.database, name, start["status"], kind, answer.decode("utf-8", "replace"), place)
        for message in sent:
            await send(message)

    @staticmethod
    def _again(first, digest):
        known, status, kind, answer, place = first
        if known != digest:
            return JSONResponse({{"detail": "This idempotency key was sent with another request"}}, 422)
        if status is None:
            return JSONResponse({{"detail": "A request with this idempotency key was begun already"}}, 409)
        headers = {{"content-type": kind, "idempotency-replayed": "true", **({{"location": place}} if place else {{}})}}
        return Response(answer, status, headers=headers)
'''
_DJANGO = '''

def _claim(scope, digest):
    """None where this request is the first with its key; else what is known of the first: (digest, status, kind, answer, place)."""
    with connection.cursor() as live:
        with contextlib.suppress(DatabaseError), transaction.atomic():  # Two that make it at once.
            live.execute(TABLE)
        try:
            with transaction.atomic():
                live.execute("INSERT INTO {table} (scope, digest, made) VALUES (%s, %s, %s)", [scope, digest, _now()])
        except IntegrityError:
            live.execute("SELECT digest, status, kind, answer, place FROM {table} WHERE scope = %s", [scope])
            return live.fetchone() or (digest, None, None, None, None)
    return None


def _keep(scope, status, kind, answer, place):
    """Keep the answer for whoever sends the key again; a request that was refused did nothing and may come again."""
    with connection.cursor() as live:
        if 400 <= status < 500:
            live.execute("DELETE FROM {table} WHERE scope = %s", [scope])
        else:
            live.execute("UPDATE {table} SET status = %s, kind = %s, answer = %s, place = %s WHERE scope = %s", [status, kind, answer, place, scope])


class Idempotency:
    """Middleware that does requests with a key once: the last one, since what stands in front of it may refuse the request."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        scope = getattr(request, "idempotency_scope", None)
        if scope is not None:
            # What is streamed is answered once; whoever sends the key again hears that it was done.
            answer = "" if response.streaming else response.content.decode("utf-8", "replace")
            _keep(scope, response.status_code, response.get("Content-Type", ""), answer, response.get("Location", ""))
        return response

    def process_view(self, request, view, args, kwargs):
        key = {key}
        if not key or request.method not in METHODS:
            return None
        whose = request.headers.get("Authorization", "") + request.headers.get("Cookie", "")
        scope, digest = _hash(request.method, request.path, str(key), whose), _hash({body})
        first = _claim(scope, digest)
        if first is None:
            request.idempotency_scope = scope
            return None
        known, status, kind, answer, place = first
        if known != digest:
            return JsonResponse({{"detail": "This idempotency key was sent with another request"}}, status=422)
        if status is None:
            return JsonResponse({{"detail": "A request with this idempotency key was begun already"}}, status=409)
        again = HttpResponse(answer, status=status, content_type=kind)
        again["Idempotency-Replayed"] = "true"
        if place:
            again["Location"] = place
        return again
'''
_DJANGO_SENT = """

def _sent(request, name):
    with contextlib.suppress(ValueError, RawPostDataException):
        body = json.loads(request.body)
        return body.get(name) if isinstance(body, dict) else None
    return None
"""
_DJANGO_BODY = """

def _body(request):
    try:
        return request.body.decode("utf-8", "replace")
    except RawPostDataException:  # A form with files was read already.
        return request.POST.urlencode()
"""
_HASH = """

def _hash(*parts):
    return hashlib.sha256("\\n".join(parts).encode()).hexdigest()
"""


_SENT = """

def _sent(name):
    body = request.get_json(silent=True)
    return body.get(name) if isinstance(body, dict) else None
"""


def module(kind: str, key: str, mark: str, *, flask: bool) -> str:
    """The whole module.

    `kind` is the way to the database, `key` where the key stands (`header Idempotency-Key`, `json idempotency_key`), `mark` the
    driver's place of a value (`?` or `%s`; "" where SQLAlchemy stands in front of it).
    """
    place, _, name = key.partition(" ")
    needs = ["hashlib", *([] if flask else ["asyncio"]), *(["contextlib"] if kind != "engine" else [])]
    theirs = ["from flask import Response, g, jsonify, request"] if flask else ["from starlette.datastructures import Headers", "from starlette.responses import JSONResponse, Response"]
    theirs += ["from sqlalchemy import text"] if kind == "engine" else []
    names = ("scope", "digest", "made", "status", "kind", "answer", "place")
    marks = {each: f":{each}" if kind == "engine" else mark for each in names}
    values = {
        "insert": _values(kind, scope="scope", digest="digest", made="_now()"), "select": _values(kind, scope="scope"),
        "update": _values(kind, status="status", kind_="kind", answer="answer", place="place", scope="scope"),
    }  # fmt: skip
    store = _STORE.format(connected=_WAYS[kind], table=TABLE, **marks, **values)
    if kind == "engine":
        for verb in ("INSERT", "SELECT", "DELETE", "UPDATE"):
            store = store.replace(f'live.execute("{verb}', f'live.execute(text("{verb}')
        store = store.replace('", {', '"), {').replace("live.execute(TABLE)", "live.execute(text(TABLE))")
    asked = f'_sent("{name}")' if place == "json" else f'request.headers.get("{_header(name)}")' if flask else f'headers.get("{_header(name).lower()}")'
    now = '\n\ndef _now():\n    return datetime.now(timezone.utc).isoformat(timespec="seconds")\n'
    parts = [
        _TOP.format(table=TABLE), "".join(f"import {each}\n" for each in sorted(needs)), "from datetime import datetime, timezone\n\n", "".join(f"{each}\n" for each in sorted(theirs)),
        '\nMETHODS = {"POST", "PATCH"}\n', _DDL, _HASH, _SENT if place == "json" else "", now, _PLAIN if kind != "engine" else "", _WRAPPED if kind in {"manager", "generator"} else "", store,
        (_FLASK if flask else _ASGI).format(key=asked),
    ]  # fmt: skip
    return "".join(parts)


def django(key: str) -> str:
    """The whole module for Django: the table is made and asked by the connection that the project's settings say."""
    place, _, name = key.partition(" ")
    asked = f'_sent(request, "{name}")' if place == "json" else f'request.POST.get("{name}")' if place == "form" else f'request.headers.get("{_header(name)}")'
    needs = ["contextlib", "hashlib", *(["json"] if place == "json" else [])]
    theirs = [
        "from django.db import DatabaseError, IntegrityError, connection, transaction", "from django.http import HttpResponse, JsonResponse",
        "from django.http.request import RawPostDataException",
    ]  # fmt: skip
    now = '\n\ndef _now():\n    return datetime.now(timezone.utc).isoformat(timespec="seconds")\n'
    parts = [
        _TOP.format(table=TABLE), "".join(f"import {each}\n" for each in needs), "from datetime import datetime, timezone\n\n", "".join(f"{each}\n" for each in theirs),
        '\nMETHODS = {"POST", "PATCH"}\n', _DDL, _HASH, _DJANGO_SENT if place == "json" else "", _DJANGO_BODY, now, _DJANGO.format(table=TABLE, key=asked, body="_body(request)"),
    ]  # fmt: skip
    return "".join(parts)


def _header(name: str) -> str:
    return "-".join(part.capitalize() for part in name.replace("_", "-").split("-"))


def _values(kind: str, **values: str) -> str:
    if kind == "engine":
        return "{" + ", ".join(f'"{name.rstrip("_")}": {value}' for name, value in values.items()) + "}"
    return f"({', '.join(values.values())}{',' if len(values) == 1 else ''})"
