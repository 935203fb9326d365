"""Owns the judgement of one answer while exploring: success, refused, not found, invalid, crashed, and why."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from toughen.model.trace import Exchange

_ALREADY = re.compile(r"already|exist|taken|duplicate|in use|registered", re.IGNORECASE)
_IDENTITY = re.compile(
    r"log ?in|logged|token|credential|authenti|authorization|unauthori[sz]ed|sign in|session|api.?key|jwt|bearer|signature", re.IGNORECASE
)
_MISSED = re.compile(r"(missing|no|need|require)\w*\W+([\w-]+\W+){0,3}(token|credential|authorization|api.?key|jwt)|(token|credential|authorization|api.?key|jwt)s?\W+([\w-]+\W+){0,3}(missing|required|not (found|provided|present))", re.IGNORECASE)
_AUTHORITY = re.compile(r"permission|forbidden|admin|not allowed|privilege|role|access denied|only ", re.IGNORECASE)
_NO_CREDENTIAL = re.compile(r"NoAuthorization|WrongToken|Unauthorized|NotAuthenticated|MissingToken|InvalidHeader|JWTDecode|DecodeError")
"""Exceptions that mean a refusal where nobody turns them into a 401."""
_LOGIN_PAGE = re.compile(r"log-?in|sign-?in|auth", re.IGNORECASE)

_UNSEEN = re.compile(r"<(style|script)\b.{0,20000}?</\1\s*>", re.IGNORECASE | re.DOTALL)
"""What a page holds and does not show."""
_CUT = 300
_NO_ERROR = frozenset({"", "0", "00", "000", "none", "null", "false", "no"})
_ASIDE = re.compile(r"\.log(\.\d+)?$|(^|/)(flask_session|sessions?|cache|\.cache|logs?)/")
"""Files that are written by the way: logs, sessions, what is kept for speed."""


class Depth(IntEnum):
    """How far a request came; higher is deeper."""

    DEAD = 0
    REFUSED = 1
    INVALID = 2
    MISSING = 3
    CONFLICT = 4
    CRASHED = 5
    SUCCESS = 6


def depth(exchange: Exchange, *, identified: bool = False) -> Depth:
    """How far this request came; `identified` when it carried a credential that works elsewhere."""
    response = exchange.response
    if response is None:
        return Depth.DEAD
    status = response.status
    if exchange.failure is not None and _NO_CREDENTIAL.search(exchange.failure.type):
        return Depth.REFUSED
    if exchange.failure is not None or status >= 500:  # noqa: PLR2004
        return Depth.CRASHED
    text = message(exchange)
    if status < 400:  # noqa: PLR2004
        if 300 <= status < 400 and status != 304:  # noqa: PLR2004
            target = response.header("Location") or ""
            to_login = bool(_LOGIN_PAGE.search(target.partition("?")[0]) or "next=" in target) and not exchange.target.startswith(target)
            # Log-out and sign-up send everybody to the log-in page; a guard sends those who are not logged in.
            wrote = any(each.writes and each.rows != 0 for each in exchange.statements) or (
                bool(exchange.request_body) and any(not _ASIDE.search(each) for each in exchange.written_files)
            )
            if _form_refused(exchange):
                return Depth.INVALID
            if exchange.method == "POST" and exchange.statements and not wrote and target.partition("?")[0] == exchange.target.partition("?")[0] and not to_login:
                return Depth.INVALID
            back = "next=" in target or f"={exchange.target.partition('?')[0]}" in unquote(target)
            return Depth.REFUSED if to_login and (back or not (identified or wrote)) else Depth.SUCCESS
        if _form_again(exchange) or _form_refused(exchange):
            return Depth.INVALID
        if not soft_failure(exchange):
            return Depth.SUCCESS
        if _ALREADY.search(text):
            return Depth.CONFLICT
        return Depth.REFUSED if _IDENTITY.search(text) and "invalid" not in text.lower() else Depth.INVALID
    if status == 401 or _lacks_credential(exchange):  # noqa: PLR2004
        return Depth.REFUSED
    if status == 403:  # noqa: PLR2004
        return Depth.CONFLICT if _ALREADY.search(text) else Depth.REFUSED
    if status == 404:  # noqa: PLR2004
        return Depth.MISSING
    if status == 409 or (status == 400 and _ALREADY.search(text)):  # noqa: PLR2004
        return Depth.CONFLICT
    return Depth.INVALID


def _form_again(exchange: Exchange) -> bool:
    """A page that shows its form once more instead of doing what was sent."""
    response = exchange.response
    if response is None or exchange.method not in {"POST", "PUT", "PATCH"} or "html" not in (response.header("content-type") or ""):
        return False
    return "<form" in response.body.lower() and not any(each.writes for each in exchange.statements)


def _form_refused(exchange: Exchange) -> bool:
    """A form of the framework's own said no to what was sent, and nothing was done."""
    wrote = {table for each in exchange.statements if each.rows != 0 for table in each.writes}
    return bool(exchange.rejected) and exchange.method in {"POST", "PUT", "PATCH"} and not wrote - {"django_session"}


