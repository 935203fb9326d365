"""Owns the hooks of Django and Django REST framework: what requests are asked for, what forms refuse, what goes unhandled."""

from __future__ import annotations

import os
import sys
from typing import Any

from .asked import AskedDict, RawBody, asked_json, asked_multi, note, place_of
from .recorder import RECORDER, plain

_HERE = ("localhost", "127.0.0.1")
"""Hosts that the lab's requests name."""
_KINDS = (
    ("NullBooleanField", "boolean"), ("BooleanField", "boolean"), ("IntegerField", "integer"), ("DecimalField", "number"), ("FloatField", "number"), ("PrimaryKeyRelatedField", "integer"),
    ("ListSerializer", "array"), ("ListField", "array"), ("ManyRelatedField", "array"), ("BaseSerializer", "object"), ("DictField", "object"), ("CharField", "string"),
)  # fmt: skip
_REJECTED = 40
_SERVED = ("redis", "memcache", "pylibmc")
"""Words in the names of caches that are servers."""


def register(finder: Any) -> None:
    """Name the modules that are hooked when the prototype imports them."""
    finder.when("django.core.handlers.base", hook_settings)
    finder.when("django.core.handlers.exception", keep_failures)
    finder.when("django.core.handlers.wsgi", hook_wsgi)
    finder.when("django.core.handlers.asgi", hook_asgi)
    finder.when("django.forms.forms", hook_forms)
    finder.when("rest_framework.request", hook_rest_request)
    finder.when("rest_framework.serializers", hook_serializers)


def hook_settings(module: Any) -> None:
    """Where the app is about to serve, have it know the lab's host, as it would know its own; the lab stands behind the proxy that speaks https."""
    original = module.BaseHandler.load_middleware

    def load_middleware(self: Any, *args: Any, **keywords: Any) -> Any:
        from django.conf import settings  # type: ignore[import-not-found, import-untyped, unused-ignore]

        try:
            known = list(settings.ALLOWED_HOSTS)
            if "*" not in known:
                settings.ALLOWED_HOSTS = [*known, *(host for host in _HERE if host not in known)]
            if getattr(settings, "SECURE_SSL_REDIRECT", False):
                settings.SECURE_SSL_REDIRECT = False
            _keep_caches_in_files(settings)
        except Exception:
            pass
        return original(self, *args, **keywords)

    module.BaseHandler.load_middleware = load_middleware


def _keep_caches_in_files(settings: Any) -> None:
    """A cache on a server (Redis, Memcached) has no server here."""
    served = [name for name, each in settings.CACHES.items() if any(word in str(each.get("BACKEND", "")).lower() for word in _SERVED)]
    if not served:
        return
    folder = os.path.join(os.getcwd(), ".cache", "toughen")
    kept = {name: {"BACKEND": (__package__ or "") + ".dj_cache.FileCache", "LOCATION": os.path.join(folder, name), "TIMEOUT": settings.CACHES[name].get("TIMEOUT", 300)} for name in served}
    settings.CACHES = dict(settings.CACHES, **kept)
    handler = sys.modules.get("django.core.cache")
    if handler is not None:
        vars(handler.caches).pop("settings", None)


def keep_failures(module: Any) -> None:
    """Note the exception that Django is about to turn into a 500."""
    original = module.handle_uncaught_exception

    def handle_uncaught_exception(request: Any, resolver: Any, exc_info: Any) -> Any:
        if RECORDER.active and RECORDER.failure is None:
            RECORDER.failure = exc_info[1]
        return original(request, resolver, exc_info)

    module.handle_uncaught_exception = handle_uncaught_exception


# --- requests -----------------------------------------------------------------------------------------------


def hook_wsgi(module: Any) -> None:
    """Make Django's request hand out recording objects while demands are recorded."""
    request = module.WSGIRequest
    _hook_cached(request, "GET", "query")
    _hook_cached(request, "COOKIES", "cookie")
    _hook_posted(request)
    _hook_body(request)


def hook_asgi(module: Any) -> None:
    """Do the same for requests that come by ASGI."""
    request = module.ASGIRequest
    _hook_cached(request, "GET", "query")
    _hook_cached(request, "COOKIES", "cookie")
    _hook_posted(request)
    _hook_body(request)


