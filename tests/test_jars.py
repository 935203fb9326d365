from __future__ import annotations

import pytest

from toughen.jars import sealed, suspected
from toughen.model.blueprint import Blueprint
from toughen.model.finding import Evidence, Finding, Severity, Status
from toughen.model.patch import Patch
from toughen.model.source import Location

APP = Blueprint("x", "flask", None)


def mended(text: str, name: str = "session") -> str:
    """The source after the repair of that cookie; as it was where there is none."""
    evidence = Evidence("", detail=(("cookie", name),))
    finding = Finding("security/insecure-cookie", "GET /", Location("main.py", 1), Status.PROVEN, Severity.MEDIUM, "", evidence)
    offer = next(iter(sealed(finding, APP, {"main.py": text})))
    return offer.changes[0].after if isinstance(offer, Patch) else text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("response.set_cookie('session', token)", "response.set_cookie('session', token, httponly=True)"),
        ("import flask\nr.set_cookie('session', token, max_age=60)", "import flask\nr.set_cookie('session', token, max_age=60, httponly=True, samesite='Lax')"),
        ("r.set_cookie(key='session', value=token, httponly=False, samesite='none')", "r.set_cookie(key='session', value=token, httponly=True, samesite='Lax')"),
        ("NAME = 'session'\nr.set_cookie(NAME, token)", "NAME = 'session'\nr.set_cookie(NAME, token, httponly=True)"),
        ("app = Flask(__name__)\n", 'app = Flask(__name__)\napp.config["SESSION_COOKIE_SAMESITE"] = "Lax"\n'),
        ("class Config:\n    SESSION_COOKIE_HTTPONLY = False\n    SESSION_COOKIE_SAMESITE = None\n", 'class Config:\n    SESSION_COOKIE_HTTPONLY = True\n    SESSION_COOKIE_SAMESITE = "Lax"\n'),
    ],
)
def test_attributes_that_keep_a_cookie(before: str, after: str) -> None:
    """At the call that sets it, in the names of its framework; else in the configuration of Flask's session; what was chosen stays."""
    assert mended(before) == after


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("r.set_cookie('access_token', token)", [1]),
        ("r.set_cookie('session', token, httponly=True)", []),
        ("r.set_cookie('csrf_token', token)", []),
        ("r.set_cookie('theme', 'dark')", []),
        ("app.config['SESSION_COOKIE_HTTPONLY'] = False\napp.config['SESSION_COOKIE_SECURE'] = True", [1]),
        ("class DevConfig:\n    SESSION_COOKIE_SECURE = False\nclass Config:\n    SESSION_COOKIE_SECURE = False", [4]),
    ],
)
def test_what_is_suspected(text: str, lines: list[int]) -> None:
    """Cookies that log somebody in, by their names; what a page's script reads, and a development machine's settings, are left alone."""
    assert [each.location.line for each in suspected("x", APP, {"main.py": text})] == lines
