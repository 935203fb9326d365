"""Owns the routes of Django apps: the patterns of the URLconf as templates in braces, their views, methods and guards."""

from __future__ import annotations

import re
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import dj_guards, frames
from .functions import class_file, own_function, spot

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH = 12
_MOST = 2000
_PART = re.compile(r"<(?:([a-zA-Z_]\w*):)?([a-zA-Z_]\w*)>")
_KINDS = {"int": "int", "uuid": "uuid", "path": "path"}
_SUFFIX = re.compile(r"\\?\.\(\?P<format>|<drf_format_suffix:format>")
"""What Django REST framework adds so that one may end a path in `.json`."""
_HTTP = ("get", "post", "put", "patch", "delete")
_PEOPLE = ("django.contrib.auth", "rest_framework.authtoken", "rest_framework_simplejwt", "djoser", "dj_rest_auth", "rest_auth", "allauth", "knox", "registration", "django_registration", "graphene_django")
"""Libraries whose views are the prototype's own doors: sign-up, log-in, passwords."""
_ASIDE = ("django.contrib.admin", "django.views.static", "django.contrib.staticfiles", "django.contrib.sitemaps", "django.contrib.flatpages", "django.views.i18n", "django.conf.urls", "debug_toolbar", "drf_yasg", "drf_spectacular", "silk", "rest_framework.urls", "rest_framework.schemas", "rest_framework.documentation", "rest_framework.routers", "rest_framework_swagger", "ckeditor", "django_prometheus", "grappelli", "jazzmin", "health_check", "schema_graph")
"""Libraries whose views are no routes of the prototype: administration, static files, documentation."""


class Seen:
    """One pattern of the URLconf with its whole path and its view."""

    def __init__(self, path: str, converters: dict[str, str], view: Any, name: str, own: bool) -> None:
        """Take what the pattern says."""
        self.path = path
        self.converters = converters
        self.view = view
        self.name = name
        self.own = own
        """Whether the pattern stands in a URLconf of the project's."""


def seen() -> Iterator[Seen]:
    """Yield the patterns of the project's URLconf, those of what it includes too."""
    urls = sys.modules.get("django.urls")
    if urls is None:
        return
    resolver = urls.get_resolver()
    own = _is_own(getattr(resolver, "urlconf_module", None), True)
    yield from islice(_walk(resolver.url_patterns, "", {}, own, 0), _MOST)


def _walk(patterns: Any, prefix: str, kinds: dict[str, str], own: bool, depth: int) -> Iterator[Seen]:
    if depth > _DEPTH:
        return
    for each in patterns:
        told = template(each.pattern)
        if told is None:
            continue
        path, converters = told
        whole, known = prefix + path, dict(kinds, **converters)
        inner = getattr(each, "url_patterns", None) if hasattr(each, "urlconf_name") else None
        if inner is not None:
            if getattr(each, "app_name", None) == "admin" or str(getattr(each.urlconf_name, "__name__", "")).startswith(_ASIDE):
                continue
            yield from _walk(inner, whole, known, _is_own(getattr(each, "urlconf_module", None), own), depth + 1)
        elif getattr(each, "callback", None) is not None:
            yield Seen("/" + whole.lstrip("/"), known, each.callback, str(each.name or ""), own)


def _is_own(module: Any, otherwise: bool) -> bool:
    file = getattr(module, "__file__", None)
    return frames.relative(str(file)) is not None if file else otherwise


def template(pattern: Any) -> tuple[str, dict[str, str]] | None:
    r"""Return `notes/<int:pk>/` or `^notes/(?P<pk>\d+)/$` as `notes/{pk}/` and its converters; None for a path that only ends otherwise."""
    route = getattr(pattern, "_route", None)
    text = str(route) if route is not None else str(getattr(pattern, "_regex", None) or pattern)
    if _SUFFIX.search(text):
        return None
    if route is not None:
        kinds = {name: _KINDS.get(kind, "string") for kind, name in _PART.findall(text)}
        return _PART.sub(r"{\2}", text), kinds
    if not hasattr(pattern, "_regex"):
        # A prefix for the language.
        return text, {}
    return _plain(text)


def _plain(regex: str) -> tuple[str, dict[str, str]]:
    """A path that fits a regular expression, its groups as parameters."""
    kinds: dict[str, str] = {}
    out, at, number = "", 0, 0
    while at < len(regex):
        sign = regex[at]
        if sign == "(":
            end = _closing(regex, at)
            group = regex[at : end + 1]
            named = re.match(r"\(\?P<(\w+)>", group)
            if named or not group.startswith("(?"):
                number += 1
                name = named.group(1) if named else "arg" + str(number)
                content = group[named.end() : -1] if named else group[1:-1]
                kinds[name] = "int" if re.fullmatch(r"(\\d|\[0-9\])([+*]|\{[\d,]+\})?", content) else "string"
                out += "{" + name + "}"
            elif group.startswith("(?:"):
                inner, more = _plain(group[3:-1].split("|")[0])
                out += inner
                kinds.update(more)
            at = end + 1
            if regex[at : at + 1] in ("?", "*", "+"):
                at += 1
            continue
        if sign == "\\" and at + 1 < len(regex):
            following = regex[at + 1]
            out += following if not following.isalnum() else ""
            at += 2
            continue
        if sign not in "^$?":
            out += sign
        at += 1
    return out, kinds


