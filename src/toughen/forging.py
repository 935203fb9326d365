"""Owns signed credentials whose key is known: JSON web tokens (HMAC) and what itsdangerous signs; opened, and signed anew with other claims."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import struct
import time
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from toughen.model.blueprint import Json

_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_DAY = 24 * 3600
_YEARS = 10 * 365 * _DAY
_TIMED = {"iat", "nbf", "exp", "auth_time"}
_BASE64 = re.compile(r"^[\w-]+$")
_BARE = "itsdangerous.Signer"
"""The salt of the library's Signer, which Starlette leaves as it is."""
_SALTS = ("cookie-session", _BARE, "itsdangerous", "session", "auth", "token")
"""Flask's for its session, Starlette's, the default of the library's serializers, and frequent ones."""
_LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Opened:
    """A signed credential, the key that signed it, and how to sign another."""

    key: str
    claims: Json
    kind: str
    """What it is, in words."""
    sign: Callable[[Json], str]


def opened(token: str, keys: Iterable[str], salts: Iterable[str] = ()) -> Opened | None:
    """The credential that one of these keys signed; None where it is another's, or no such thing."""
    parts = token.split(".")
    if len(token) > _LARGEST or not 2 <= len(parts) <= 4:  # noqa: PLR2004 - a JWT has three parts; a session two, three, or four where it is packed
        return None
    if len(parts) == 3 and (found := _web_token(parts, keys)) is not None:  # noqa: PLR2004
        return found
    return _dangerous(token, list(keys), [*_SALTS, *salts])


# -- JSON web tokens (RFC 7515, RFC 7519) ------------------------------------------------------------------------------


def _web_token(parts: list[str], keys: Iterable[str]) -> Opened | None:
    header, claims, signature = _json(parts[0]), _json(parts[1]), _bytes(parts[2])
    name = _HASHES.get(str(header.get("alg"))) if isinstance(header, dict) else None
    if name is None or not isinstance(claims, dict):
        return None
    signed = f"{parts[0]}.{parts[1]}".encode()
    for key in keys:
        if hmac.compare_digest(hmac.new(key.encode(), signed, name).digest(), signature):
            return Opened(key, claims, "a JSON web token", partial(_signed, parts[0], key, name))
    return None


def _signed(header: str, key: str, name: str, claims: Json) -> str:
    now = int(time.time())
    if isinstance(claims, dict):
        fresh: dict[str, Json] = {"iat": now, "nbf": now, "exp": now + _YEARS}
        claims = {each: fresh.get(each, value) for each, value in claims.items()}
    return _sealed(header, claims, key, name)


def _sealed(header: str, claims: Json, key: str, name: str) -> str:
    text = f"{header}.{_text(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{text}.{_text(hmac.new(key.encode(), text.encode(), name).digest())}"


def foreign(token: str) -> str | None:
    """The same JSON web token, signed with a key that nobody knows; None where it is no such token."""
    header, claims = _claimed(token)
    if header is None:
        return None
    name = _HASHES.get(str(header.get("alg")))
    head = token.partition(".")[0]
    # Of another algorithm no more than a signature of the right length can be had.
    return _sealed(head, claims, secrets.token_hex(32), name) if name else f"{token.rpartition('.')[0]}.{_text(secrets.token_bytes(len(_bytes(token.rpartition('.')[2]))))}"


def ends(token: str) -> bool:
    """Whether a JSON web token says when it ends."""
    claims = _claimed(token)[1]
    return isinstance(claims, dict) and isinstance(claims.get("exp"), int | float)


def left(token: str) -> float:
    """Seconds until a JSON web token ends, negative where it has; raises KeyError where it does not say."""
    claims = _claimed(token)[1]
    if not isinstance(claims, dict) or not isinstance(end := claims.get("exp"), int | float):
        raise KeyError(token)
    return end - time.time()


def ended(token: str, keys: Iterable[str]) -> str | None:
    """The same JSON web token, rightly signed, as it was a day after its end; None where none of the keys signed it."""
    header, claims = _claimed(token)
    name = _HASHES.get(str(header.get("alg"))) if header is not None else None
    if name is None or not isinstance(claims, dict) or not ends(token):
        return None
    found = _web_token(token.split("."), keys)
    past = claims["exp"] - time.time() + _DAY  # type: ignore[operator]
    moved = {key: int(value - past) if key in _TIMED and isinstance(value, int | float) else value for key, value in claims.items()}
    return None if found is None else _sealed(token.partition(".")[0], moved, found.key, name)


