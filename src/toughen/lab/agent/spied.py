"""Owns the requests that the project's own tests send: which they were, how they were answered, and answers that are nobody's."""

from __future__ import annotations

import functools
import sys
from typing import Any

_BODY = b"{}"
_MOST = 20_000
_SEEN = "toughen.seen"


class Spy:
    """Notes requests; with `answer` set it answers them itself, with that status and an empty object, and nothing is done."""

    def __init__(self) -> None:
        self.answer = 0
        self.active = False
        """Within a test itself, not in its fixtures."""
        self.test = ""
        self.requests: list[list[Any]] = []
        self._patched: set[str] = set()

    def ready(self) -> None:
        """Stand in front of the applications of every framework that is loaded."""
        for module, patch in (("starlette.applications", self._asgi), ("fastapi.applications", self._asgi), ("flask.app", self._wsgi), ("django.core.handlers.base", self._django)):
            if module in sys.modules and module not in self._patched:
                self._patched.add(module)
                patch(sys.modules[module])

    def note(self, method: str, path: str, status: int, known: bool) -> None:
        """One request and its answer."""
        if self.active and len(self.requests) < _MOST:
            self.requests.append([self.test, method, path, status, known])

    def _stands_in(self) -> bool:
        return self.active and self.answer > 0

    def _asgi(self, module: Any) -> None:
        spy = self
        for name in ("Starlette", "FastAPI"):
            kind = vars(module).get(name)
            if kind is None or kind.__module__ != module.__name__ or "__call__" not in vars(kind):
                continue
            original = kind.__call__

            # Clients tell the kind of an application by whether its __call__ is a coroutine function.
            async def call(app: Any, scope: Any, receive: Any, send: Any, original: Any = original) -> None:
                if scope.get("type") != "http" or scope.get(_SEEN):
                    await original(app, scope, receive, send)
                else:
                    scope[_SEEN] = True
                    await _served(spy, original, app, scope, receive, send)

            kind.__call__ = functools.wraps(original)(call)

    def _wsgi(self, module: Any) -> None:
        spy, kind = self, module.Flask
        original = kind.__call__

        def call(app: Any, environ: Any, start_response: Any) -> Any:
            known = bool(environ.get("HTTP_AUTHORIZATION") or environ.get("HTTP_COOKIE"))
            method, path = str(environ.get("REQUEST_METHOD")), str(environ.get("PATH_INFO"))
            if spy._stands_in():
                spy.note(method, path, spy.answer, known)
                start_response(f"{spy.answer} Nobody", [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))])
                return [_BODY]

            def started(status: str, *rest: Any, **more: Any) -> Any:
                spy.note(method, path, int(status[:3]), known)
                return start_response(status, *rest, **more)

            return original(app, environ, started)

        kind.__call__ = functools.wraps(original)(call)

    def _django(self, module: Any) -> None:
        spy, kind = self, module.BaseHandler
        original = kind.get_response

        def get_response(handler: Any, request: Any) -> Any:
            known = bool(request.META.get("HTTP_AUTHORIZATION") or request.META.get("HTTP_COOKIE"))
            if spy._stands_in():
                from django.http import HttpResponse  # type: ignore[import-untyped]

                spy.note(request.method, request.path, spy.answer, known)
                return HttpResponse(_BODY, status=spy.answer, content_type="application/json")
            response = original(handler, request)
            spy.note(request.method, request.path, response.status_code, known)
            return response

        kind.get_response = functools.wraps(original)(get_response)


async def _served(spy: Spy, original: Any, app: Any, scope: Any, receive: Any, send: Any) -> None:
    names = {bytes(name).lower() for name, _ in scope.get("headers") or ()}
    known = b"authorization" in names or b"cookie" in names
    method, path = str(scope.get("method")), str(scope.get("path"))
    if spy._stands_in():
        spy.note(method, path, spy.answer, known)
        await send({"type": "http.response.start", "status": spy.answer, "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]})
        await send({"type": "http.response.body", "body": _BODY})
        return

    async def sent(message: Any) -> None:
        if message.get("type") == "http.response.start":
            spy.note(method, path, int(message.get("status") or 0), known)
        await send(message)

    await original(app, scope, receive, sent)
