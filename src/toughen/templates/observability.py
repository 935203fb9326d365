"""Owns the text of the module that writes a mended project's log lines: for FastAPI, Flask and Django, by structlog or by the standard library."""

from __future__ import annotations

import re

STRUCTLOG = "structlog>=24.1.0"
"""What the project's dependencies must name for the first of the two."""

_HEAD = '''"""What is logged: one line of JSON for each request that fails, with the id that its client is answered.

`X-Request-ID` is taken from the request where a proxy or a client sends one, and made up else; every line that is
logged while the request is served has it.
"""

'''
_BY_STRUCTLOG = '''
_SHARED = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure():
    """One JSON object a line, from structlog and, where nothing else is set up, from `logging` too."""
    if not structlog.is_configured():
        structlog.configure(processors=[*_SHARED, structlog.processors.JSONRenderer()])
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stdout)
        last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()]
        handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=last))
        logging.getLogger().addHandler(handler)


def _bind(request_id):
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)


def _failed(request_id, method, path, status, begun, error=None):
    """The one line that says why a request failed."""
    log = structlog.get_logger("requests")
    spent = round((time.perf_counter() - begun) * 1000, 1)
    more = {"exc_info": error} if error is not None else {}
    log.error("request_failed", request_id=request_id, method=method, path=path, status=status, duration_ms=spent, **more)
'''
_BY_LOGGING = '''_REQUEST_ID = contextvars.ContextVar("request_id", default=None)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record):
        line = {
            "timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            "request_id": _REQUEST_ID.get(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure():
    """Lines of JSON from `logging`: for failed requests always, for the rest where nothing else is set up."""
    root, own = logging.getLogger(), logging.getLogger("requests")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    if not root.handlers:
        root.addHandler(handler)
    elif not own.handlers:
        own.addHandler(handler)
        own.propagate = False


def _bind(request_id):
    _REQUEST_ID.set(request_id)


def _failed(request_id, method, path, status, begun, error=None):
    """The one line that says why a request failed."""
    spent = round((time.perf_counter() - begun) * 1000, 1)
    facts = {"request_id": request_id, "method": method, "path": path, "status": status, "duration_ms": spent}
    logging.getLogger("requests").error("request_failed", extra={"facts": facts}, exc_info=error)
'''
_ID = '''

def _request_id(given):
    """The id that came with the request, if it can stand in a log line; else a new one."""
    return given if given and _GIVEN.fullmatch(given) else uuid.uuid4().hex
'''
_ASGI = '''

class RequestLog:
    """Gives each request its id, and logs those that fail."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get(HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        _bind(request_id)
        begun = time.perf_counter()
        status = 0

        async def answer(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", [])
                MutableHeaders(scope=message).setdefault(HEADER, request_id)
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            _failed(request_id, scope["method"], scope["path"], 500, begun, error)
            raise
        if status >= 500:
            _failed(request_id, scope["method"], scope["path"], status, begun)


async def _answered(request, error):
    """What a client is told of an error that nobody expected: the id to ask about, and nothing of the inside."""
    request_id = getattr(request.state, "request_id", None) or _request_id(request.headers.get(HEADER))
    return JSONResponse({"detail": "Internal Server Error", "request_id": request_id}, 500, {HEADER: request_id})


def _says_it_again(record):
    return not record.getMessage().startswith("Exception in ASGI application")


def install(app):
    """Log this application's failed requests; handlers that it registers itself for such errors go on answering them."""
    configure()
    app.add_middleware(RequestLog)
    app.add_exception_handler(Exception, _answered)
    # The server would write the same traceback once more, in many lines and without an id.
    logging.getLogger("uvicorn.error").addFilter(_says_it_again)
'''
_WSGI = '''

def install(app):
    """Log this application's failed requests; handlers that it registers itself for such errors go on answering them."""
    configure()

    @app.before_request
    def begin():
        g.request_id = _request_id(request.headers.get(HEADER))
        g.begun = time.perf_counter()
        _bind(g.request_id)

    def told(status, error=None):
        if not g.get("told"):
            g.told = True
            _failed(g.get("request_id"), request.method, request.path, status, g.get("begun", time.perf_counter()), error)

    # Flask would write the traceback in many lines and without an id.
    app.log_exception = lambda exc_info: told(500, exc_info)

    @app.after_request
    def end(response):
        if "request_id" in g:
            response.headers.setdefault(HEADER, g.request_id)
        if response.status_code >= 500:
            told(response.status_code)
        return response

    @app.errorhandler(500)
    def answered(error):
        """What a client is told of an error that nobody expected: the id to ask about, and nothing of the inside."""
        if request.accept_mimetypes.accept_html and not request.is_json:
            return error
        return jsonify(error="Internal Server Error", request_id=g.get("request_id")), 500
'''
_DJANGO = '''

class RequestLog:
    """Gives each request its id, and logs those that fail: the first middleware, so that all others are inside."""

    def __init__(self, get_response):
        self.get_response = get_response
        configure()
        # It tells as well where a middleware fails, and whatever page is answered then.
        got_request_exception.connect(self.raised)

    def __call__(self, request):
        request.request_id = _request_id(request.headers.get(HEADER))
        request.begun = time.perf_counter()
        _bind(request.request_id)
        response = self.get_response(request)
        response.setdefault(HEADER, request.request_id)
        if response.status_code >= 500:
            self.told(request, response.status_code)
        return response

    def raised(self, sender, request=None, **_):
        if request is not None and hasattr(request, "begun"):
            self.told(request, 500, sys.exc_info()[1])

    @staticmethod
    def told(request, status, error=None):
        if not getattr(request, "told", False):
            request.told = True
            _failed(request.request_id, request.method, request.path, status, request.begun, error)
'''
_NAMES = """
HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[\\w.-]{8,128}")
"""
_REPEATS = '''

def _says_it_again(record):
    """Django writes the same traceback once more, in a record of its own."""
    return record.name != "django.request" or record.levelno < logging.ERROR
'''
_PLAIN, _ASGI_IMPORTS = ("logging", "re", "sys", "time", "uuid"), "from starlette.datastructures import Headers, MutableHeaders\nfrom starlette.responses import JSONResponse\n"


