"""Owns the text of the module by which a mended project says whether it is alive and ready: for FastAPI, Flask and Django, and for each way to ask its database."""

from __future__ import annotations

_DATABASE, _NONE = "its database answers in time", "it has come through its start"
_ASKS = {
    "engine": ("from sqlalchemy import text\n", """
def _ask(database):
    with database().connect() as connection:
        connection.execute(text("SELECT 1"))
"""),
    "async-engine": ("from sqlalchemy import text\n", """
async def _ask(database):
    async with database().connect() as connection:
        await connection.execute(text("SELECT 1"))
"""),
    "session": ("from sqlalchemy import text\n", """
def _ask(database):
    with contextlib.closing(database()) as session:
        session.execute(text("SELECT 1"))
"""),
    "async-session": ("from sqlalchemy import text\n", """
async def _ask(database):
    async with database() as session:
        await session.execute(text("SELECT 1"))
"""),
    "connection": ("", """
def _ask(database):
    with contextlib.closing(database()) as connection:
        connection.cursor().execute("SELECT 1")
"""),
    "kept": ("", """
def _ask(database):
    database().cursor().execute("SELECT 1")
"""),
    "manager": ("", """
def _ask(database):
    with database() as connection:
        connection.cursor().execute("SELECT 1")
"""),
    "generator": ("", """
def _ask(database):
    with contextlib.contextmanager(database)() as connection:
        connection.cursor().execute("SELECT 1")
"""),
}  # fmt: skip
"""Each way: (imports, the function that asks)."""
_WAITS = "asyncio.wait_for(asyncio.to_thread(_ask, database), SECONDS)"


def module(kind: str, paths: tuple[str, ...], *, flask: bool) -> str:
    """The whole module; `kind` says what is asked, "" for an application without a database; `paths` which of both addresses are wanted."""
    needs, asks = _ASKS.get(kind, ("", ""))
    what = {"/healthz": "alive (GET /healthz)", "/readyz": f"ready for requests (GET /readyz): {_DATABASE if kind else _NONE}"}
    head = f'"""Whether the application is {", and ".join(what[each] for each in paths)}."""\n\n'
    plain = ["contextlib"] if "contextlib" in asks else []
    if kind:
        plain += [] if flask else ["asyncio", "logging"]
    first = "".join(f"import {each}\n" for each in sorted(plain)) + ("from concurrent.futures import ThreadPoolExecutor\n" if flask and kind else "")
    theirs = "from flask import jsonify\n" if flask else "from starlette.responses import JSONResponse\nfrom starlette.routing import Route\n"
    limit = '\nSECONDS = 2\n"""How long the database has to answer."""\n' if kind else ""
    if flask and kind:
        limit += '_asking = ThreadPoolExecutor(max_workers=2, thread_name_prefix="readyz")\n'
    packages = "".join(sorted((needs + theirs).splitlines(keepends=True)))
    return head + first + ("\n" if first else "") + packages + limit + ("\n" + asks if asks else "") + "\n\n" + (_flask(kind, paths) if flask else _asgi(kind, paths))


def _flask(kind: str, paths: tuple[str, ...]) -> str:
    parts = [f"def install(app{', database' if kind else ''}):", '    """Answer for this application' + ("; `database` gives what is asked." if kind else ".") + '"""']
    if kind:
        parts += ["", "    def asked():", "        with app.app_context():", "            _ask(database)"]
    if "/healthz" in paths:
        parts += ["", '    @app.route("/healthz", endpoint="healthz_probe")', "    def healthz():", '        return jsonify(status="ok")']
    if "/readyz" in paths:
        parts += ["", '    @app.route("/readyz", endpoint="readyz_probe")', "    def readyz():"]
        if kind:
            parts += ["        try:", "            _asking.submit(asked).result(timeout=SECONDS)", "        except Exception:",
                      '            app.logger.exception("The database does not answer")', '            return jsonify(status="unavailable"), 503']  # fmt: skip
        parts += ['        return jsonify(status="ready")']
    return "\n".join(parts) + "\n"


def _asgi(kind: str, paths: tuple[str, ...]) -> str:
    parts = [f"def install(app{', database' if kind else ''}):", '    """Answer for this application' + ("; `database` gives what is asked." if kind else ".") + '"""']
    if "/healthz" in paths:
        parts += ["", "    async def healthz(request):", '        return JSONResponse({"status": "ok"})']
    if "/readyz" in paths:
        parts += ["", "    async def readyz(request):"]
        if kind:
            waits = "asyncio.wait_for(_ask(database), SECONDS)" if kind.startswith("async") else _WAITS
            parts += ["        try:", f"            await {waits}", "        except Exception:",
                      '            logging.getLogger(__name__).exception("The database does not answer")', '            return JSONResponse({"status": "unavailable"}, 503)']  # fmt: skip
        parts += ['        return JSONResponse({"status": "ready"})']
    # Plain routes: dependencies that every route of the application has would ask a probe for its password.
    parts += ["", *(f'    app.router.routes.append(Route("{each}", {each[1:]}, include_in_schema=False))' for each in paths)]
    return "\n".join(parts) + "\n"


_DJANGO_ASK = """
def _ask():
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        # It belongs to the thread that asks, and no request of its own ends here.
        connection.close()
"""
_DJANGO_READY = """

def readyz(request):
    try:
        _asking.submit(_ask).result(timeout=SECONDS)
    except Exception:
        logging.getLogger(__name__).exception("The database does not answer")
        return JsonResponse({"status": "unavailable"}, status=503)
    return JsonResponse({"status": "ready"})
"""


def django(kind: str, paths: tuple[str, ...]) -> str:
    """The whole module for Django: views for its URLconf; `kind` is "" for an application without a database."""
    what = {"/healthz": "alive (GET /healthz)", "/readyz": f"ready for requests (GET /readyz): {_DATABASE if kind else _NONE}"}
    parts = [f'"""Whether the application is {", and ".join(what[each] for each in paths)}."""\n\n']
    if kind:
        parts += ["import logging\nfrom concurrent.futures import ThreadPoolExecutor\n\nfrom django.db import connection\n"]
    parts += ["from django.http import JsonResponse\n"]
    if kind:
        parts += ['\nSECONDS = 2\n"""How long the database has to answer."""\n_asking = ThreadPoolExecutor(max_workers=2, thread_name_prefix="readyz")\n\n', _DJANGO_ASK]
    if "/healthz" in paths:
        parts += ['\n\ndef healthz(request):\n    return JsonResponse({"status": "ok"})\n']
    if "/readyz" in paths:
        parts += [_DJANGO_READY if kind else '\n\ndef readyz(request):\n    return JsonResponse({"status": "ready"})\n']
    return "".join(parts)


def alerts(name: str) -> str:
    """An alert rule over the probe of /readyz, as Prometheus reads it."""
    return f"""# Prometheus takes this file under `rule_files`. Its blackbox exporter asks GET /readyz (module http_2xx) under the
# job that is named here; see https://github.com/prometheus/blackbox_exporter.
groups:
  - name: {name}
    rules:
      - alert: NotReady
        expr: probe_success{{job="{name}-readyz"}} == 0
        for: 2m
        labels:
          severity: page
        annotations:
          summary: GET /readyz of {name} has not been answered with 200 for two minutes; it or its database is down
"""