def _lacks_credential(exchange: Exchange) -> bool:
    """A 422 for want of a header that carries a credential (`token: str = Header(...)`), or an answer that says so of one that it looked for."""
    if exchange.status in {400, 422} and _MISSED.search(message(exchange)) and any(
        each.place in {"header", "cookie"} and not each.present and _IDENTITY.search(str(each.key[-1:])) for each in exchange.demands
    ):
        return True
    body = exchange.response.json if exchange.response else None
    details = body.get("detail") if isinstance(body, dict) else None
    if exchange.status != 422 or not isinstance(details, list):  # noqa: PLR2004
        return False
    places = [each.get("loc") for each in details if isinstance(each, dict)]
    return any(
        isinstance(place, list) and place[:1] == ["header"] and bool(_IDENTITY.search(str(place[-1]))) for place in places
    )


def soft_failure(exchange: Exchange) -> bool:
    """A 2xx whose body says that it failed."""
    body = exchange.response.json if exchange.response else None
    if not isinstance(body, dict):
        return False
    if body.get("success") is False or body.get("ok") is False or (body.get("valid") is False and len(body) <= 3):  # noqa: PLR2004
        return True
    status = body.get("status")
    if isinstance(status, str) and status.lower() in {"fail", "failed", "failure", "error"}:
        return True
    error = body.get("error")
    return isinstance(error, str) and error.lower() not in _NO_ERROR and not body.get("success")


def message(exchange: Exchange) -> str:
    """What the answer says, in its own words (cut)."""
    response = exchange.response
    if response is None:
        return exchange.ended
    if isinstance(response.json, dict):
        for key in ("detail", "message", "error", "msg", "description", "errors", "error_description"):
            value = response.json.get(key)
            if value:
                return value if isinstance(value, str) else str(value)[:300]
    body = _UNSEEN.sub(" ", response.body) if "<style" in response.body or "<script" in response.body else response.body
    return re.sub(r"<[^>]+>", " ", body)[:_CUT].strip()


def wants_identity(exchange: Exchange) -> bool:
    """Refused for want of a credential."""
    return depth(exchange) is Depth.REFUSED and (exchange.status in {400, 401, 422, 500, 302, 303, 307} or not _AUTHORITY.search(message(exchange)))


def wants_token(exchange: Exchange) -> bool:
    """Refused for want of a credential, or of one of another kind (`only refresh tokens`)."""
    return wants_identity(exchange) or (exchange.status in {401, 403, 422} and bool(re.search(r"\btokens?\b", message(exchange), re.IGNORECASE)))


def explain(exchange: Exchange) -> str:
    """The reason of a failure in one line: status, the user's frame, the answer's own words."""
    if exchange.response is None:
        ended = {"timeout": "never ended; its process was killed", "died": "the process died while it was served"}
        return ended.get(exchange.ended, exchange.ended)
    if exchange.failure is not None:
        failure = exchange.failure
        where = f" ({failure.location})" if failure.location else ""
        return f"always {exchange.status}: {failure.type}: {failure.message[:160]}{where}"
    said = " ".join(message(exchange).split())[:160]
    return f"{exchange.status}" + (f": {said}" if said else "")