def module(*, flask: bool, structlog: bool, django: bool = False) -> str:
    """The whole module."""
    plain = _PLAIN if structlog else ("contextvars", "json", *_PLAIN)
    imports = "".join(f"import {each}\n" for each in plain) + ("" if structlog else "from datetime import datetime, timezone\n")
    theirs = ("import structlog\n" if structlog else "") + ("from django.core.signals import got_request_exception\n" if django else "from flask import g, jsonify, request\n" if flask else _ASGI_IMPORTS)
    way = _BY_STRUCTLOG if structlog else _BY_LOGGING
    if django:
        way = re.sub(r"^( +)handler\.setFormatter\(.*$", r"\g<0>\n\1handler.addFilter(_says_it_again)", way, flags=re.MULTILINE)
        return _HEAD + imports + "\n" + theirs + _NAMES + way.replace("\n\ndef configure", _REPEATS + "\n\ndef configure", 1) + _ID + _DJANGO
    return _HEAD + imports + "\n" + theirs + _NAMES + way + _ID + (_WSGI if flask else _ASGI)


def alerts(name: str) -> str:
    """An alert rule over the lines, as Loki's ruler reads it."""
    return f"""# Loki's ruler takes this file (https://grafana.com/docs/loki/latest/alert/). It counts the lines that the application
# logs of failed requests; `app` is the label under which its output is collected.
groups:
  - name: {name}-errors
    rules:
      - alert: RequestsFail
        expr: sum(count_over_time({{app="{name}"}} | json | event="request_failed" [5m])) > 5
        labels:
          severity: page
        annotations:
          summary: More than five requests of {name} failed within five minutes; the lines say why, by request_id
"""
