"""Owns how a stored text tells the password that it was made of: itself, an encoding, or a digest that is fast to try."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FAST = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake2s")
_BETWEEN = ("", ":", "$", ".", "|", "-", "_")
_SHORTEST, _SALTS = 8, 24


def kept(password: str, stored: str, salts: Iterable[str] = (), fixed: Iterable[str] = ()) -> str:
    """How the stored text gives the password away, in words that end a sentence; "" where it does not.

    `salts` are texts that whoever reads the database reads as well: the other columns of the row; `fixed` are texts that
    stand in the source. A digest with one of them is told as such: it is as fast to try.
    """
    if password in stored:
        return "itself" if stored == password else "itself, in a longer text"
    for name, text in (("base64 of it", base64.b64encode(password.encode())), ("its bytes in hexadecimal", password.encode().hex().encode())):
        if stored.removeprefix("hex:") == text.decode() or stored.rstrip("=") == text.decode().rstrip("="):
            return name
    if stored == password[::-1] or stored == base64.b64encode(password.encode()).decode()[::-1]:
        return "itself, turned round"
    parts = re.split(r"[$:.|]", stored)
    pieces = {_plain(each) for each in (stored, *parts) if len(each) >= _SHORTEST}
    for name in _FAST:
        if pieces & set(_shown(hashlib.new(name, password.encode()).digest())):
            return f"its plain {name} digest"
    known = [each for each in dict.fromkeys([*parts, *salts]) if each and each != stored][:_SALTS]
    for name, salt in product(_FAST, known):
        if any(pieces & set(_shown(each)) for each in _salted(name, password, salt)):
            return f"its {name} digest, with a text in front or behind that stands in the same row"
    for name, salt in product(_FAST, [each for each in fixed if each]):
        if any(pieces & set(_shown(each)) for each in _salted(name, password, salt)):
            return f"its {name} digest, with a text in front or behind that stands in the source"
    return ""


def _salted(name: str, password: str, salt: str) -> Iterator[bytes]:
    secret = password.encode()
    forms = [salt.encode()]
    if re.fullmatch(r"(?:[0-9a-f]{2}){4,}", salt.removeprefix("hex:"), re.IGNORECASE):
        forms.append(bytes.fromhex(salt.removeprefix("hex:")))
    for form in forms:
        for between in _BETWEEN:
            yield hashlib.new(name, form + between.encode() + secret).digest()
            yield hashlib.new(name, secret + between.encode() + form).digest()
        if name.startswith(("md5", "sha")):
            yield hmac.new(form, secret, name).digest()


def _shown(digest: bytes) -> tuple[str, ...]:
    """The ways in which programs write a digest down."""
    return digest.hex(), _plain(base64.b64encode(digest).decode()), _plain(base64.urlsafe_b64encode(digest).decode())


def _plain(text: str) -> str:
    text = text.removeprefix("hex:").rstrip("=")
    return text.lower() if re.fullmatch(r"[0-9A-Fa-f]+", text) else text
