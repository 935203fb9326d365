"""Owns what an HTML page asks for: the fields of its forms, their choices, and its token against request forgery."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from toughen.lab.requests import hidden_fields
from toughen.model.blueprint import Parameter, Place

if TYPE_CHECKING:
    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange

FORGERY = re.compile(r"csrf|xsrf|forgery|authenticity", re.IGNORECASE)
_TYPES = {"number": ("integer", None), "range": ("integer", None), "email": ("string", "email"), "date": ("string", "date"), "password": ("string", "password"),
          "datetime-local": ("string", "date-time"), "url": ("string", "uri"), "time": ("string", "time")}
_IDLE = {"submit", "button", "reset", "image", "hidden", "file"}
_MOST = 40


class _Page(HTMLParser):
    """Collects the fields of each form."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[dict[str, str | None], list[Parameter]]] = []
        self.choices: list[Json] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append((given, []))
        if not self.forms or len(self.forms[-1][1]) > _MOST:
            return
        fields, name, kind = self.forms[-1][1], given.get("name"), (given.get("type") or "text").lower()
        if tag == "option" and self.choices is not None and given.get("value"):
            self.choices.append(given["value"])
        elif tag == "select" and name:
            self.choices = []
            fields.append(Parameter(Place.FORM, (name,), "string", required=True, declared=False))
        elif (tag == "textarea" or (tag == "input" and kind not in _IDLE)) and name and not FORGERY.search(name):
            value, form = _TYPES.get(kind, ("any", None))
            enum: tuple[Json, ...] = (given.get("value") or "on",) if kind in {"radio", "checkbox"} else ()
            if not any(each.name == name for each in fields):
                fields.append(Parameter(Place.FORM, (name,), value, required=kind != "checkbox", format=form, enum=enum, declared=False))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self.choices is not None and self.forms:
            fields = self.forms[-1][1]
            if self.choices and fields:
                fields[-1] = replace(fields[-1], enum=tuple(self.choices[:6]))
            self.choices = None


def fields(exchange: Exchange, path: str) -> list[Parameter]:
    """Fields that the page's form for this path asks for: the form that names it, else the only one that is posted."""
    response = exchange.response
    if response is None or "html" not in (response.header("content-type") or "") or "<form" not in response.body.lower():
        return []
    page = _Page()
    page.feed(response.body)
    posted = [(given, found) for given, found in page.forms if (given.get("method") or "get").lower() == "post"]
    own = [found for given, found in posted if (given.get("action") or "").partition("?")[0] == path]
    unnamed = [found for given, found in posted if given.get("action") in {None, "", "#"}]
    chosen = own or unnamed or ([posted[0][1]] if len(posted) == 1 else [])
    return chosen[0] if chosen else []


def named(exchange: Exchange, path: str) -> list[Parameter] | None:
    """Fields of the page's form that is posted to this path, None where it has no such form; one without an action is posted to its own page."""
    response, own = exchange.response, exchange.target.partition("?")[0]
    if response is None or "html" not in (response.header("content-type") or "") or (path not in response.body and path != own):
        return None
    page = _Page()
    page.feed(response.body)
    for given, found in page.forms:
        action = (given.get("action") or "").partition("?")[0]
        if (action if action not in {"", "#"} else own) == path and (given.get("method") or "get").lower() == "post":
            return found
    return None


def tokens(exchange: Exchange) -> list[tuple[str, str]]:
    """(field, value) of the tokens against request forgery in a page."""
    response = exchange.response
    if response is None or response.is_json or "<" not in response.body:
        return []
    return [(name, value) for name, value in hidden_fields(response.body).items() if FORGERY.search(name) and value]