def _claimed(token: str) -> tuple[dict[str, Json] | None, Json]:
    parts = token.split(".")
    header = _json(parts[0]) if len(parts) == 3 else None  # noqa: PLR2004
    return (header, _json(parts[1])) if isinstance(header, dict) and header.get("alg") else (None, None)


# -- itsdangerous ------------------------------------------------------------------------------------------------------


def _dangerous(token: str, keys: list[str], salts: list[str]) -> Opened | None:
    """`payload.timestamp.signature`, or without the timestamp; the payload is base64 of JSON, packed where it begins with a dot."""
    value, _, last = token.rpartition(".")
    signature = _bytes(last)
    name = {20: "sha1", 32: "sha256", 64: "sha512"}.get(len(signature))
    if name is None or not value:
        return None
    payload, _, stamp = value.rpartition(".")
    timed = bool(payload) and len(stamp) <= 8 and bool(_BASE64.match(stamp))  # noqa: PLR2004 - seconds since 1970 in base64
    body = payload if timed else value
    claims = _unpacked(body)
    if not isinstance(claims, dict | list | str | int):
        return None
    for key in keys:
        for salt, derived in _derived(key, salts, name):
            if hmac.compare_digest(hmac.new(derived, value.encode(), name).digest(), signature):
                # Starlette signs base64 of the ordinary alphabet, and wants its padding.
                ordinary = salt == _BARE and not body.startswith(".")
                return Opened(key, claims, "a signed cookie or token", partial(_resigned, derived, name, timed=timed, ordinary=ordinary))
    return None


def _derived(key: str, salts: list[str], name: str) -> Iterator[tuple[str, bytes]]:
    for salt in dict.fromkeys(salts):
        yield salt, hashlib.new(name, salt.encode() + b"signer" + key.encode()).digest()
        yield salt, hmac.new(key.encode(), salt.encode(), name).digest()


def _resigned(derived: bytes, name: str, claims: Json, *, timed: bool, ordinary: bool) -> str:
    text = json.dumps(claims, separators=(",", ":")).encode()
    body = base64.b64encode(text).decode() if ordinary else _text(text)
    if timed:
        body += "." + _text(struct.pack(">Q", int(time.time())).lstrip(b"\0"))
    return f"{body}.{_text(hmac.new(derived, body.encode(), name).digest())}"


def _unpacked(body: str) -> Json:
    packed = body.startswith(".")
    raw = _bytes(body.removeprefix("."))
    try:
        return json.loads(zlib.decompressobj().decompress(raw, _LARGEST) if packed else raw)  # type: ignore[no-any-return]
    except (ValueError, zlib.error, RecursionError):
        return None


# -- bytes -------------------------------------------------------------------------------------------------------------


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_").rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except (ValueError, binascii.Error):
        return b""


def _json(text: str) -> Json:
    try:
        return json.loads(_bytes(text))  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def spoiled(token: str) -> str:
    """The same credential under a signature that no key makes."""
    value, dot, signature = token.rpartition(".")
    if not dot:
        value, signature = token[: len(token) // 2], token[len(token) // 2 :]
    return value + dot + "".join("Q" if each != "Q" else "Z" for each in signature)


# -- claims ------------------------------------------------------------------------------------------------------------


def as_another(claims: Json, own: dict[str, Json], other: dict[str, Json]) -> Json:
    """The claims of somebody's own credential, with what names him replaced by what names another."""
    match claims:
        case dict():
            return {key: value if key in _TIMED else as_another(value, own, other) for key, value in claims.items()}
        case list():
            return [as_another(each, own, other) for each in claims]
        case bool() | None:
            return claims
    for column, value in own.items():
        foreign = other.get(column)
        if value not in {None, ""} and not isinstance(value, bool) and str(value) == str(claims) and foreign is not None and str(foreign) != str(value):
            return str(foreign) if isinstance(claims, str) else foreign
    return claims