def _hook_cached(owner: Any, name: str, place: str) -> None:
    original = vars(owner).get(name)
    read = getattr(original, "func", None)
    if read is None:
        return

    def value(self: Any) -> Any:
        made = read(self)
        if not RECORDER.demand:
            return made
        return AskedDict(made, place) if type(made) is dict else asked_multi(made, place)

    fresh = type(original)(value)
    fresh.__set_name__(owner, name)
    setattr(owner, name, fresh)


def _hook_posted(owner: Any) -> None:
    posted, files = getattr(owner, "POST", None), getattr(owner, "FILES", None)
    if not isinstance(posted, property) or not isinstance(files, property):
        return
    get_posted, set_posted, get_files = posted.fget, posted.fset, files.fget
    assert get_posted is not None
    assert get_files is not None

    def POST(self: Any) -> Any:  # noqa: N802 - Django's own name
        made = get_posted(self)
        return asked_multi(made, "form") if RECORDER.demand else made

    def FILES(self: Any) -> Any:  # noqa: N802 - Django's own name
        made = get_files(self)
        return asked_multi(made, "file") if RECORDER.demand else made

    owner.POST = property(POST, set_posted)
    owner.FILES = property(FILES)


def _hook_body(owner: Any) -> None:
    original = next((vars(kind)["body"] for kind in owner.__mro__ if "body" in vars(kind)), None)
    read = getattr(original, "fget", None)
    if read is None:
        return

    def body(self: Any) -> Any:
        made = read(self)
        return RawBody(made) if RECORDER.demand and type(made) is bytes else made

    owner.body = property(body)


def hook_rest_request(module: Any) -> None:
    """Make what Django REST framework parsed record what it is asked for."""
    request = module.Request
    original = request._load_data_and_files

    def _load_data_and_files(self: Any) -> None:
        original(self)
        if RECORDER.demand:
            for name in ("_data", "_full_data"):
                held = self.__dict__.get(name)
                if type(held) in (dict, list):
                    self.__dict__[name] = asked_json(held)
                elif held is not None and hasattr(held, "getlist"):
                    asked_multi(held, "form")

    request._load_data_and_files = _load_data_and_files


# --- forms and serializers ----------------------------------------------------------------------------------


def hook_forms(module: Any) -> None:
    """Note the fields of a form when it reads what came with a request, and what it refuses."""
    original = module.BaseForm.full_clean

    def full_clean(self: Any) -> None:
        if RECORDER.demand and self.is_bound:
            _ask_form(self)
        original(self)
        if RECORDER.active and self.is_bound and self._errors:
            reject({str(name): " ".join(str(each) for each in messages) for name, messages in list(self._errors.items())})

    module.BaseForm.full_clean = full_clean


def reject(told: dict[str, str]) -> None:
    """Note fields of a request that the prototype refused in a form or a schema, with what was said of each."""
    for name, said in told.items():
        if len(RECORDER.rejected) < _REJECTED:
            RECORDER.rejected[name] = plain(said[:300])


def _ask_form(form: Any) -> None:
    place = place_of(form.data)
    if place is None:
        return
    for name, field in form.fields.items():
        if getattr(field, "disabled", False):
            continue
        names = {kind.__name__ for kind in type(field).__mro__}
        kind = next((json for parent, json in _KINDS if parent in names), None)
        key = str(form.add_prefix(name))
        where = "file" if "FileField" in names else place
        note(where, (key,), "subscript" if field.required else "get", key in (form.files if where == "file" else form.data), kind=kind)


def hook_serializers(module: Any) -> None:
    """Note the fields of a serializer when it reads what came with a request."""
    original = module.Serializer.to_internal_value

    def to_internal_value(self: Any, data: Any) -> Any:
        if RECORDER.demand:
            _ask_serializer(self, data)
        return original(self, data)

    module.Serializer.to_internal_value = to_internal_value


def _ask_serializer(serializer: Any, data: Any) -> None:
    if type(data) is AskedDict:
        place, path = data.place, data.path
    else:
        multi = place_of(data)
        if multi is None:
            return
        place, path = multi, ()
    partial = bool(getattr(getattr(serializer, "root", None), "partial", False))
    for name, field in serializer.fields.items():
        if field.read_only or type(field).__name__ == "HiddenField":
            continue
        names = {kind.__name__ for kind in type(field).__mro__}
        kind = next((json for parent, json in _KINDS if parent in names), None)
        note(place, (*path, name), "subscript" if field.required and not partial else "get", dict.__contains__(data, name), kind=kind)