def _closing(regex: str, start: int) -> int:
    depth, at = 0, start
    while at < len(regex):
        if regex[at] == "\\":
            at += 2
            continue
        if regex[at] == "[":
            end = regex.find("]", at + 2)
            at = end if end > 0 else at
        elif regex[at] == "(":
            depth += 1
        elif regex[at] == ")":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return len(regex) - 1


def view_class(view: Any) -> type | None:
    """Class of a class-based view: Django's, or one of Django REST framework's."""
    for name in ("cls", "view_class"):
        kind = getattr(view, name, None)
        if isinstance(kind, type):
            return kind
    return None


def routes() -> list[dict[str, Any]]:
    """ROUTEs of the prototype: one for each method of a class-based view."""
    found: list[dict[str, Any]] = []
    for each in seen():
        if not _counts(each):
            continue
        common = {
            "path": each.path, "name": each.name, "in_schema": True, "converters": _keys(each), "dependencies": [],
        }  # fmt: skip
        for methods, target, names in targets(each.view):
            where = _where(target, each.view)
            if where is None and target is None:
                continue
            guards = dj_guards.guards(each.view, names)
            place = {"file": where[0], "line": where[1], "function": where[2]} if where else {"file": "", "line": 0, "function": ""}
            found.append(dict(common, methods=methods, guards=guards, **place))
    return found


def _keys(each: Seen) -> dict[str, str]:
    """Converters of a view's path, with the kind of the key that its own rows have where the pattern takes anything."""
    kind = view_class(each.view)
    queryset = getattr(kind, "queryset", None) if kind is not None else None
    model = getattr(queryset, "model", None) or (getattr(kind, "model", None) if kind is not None else None)
    key = getattr(getattr(model, "_meta", None), "pk", None)
    own = str(getattr(kind, "lookup_url_kwarg", None) or getattr(kind, "lookup_field", None) or "pk")
    if key is None or each.converters.get(own) != "string" or str(getattr(kind, "lookup_field", "pk")) not in ("pk", "id"):
        return each.converters
    name = type(key).__name__
    told = "int" if "Auto" in name or "Integer" in name else "uuid" if name == "UUIDField" else "string"
    return dict(each.converters, **{own: told})


def _counts(each: Seen) -> bool:
    kind = view_class(each.view)
    if own_function(each.view) is not None or (kind is not None and _own_class(kind)):
        return True
    module = str(getattr(kind if kind is not None else each.view, "__module__", "") or "")
    if module.startswith(_ASIDE) or (kind is not None and kind.__name__ in ("RedirectView", "TemplateView") and not each.own):
        return False
    return each.own or module.startswith(_PEOPLE)


def _own_class(kind: type) -> bool:
    file = class_file(kind)
    return file is not None and frames.relative(file) is not None


def _where(target: Any, view: Any) -> Any:
    kind = view_class(view)
    where = spot(target) if own_function(target) is not None else None
    if where is None and kind is not None:
        own = next((each for each in kind.__mro__ if _own_class(each)), None)
        where = spot(own) if own is not None else None
    return where


def targets(view: Any) -> Iterator[tuple[list[str], Any, tuple[str, str]]]:
    """(methods, what serves them, (method, action)) of a view; no methods where only its source tells them."""
    kind = view_class(view)
    if kind is None:
        yield _asked_methods(view), view, ("", "")
        return
    allowed = [str(name).lower() for name in (getattr(view, "view_initkwargs", None) or {}).get("http_method_names", getattr(kind, "http_method_names", _HTTP))]
    actions = getattr(view, "actions", None)
    if isinstance(actions, dict) and actions:
        for method, action in actions.items():
            if method in _HTTP and method in allowed:
                yield [method.upper()], getattr(kind, action, None), (method.upper(), str(action))
        return
    for method in _HTTP:
        function = getattr(kind, method, None)
        if method not in allowed or function is None:
            continue
        module = str(getattr(function, "__module__", "") or "")
        if method in ("put", "delete", "patch") and module.startswith(("django.views", "django.contrib")):
            # A page's form can send neither; Django has them do what POST does.
            continue
        yield [method.upper()], function, (method.upper(), method)


def _asked_methods(view: Any) -> list[str]:
    """Methods that a decorator lets through (`@require_http_methods`), none where there is no such decorator."""
    current, found = view, None
    for _ in range(20):
        code = getattr(current, "__code__", None)
        if code is None:
            break
        for name, cell in zip(code.co_freevars, getattr(current, "__closure__", None) or ()):
            if name == "request_method_list":
                named = [str(each).upper() for each in cell.cell_contents]
                found = [each for each in named if found is None or each in found]
        current = getattr(current, "__wrapped__", None)
    return sorted(set(found) - {"HEAD", "OPTIONS"}) if found else []
