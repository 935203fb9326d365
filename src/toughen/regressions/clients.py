"""Owns requests as the project's own test client takes them: Starlette's, Flask's and Django's."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.regressions.known import UnwritableError
from toughen.regressions.source import Code, call, formatted, quoted, round_number, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.model.journey import Argument, Call

STARLETTE, FLASK, DJANGO = "starlette", "flask", "django"
_BODILESS = {"get", "head", "options", "delete"}


def kind_of(framework: str) -> str:
    """Whose test client serves that framework."""
    return {"flask": FLASK, "connexion": FLASK, "django": DJANGO}.get(framework, STARLETTE)


def nested(tree: list[tuple[tuple[str | int, ...], object]]) -> object:
    """The JSON body made of values at paths; an empty path is the whole body."""
    root: object = {}
    for path, value in tree:
        root = _laid(root, path, value)
    return root


def _laid(holder: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = list(holder) if isinstance(holder, list) else []
        items += [None] * (step + 1 - len(items))
        items[step] = _laid(items[step], rest, value)
        return items
    held = dict(holder) if isinstance(holder, dict) else {}
    held[step] = _laid(held.get(step), rest, value)
    return held


def request(kind: str, sent: Call, value: Callable[[Argument], object], *, client: str, headers: str = "", before: str = "", expects: int = 200, indent: int = 4) -> list[str]:  # noqa: C901, PLR0912, PLR0915 - one case for each place
    """A request as lines of source; `value` gives an argument's value, `headers` the expression of its sender's. Raises UnwritableError."""
    method, _, path = sent.route.partition(" ")
    parts: list[Code | str] = [path]
    query: dict[str, object] = {}
    fields: dict[str, object] = {}
    files: list[str] = []
    extra: dict[str, object] = {}
    signed: list[str] = []
    tree: list[tuple[tuple[str | int, ...], object]] = []
    for argument in sent.arguments:
        name = str(argument.path[-1]) if argument.path else ""
        if kind == DJANGO and name == "csrfmiddlewaretoken":
            # Its test client is not asked for one.
            continue
        match argument.place:
            case Place.PATH:
                parts = _placed(parts, name, value(argument))
            case Place.QUERY:
                query[name] = value(argument)
            case Place.HEADER:
                sent_as = value(argument)
                if isinstance(sent_as, tuple):
                    if kind == DJANGO:
                        raise UnwritableError("it logs in by a header of HTTP's own")
                    signed = [f"auth={written(sent_as)}"]
                else:
                    extra[name] = sent_as
            case Place.COOKIE:
                raise UnwritableError(f"the cookie {name} is set by hand")
            case Place.FORM:
                fields[name] = value(argument)
            case Place.FILE:
                files.append(name)
            case Place.JSON:
                tree.append((argument.path, value(argument)))
    given: list[str] = [formatted(parts)]
    body = sent.body or ("json" if tree else "multipart" if files else "form" if fields else None)
    if body not in {None, "json", "form", "multipart"}:
        raise UnwritableError(f"its body is {body}")
    verb = method.lower()
    if query and kind == DJANGO and verb != "get":
        raise UnwritableError("it sends a query beside its body")
    if query:
        given.append(f"{'query_string' if kind == FLASK else 'params'}={written(query)}" if kind != DJANGO or verb != "get" else written(query))
    typed = ""
    if sent.raw_body is not None:
        if len(sent.raw_body) > 400:  # noqa: PLR2004 - nobody reads more
            raise UnwritableError("its body is long and no JSON")
        given.append(f"{'content' if kind == STARLETTE else 'data'}={_quoted(sent.raw_body)}")
        typed = sent.raw_type or "application/json"
    elif body == "json" and (tree or verb not in _BODILESS):
        given.append(f"json={written(nested(tree))}" if kind != DJANGO else f"data={written(nested(tree))}")
        typed = "application/json" if kind == DJANGO else ""
    elif files:
        if fields and kind == STARLETTE:
            given.append(f"data={written(fields)}")
        if kind == STARLETTE:
            given.append("files={" + ", ".join(f'{quoted(each)}: ("picture.png", PICTURE, "image/png")' for each in files) + "}")
        else:
            raise UnwritableError("it uploads a file")
    elif fields:
        given.append(f"data={written(fields)}")
    if typed and kind != STARLETTE:
        given.append(f'content_type="{typed}"')
    elif typed:
        extra["Content-Type"] = typed
    if headers and extra:
        given.append(f"headers={{**{headers}, {written(extra)[1:]}")
    elif headers or extra:
        given.append(f"headers={headers or written(extra)}")
    given += signed
    if kind == STARLETTE and 300 <= expects < 400:  # noqa: PLR2004 - a redirect is the answer itself
        given.append("follow_redirects=False")
    if kind == STARLETTE and verb in _BODILESS and any(each.startswith(("json=", "data=", "content=")) for each in given):
        return call(f"{client}.request", [f'"{method}"', *given], before=before, indent=indent)
    return call(f"{client}.{verb}", given, before=before, indent=indent)


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text and "'" not in text and "\\" not in text and "\n" not in text else quoted(text)


def _placed(parts: list[Code | str], name: str, value: object) -> list[Code | str]:
    """The path with one placeholder filled."""
    found: list[Code | str] = []
    for part in parts:
        if isinstance(part, Code):
            found.append(part)
            continue
        before, match, after = part, re.search(r"\{" + re.escape(name) + r"(:[^}]*)?\}", part), ""
        if match is None:
            found.append(part)
            continue
        before, after = part[: match.start()], part[match.end() :]
        segment = _segment(value)
        digits = round_number(segment)
        found += [each for each in (before, value if isinstance(value, Code) else Code(f"{'-' if segment.startswith('-') else ''}10**{digits}") if digits is not None else segment, after) if each != ""]
    return found


def _segment(value: object) -> str:
    from urllib.parse import quote

    text = "true" if value is True else "false" if value is False else "" if value is None else json.dumps(value) if isinstance(value, dict | list) else str(value)
    return quote(text, safe="")


def read(kind: str, answer: str, pointer: tuple[str | int, ...]) -> str:
    """The expression of a value in an answer's JSON. Raises UnwritableError."""
    if pointer and pointer[0] == "#header":
        return f"{answer}.headers[{quoted(str(pointer[1]))}]"
    if pointer and isinstance(pointer[0], str) and pointer[0].startswith("#"):
        raise UnwritableError(f"it needs the {pointer[0][1:]} {pointer[1]} of an answer")
    body = f"{answer}.get_json()" if kind == FLASK else f"{answer}.json()"
    return body + "".join(f"[{quoted(each) if isinstance(each, str) else each}]" for each in pointer)


def text(kind: str, answer: str) -> str:
    """The expression of an answer's whole text."""
    return {FLASK: f"{answer}.get_data(as_text=True)", DJANGO: f"{answer}.content.decode()"}.get(kind, f"{answer}.text")
