"""Owns the making of requests: a Call, its values resolved, becomes the REQUEST that the agent serves."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import html
import json
import random
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from toughen.lab import documents, uploads
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Copies, Extract, Literal, Long, Marker, Stored, Tampered, factors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toughen.model.blueprint import Json
    from toughen.model.identity import Credential
    from toughen.model.journey import Value
    from toughen.model.trace import Exchange

_BOUNDARY = "toughen-7d1f0a"
_FILLING = 1 << 16


class UnresolvedError(LookupError):
    """A value depends on an answer or a row that is not there."""


@dataclass(slots=True)
class Resolver:
    """Turns Values into JSON while a trial runs."""

    rows: Callable[[str], list[dict[str, Json]]]
    """Reads a table as it is now."""
    markers: dict[str, str] = field(default_factory=dict)
    """Canary by Marker name, filled as they are met."""
    outside: str = ""
    """The lab's own folder, as the prototype would name it."""
    credential: Callable[[str], Credential | None] = lambda _: None
    """What an identity carries now."""

    def resolve(self, value: Value, exchanges: Sequence[Exchange]) -> Json:
        """The value itself. Raises UnresolvedError."""
        match value:
            case Literal(plain):
                return plain
            case Marker(name, shape):
                return self._marker(name, shape)
            case Extract(step, pointer):
                return pick(exchanges, step, pointer)
            case Tampered(identity, carrier, how, key):
                return tampered(self.credential(identity), carrier, how, key)
            case Long(begin, size):
                return (begin + _filling() * (size // _FILLING + 1))[:size]
            case Copies(times, parts, numbered):
                return copied(build([(path, self.resolve(each, exchanges)) for path, each in parts]), times, numbered=numbered)
            case Stored(table, column, where):
                wanted = {
                    key: self.resolve(each, exchanges) if isinstance(each, Extract | Marker) else each for key, each in where
                }
                fitting = [row for row in reversed(self.rows(table)) if all(row.get(key) == each for key, each in wanted.items())]
                if fitting:
                    return next((row[column] for row in fitting if row.get(column) is not None), None)
                message = f"no row of {table} where {wanted}"
                raise UnresolvedError(message)
        raise AssertionError(value)

    def _marker(self, name: str, shape: str) -> str:
        canary = self.markers.setdefault(name, secrets.token_hex(8))
        match shape:
            case "text":
                return f"tgn{canary}"
            case "email":
                return f"tgn{canary}@example.com"
            case "digits":
                return str(int(canary, 16) % 10**9 + 10**9)
        encoded = shape.startswith("base64:")
        first, second = factors(canary)
        text = shape.removeprefix("base64:").replace("{}", canary).replace("{outside}", self.outside).replace("{a}", str(first)).replace("{b}", str(second))
        return base64.b64encode(text.encode()).decode() if encoded else text


@cache
def _filling() -> str:
    """Letters of which a database's compression makes no fewer; the same in every run."""
    return "".join(random.Random(_FILLING).choices(string.ascii_letters + string.digits, k=_FILLING))  # noqa: S311 - nothing is secret about it


def copied(element: Json, times: int, *, numbered: bool) -> Json:
    """A list of equal elements; `numbered` has their texts end in a number."""
    if not numbered:
        return [element] * times
    leaves = flatten(element)
    return [build([(path, f"{leaf}{number}" if isinstance(leaf, str) else leaf) for path, leaf in leaves]) for number in range(times)]


def pick(exchanges: Sequence[Exchange], step: int, pointer: tuple[str | int, ...]) -> Json:
    """The value at a pointer into an earlier answer. Raises UnresolvedError."""
    response = exchanges[step].response if step < len(exchanges) else None
    if response is None:
        message = f"step {step} has no answer"
        raise UnresolvedError(message)
    if pointer and pointer[0] == "#header":
        found = response.header(str(pointer[1]))
        if found is None:
            message = f"step {step} has no header {pointer[1]}"
            raise UnresolvedError(message)
        return found
    if pointer and pointer[0] == "#field":
        held = hidden_fields(response.body).get(str(pointer[1]))
        if held is None:
            message = f"step {step} has no field {pointer[1]}"
            raise UnresolvedError(message)
        return held
    if pointer and pointer[0] == "#cookie":
        return cookies(response.headers).get(str(pointer[1]), "")
    value: Json = response.json
    for key in pointer:
        if isinstance(value, dict) and isinstance(key, str) and key in value:  # noqa: SIM114 - the kinds differ
            value = value[key]
        elif isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
            value = value[key]
        else:
            message = f"step {step} has no {'.'.join(map(str, pointer))}"
            raise UnresolvedError(message)
    return value


def tampered(credential: Credential | None, carrier: str, how: str, key: str) -> str:
    """What a header or cookie of a credential holds, its token signed otherwise. Raises UnresolvedError."""
    place, _, name = carrier.partition(":")
    held = (credential.headers if place == "header" else credential.cookies) if credential else ()
    value = next((each for known, each in held if known.lower() == name.lower()), "")
    if how == "kept":
        return value
    prefix, space, token = value.rpartition(" ")
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature (RFC 7519)
        message = f"{carrier} carries no signed token"
        raise UnresolvedError(message)
    head, claims, signature = parts
    match how:
        case "unsigned":
            head, signature = _plain_part({"alg": "none", "typ": "JWT"}), ""
        case "emptied":
            signature = ""
        case "signed":
            head, signature = _signed(head, claims, key)
        case _:
            signature = _encoded(secrets.token_bytes(32))
    return f"{prefix}{space}{head}.{claims}.{signature}"


def _signed(head: str, claims: str, key: str) -> tuple[str, str]:
    """(header, signature) by a key that was found out; the header is written otherwise than the prototype writes it."""
    try:
        said = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[said["alg"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UnresolvedError("the token is not signed by a shared key") from error
    head = _encoded(json.dumps(dict(reversed(said.items())), indent=1).encode())
    return head, _encoded(hmac.new(key.encode(), f"{head}.{claims}".encode(), digest).digest())


def _plain_part(value: dict[str, str]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hidden_fields(page: str) -> dict[str, str]:
    """Values that a page holds ready to be sent back: hidden inputs and named meta elements."""
    found: dict[str, str] = {}
    for tag in re.findall(r"<(?:input|meta)\b[^>]{1,4000}>", page, re.IGNORECASE):
        given = {name.lower(): value or bare for name, _, value, bare in re.findall(r"""([\w-]+)\s*=\s*(?:(["'])(.*?)\2|([^\s"'>]+))""", tag)}
        if "name" in given and (given.get("type", "hidden").lower() == "hidden"):
            found.setdefault(given["name"], html.unescape(given.get("value", given.get("content", ""))))
    return found


def cookies(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Cookies that an answer sets."""
    found = {}
    for name, value in headers:
        if name.lower() == "set-cookie":
            key, _, rest = value.partition("=")
            found[key.strip()] = rest.partition(";")[0].strip()
    return found


def _submitted_twice(credential: Credential, path: str) -> list[tuple[str, str]]:
    """What a page's script sends as a header because it stands in a cookie: a token against request forgery (the double submit cookie of OWASP's cheat sheet)."""
    held = [(name, value) for name, value in credential.cookies if re.search(r"csrf|xsrf", name, re.IGNORECASE)]
    # Where there is one for each token, that of the token that the route takes.
    fitting = [each for each in held if ("refresh" in each[0].lower()) == ("refresh" in path.lower())] or held
    header = {"csrftoken": "X-CSRFToken", "xsrf-token": "X-XSRF-TOKEN"}
    return [(header.get(name.lower(), "X-CSRF-TOKEN"), value) for name, value in fitting[:1]]


def _page_token(name: str, value: Value, given: dict[str, str]) -> str:
    """Whoever sends a form of Django's has got its page himself: the token in it is that of his own cookie; "" for any other value."""
    return given.get("csrftoken", "") if name == "csrfmiddlewaretoken" and isinstance(value, Literal | Extract) else ""


def assemble(  # noqa: C901 - one case for each place
    call: Call, resolver: Resolver, exchanges: Sequence[Exchange], credential: Credential | None
) -> dict[str, Any]:
    """The REQUEST frame for a call. Raises UnresolvedError."""
    method, _, path = call.route.partition(" ")
    headers: list[tuple[str, str]] = [("Host", "localhost"), ("User-Agent", "toughen"), ("Accept", "*/*")]
    given = dict(credential.cookies) if credential else {}
    query: list[tuple[str, str]] = []
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, Json]] = []
    tree: list[tuple[tuple[str | int, ...], Json]] = []
    parts: list[tuple[tuple[str | int, ...], Json]] = []
    for argument in call.arguments:
        name = str(argument.path[-1]) if argument.path else ""
        value = _page_token(name, argument.value, given) or resolver.resolve(argument.value, exchanges)
        match argument.place:
            case Place.PATH:
                segment = quote(text_of(value), safe="").replace("\\", r"\\")
                path = re.sub(r"\{" + re.escape(name) + r"(:[^}]*)?\}", segment, path)
            case Place.QUERY:
                query.extend((name, text_of(each)) for each in (value if isinstance(value, list) else [value]))
            case Place.HEADER:
                headers.append((name, text_of(value)))
            case Place.COOKIE:
                given[name] = text_of(value)
            case Place.FORM if call.body in documents.KINDS:
                parts.append((argument.path, value))
            case Place.FORM:
                fields.extend((name, text_of(each)) for each in (value if isinstance(value, list) else [value]))
            case Place.FILE:
                files.append((name, value or uploads.DEFAULT))
            case Place.JSON:
                tree.append((argument.path, value))
    body = b""
    kind = call.body or ("json" if tree else "multipart" if files else "form" if fields else None)
    if call.raw_body is not None:
        body = call.raw_body.encode("utf-8", "surrogatepass")
        headers.append(("Content-Type", call.raw_type or "application/json"))
    elif kind in documents.KINDS:
        body = documents.rendered(kind, build(parts))
        headers.append(("Content-Type", documents.KINDS[kind]))
    elif kind == "json":
        body = json.dumps(build(tree)).encode()
        headers.append(("Content-Type", "application/json"))
    elif kind == "multipart" or files:
        body = _multipart(fields, files)
        headers.append(("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}"))
    elif kind == "form":
        body = urlencode(fields).encode()
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    if credential:
        named = {name.lower() for name, _ in headers}
        headers.extend((name, value) for name, value in credential.headers if name.lower() not in named)
        named = {name.lower() for name, _ in headers}
        if method not in {"GET", "HEAD"}:
            headers.extend((name, value) for name, value in _submitted_twice(credential, path) if name.lower() not in named)
    if given:
        headers.append(("Cookie", "; ".join(f"{key}={value}" for key, value in given.items())))
    if body or method in {"POST", "PUT", "PATCH"}:
        headers.append(("Content-Length", str(len(body))))
    target = path + ("?" + urlencode(query, encoding="utf-8", errors="surrogatepass") if query else "")
    return {"method": method, "target": target, "headers": headers, "body_b64": base64.b64encode(body).decode(), **({"inside": True} if call.inside else {})}


def packed(request: dict[str, Any]) -> dict[str, Any]:
    """The REQUEST with its body compressed, which the agent unpacks piece by piece."""
    body = base64.b64decode(request["body_b64"])
    return {**{key: value for key, value in request.items() if key != "body_b64"}, "packed_b64": base64.b64encode(zlib.compress(body, 1)).decode()}


def build(tree: Sequence[tuple[tuple[str | int, ...], Json]]) -> Json:
    """The JSON body made of values at paths; an empty path is the whole body."""
    root: list[Json] = [{}]
    for path, whole in tree:
        # What another value goes into is a copy: the argument keeps what it was.
        value = copy.deepcopy(whole) if isinstance(whole, dict | list) and any(len(other) > len(path) and other[: len(path)] == path for other, _ in tree) else whole
        holder: Any = root
        key: str | int = 0
        for step in path:
            wanted: Any = [] if isinstance(step, int) else {}
            if isinstance(holder, list):
                index = int(key)
                while len(holder) <= index:
                    holder.append(None)
                if not isinstance(holder[index], type(wanted)):
                    holder[index] = wanted
                holder = holder[index]
            else:
                if not isinstance(holder.get(key), type(wanted)):
                    holder[key] = wanted
                holder = holder[key]
            key = step
        if isinstance(holder, list):
            index = int(key)
            while len(holder) <= index:
                holder.append(None)
            holder[index] = value
        else:
            holder[key] = value
    return root[0]


def flatten(value: Json, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Json]]:
    """The leaves of a JSON value with their paths; empty containers are leaves."""
    if isinstance(value, dict) and value:
        return [leaf for key, each in value.items() for leaf in flatten(each, (*path, key))]
    if isinstance(value, list) and value:
        return [leaf for index, each in enumerate(value) for leaf in flatten(each, (*path, index))]
    return [(path, value)]


def text_of(value: Json) -> str:
    """A JSON value as it stands in a URL, a header or a form."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case dict() | list():
            return json.dumps(value)
    return str(value)


def _multipart(fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, Json]]) -> bytes:
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields
    ]
    for name, wanted in files:
        filename, kind, content = uploads.sent(wanted)
        parts.append(
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
            f"Content-Type: {kind}\r\n\r\n".encode() + content + b"\r\n"
        )
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def arguments(place: Place, value: Json) -> tuple[Argument, ...]:
    """A JSON value spread into arguments."""
    return tuple(Argument(place, path, Literal(leaf)) for path, leaf in flatten(value))
