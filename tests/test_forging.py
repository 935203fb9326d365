from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import flask
import itsdangerous
import pytest

from toughen.forging import as_another, opened

KEYS = ["something else", "published-key"]


def web_token(claims: dict[str, Any], algorithm: str = "HS256", key: str = "published-key") -> str:
    """A token as RFC 7515 makes it."""
    def text(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    signed = f"{text(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{text(json.dumps(claims).encode())}"
    return f"{signed}.{text(hmac.new(key.encode(), signed.encode(), {'HS256': 'sha256', 'HS512': 'sha512'}[algorithm]).digest())}"


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_a_web_token(algorithm: str) -> None:
    """The key that signed it is found among others, and signs other claims for a long time."""
    found = opened(web_token({"sub": "ann", "exp": 1}, algorithm), KEYS)
    assert found is not None
    assert (found.key, found.claims) == ("published-key", {"sub": "ann", "exp": 1})
    forged = opened(found.sign({"sub": "bob", "exp": 1}), KEYS)
    assert forged is not None
    assert isinstance(forged.claims, dict)
    assert forged.claims["sub"] == "bob"
    assert forged.claims["exp"] > 2_000_000_000  # type: ignore[operator]


def test_a_key_that_nobody_published() -> None:
    """What another key signed, what is no token, and what is not signed with a shared key opens to nobody."""
    assert opened(web_token({"sub": "ann"}, key="kept to oneself"), KEYS) is None
    assert opened(web_token({"sub": "ann"}).replace("eyJhbGciOiAiSFMyNTYi", "eyJhbGciOiAiUlMyNTYi"), KEYS) is None
    assert opened("a.b.c", KEYS) is None
    assert opened("", KEYS) is None
    assert opened(itsdangerous.URLSafeTimedSerializer("kept to oneself").dumps({"id": 1}), KEYS) is None


@pytest.mark.parametrize("size", [1, 400])
def test_the_session_of_flask(size: int) -> None:
    """A session that the published key signed, packed or not; what is signed anew, Flask takes."""
    app = flask.Flask(__name__)
    app.secret_key = "published-key"

    @app.get("/in/<int:user>")
    def log_in(user: int) -> str:
        flask.session["user_id"] = user
        flask.session["more"] = "x" * size
        return ""

    @app.get("/me")
    def me() -> str:
        return str(flask.session.get("user_id"))

    client = app.test_client()
    client.get("/in/2")
    cookie = client.get_cookie("session")
    assert cookie is not None
    found = opened(cookie.value, KEYS)
    assert found is not None
    client.set_cookie("session", found.sign(as_another(found.claims, {"id": 2}, {"id": 1})))
    assert client.get("/me").text == "1"


def test_the_session_of_starlette() -> None:
    """The same for Starlette's middleware, which signs padded base64 with a date."""
    signer = itsdangerous.TimestampSigner("published-key")
    found = opened(signer.sign(base64.b64encode(json.dumps({"user": "ann"}).encode())).decode(), KEYS)
    assert found is not None
    assert found.claims == {"user": "ann"}
    assert json.loads(base64.b64decode(signer.unsign(found.sign({"user": "bob"}), max_age=60))) == {"user": "bob"}


def test_a_serializer_of_ones_own() -> None:
    """A salt that stands in the source is tried as well, with and without a date, in another digest."""
    timed = itsdangerous.URLSafeTimedSerializer("published-key", salt="mail")
    found = opened(timed.dumps({"id": 1}), KEYS, ["mail"])
    assert found is not None
    assert timed.loads(found.sign({"id": 2}), max_age=60) == {"id": 2}
    plain = itsdangerous.URLSafeSerializer("published-key", salt="mail", signer_kwargs={"digest_method": hashlib.sha512})
    found = opened(plain.dumps({"id": 1}), KEYS, ["mail"])
    assert found is not None
    assert plain.loads(found.sign({"id": 2})) == {"id": 2}


def test_claims_of_another() -> None:
    """What names a person becomes what names another, in its own type; times and flags stay."""
    own, other = {"id": 2, "name": "bob", "admin": False}, {"id": 1, "name": "ann", "admin": True}
    claims = {"sub": "2", "user": {"id": 2, "name": "bob"}, "iat": 2, "fresh": True, "tags": ["bob", "x"]}
    assert as_another(claims, own, other) == {"sub": "1", "user": {"id": 1, "name": "ann"}, "iat": 2, "fresh": True, "tags": ["ann", "x"]}
