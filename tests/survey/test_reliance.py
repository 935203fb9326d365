"""Proves which variables the source relies on, and what is made up for those, for modes, algorithms and rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.lab.variables import dummies
from toughen.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.survey import Sources

    Write = Callable[[Mapping[str, str]], Sources]

FLASK = "import os\nfrom flask import Flask\napp = Flask(__name__)\n"


def relied(sources: Sources) -> dict[str, bool]:
    """Whether the source relies on each of its variables."""
    return {each.name: each.relied for each in survey(sources).environment}


def made_up(sources: Sources) -> dict[str, str]:
    """What is made up for a project."""
    return dummies(survey(sources), sources.root, sources.texts.values()).values


@pytest.mark.parametrize(
    "lines",
    [
        ("SECERET_KEY = os.getenv('SECERET_KEY')", "def sign(what):", "    return jwt.encode(what, SECERET_KEY)"),
        ("app.secret_key = os.getenv('SECERET_KEY')",),
        ("SECERET_KEY: str = os.getenv('SECERET_KEY')",),
        ("SECERET_KEY = str(os.getenv('SECERET_KEY'))",),
        ("SECERET_KEY = os.environ.get('SECERET_KEY')",),
        ("signer = Signer(os.getenv('SECERET_KEY'))",),
        ("def expiry():", "    return timedelta(0, int(os.getenv('SECERET_KEY')))"),
        ("SECERET_KEY = int(os.getenv('SECERET_KEY'))", "later = timedelta(minutes=SECERET_KEY)"),
        ("SECERET_KEY = os.getenv('SECERET_KEY')", "if SECERET_KEY == 'changeme':", "    print('change it')"),
        ("SECERET_KEY = os.getenv('SECERET_KEY')", "assert SECERET_KEY.startswith('k')"),
        ("SECERET_KEY = os.getenv('SECERET_KEY')", "if len(SECERET_KEY) < 8:", "    print('short')"),
        ("SECERET_KEY = os.getenv('SECERET_KEY')", "SECERET_KEY_FILE = None", "if SECERET_KEY_FILE:", "    print('file')"),
    ],
)
def test_who_uses_a_value_without_asking_for_it_relies_on_it(project: Write, lines: tuple[str, ...]) -> None:
    """What is passed on, kept, converted, or compared with a value as if it were there, has to be there."""
    assert relied(project({"main.py": FLASK + "\n".join(lines) + "\n"})) == {"SECERET_KEY": True}


ASKS = {
    "if": "if KEY:\n    print(KEY)",
    "elif": "if app.debug:\n    pass\nelif KEY:\n    print(KEY)",
    "while": "while KEY:\n    break",
    "or": "key = KEY or 'k'",
    "and": "key = KEY and KEY.strip()",
    "second": "ready = app.debug and KEY",
    "not": "if not KEY:\n    raise RuntimeError('no key')",
    "is None": "if KEY is None:\n    raise RuntimeError('no key')",
    "is not None": "ready = KEY is not None",
    "== None": "ready = KEY == None",
    "!= None": "ready = KEY != None",
    "bool": "ready = bool(KEY)",
    "all": "ready = all([app, KEY])",
    "any": "ready = any((KEY, app))",
    "assert": "assert KEY, 'no key'",
    "conditional": "sign = print if KEY else None",
    "value": "key = KEY if KEY else 'k'",
    "brackets": "if (KEY):\n    print(KEY)",
}


@pytest.mark.parametrize("asks", ASKS)
@pytest.mark.parametrize("place", ["same", "from", "attribute"])
def test_who_asks_whether_a_value_is_there_can_do_without(project: Write, asks: str, place: str) -> None:
    """A variable whose absence some line asks for, in its own file or in one that imports it, may be left out."""
    read, line = "JWT_KEY = os.getenv('JWT_KEY')\n", ASKS[asks].replace("KEY", "JWT_KEY") + "\n"
    files = {
        "same": {"main.py": FLASK + read + line},
        "from": {"main.py": FLASK + "from settings import JWT_KEY\n" + line, "settings.py": "import os\n" + read},
        "attribute": {"main.py": FLASK + "import settings\n" + line.replace("JWT_KEY", "settings.JWT_KEY"), "settings.py": "import os\n" + read},
    }
    assert relied(project(files[place])) == {"JWT_KEY": False}


@pytest.mark.parametrize(
    "line",
    [
        "key = os.getenv('JWT_KEY') or 'k'",
        "key = 'k' if os.getenv('JWT_KEY') is None else 'given'",
        "if os.getenv('JWT_KEY'):\n    print('signed')",
        "if not os.getenv('JWT_KEY'):\n    print('unsigned')",
        "assert os.getenv('JWT_KEY'), 'no key'",
        "ready = bool(os.getenv('JWT_KEY'))",
        "ready = os.getenv('JWT_KEY') == 'on'",
        "if (key := os.getenv('JWT_KEY')):\n    print(key)",
    ],
)
def test_who_asks_where_he_reads_can_do_without(project: Write, line: str) -> None:
    """The same where the question stands around the reading itself."""
    assert relied(project({"main.py": FLASK + line + "\n"})) == {"JWT_KEY": False}


def test_a_default_is_no_reliance(project: Write) -> None:
    """What has a default, and what a subscript requires, is told as such and not as relied on."""
    found = survey(project({"main.py": FLASK + "a, b = os.getenv('JWT_KEY', 'k'), os.environ['SECRET']\n"})).environment
    assert {each.name: (each.required, each.default, each.relied) for each in found} == {"JWT_KEY": (False, "k", False), "SECRET": (True, None, False)}


def test_only_what_is_its_own_is_made_up(project: Write) -> None:
    """Of what the source relies on, keys, secrets, tokens, algorithms and expiries get a value; a service's address and a level stay unset."""
    names = ("SECERET_KEY", "JWT_SECRETKEY", "MY_TOKEN", "HASH_ALGORITHM", "SESSION_EXPIRE_MINUTES", "SENTRY_DSN", "LOG_LEVEL", "SHOP_COLOUR")
    sources = project({"main.py": FLASK + "".join(f"use({name!r}, os.getenv({name!r}))\n" for name in names)})
    assert relied(sources) == dict.fromkeys(names, True)
    found = made_up(sources)
    assert set(found) == {"SECERET_KEY", "JWT_SECRETKEY", "MY_TOKEN", "HASH_ALGORITHM", "SESSION_EXPIRE_MINUTES"}
    assert (found["HASH_ALGORITHM"], found["SESSION_EXPIRE_MINUTES"]) == ("HS256", "30")


def test_what_somebody_asks_for_is_not_made_up(project: Write) -> None:
    """A service's key that the source asks for stays unset, so that the part of the app that can do without it does."""
    lines = "STRIPE_KEY = os.getenv('STRIPE_KEY')\nPAYPAL_KEY = os.getenv('PAYPAL_KEY')\nif STRIPE_KEY:\n    connect(STRIPE_KEY)\nconnect(PAYPAL_KEY)\n"
    assert set(made_up(project({"main.py": FLASK + lines}))) == {"PAYPAL_KEY"}


@pytest.mark.parametrize(
    ("source", "mode"),
    [
        ("class Config:\n    pass\n\n\nclass DevelopmentConfig(Config):\n    pass\n", "development"),
        ("class DevConfig:\n    pass\n", "dev"),
        ("class LocalSettings:\n    pass\n", "local"),
        ("configs = {'production': 1, 'development': 2}\n", "development"),
        ("class ProductionConfig:\n    pass\n", None),
        ("class DevelopmentConfigurator:\n    pass\n", None),
        ("# class DevelopmentConfig is gone\n", None),
    ],
)
def test_a_mode_that_the_source_has_settings_for(project: Write, source: str, mode: str | None) -> None:
    """ENVIRONMENT gets the name of the settings that the source keeps for a development machine; none where it keeps none."""
    found = made_up(project({"main.py": FLASK + "mode = os.getenv('ENVIRONMENT')\n", "config.py": source}))
    assert found.get("ENVIRONMENT") == mode


@pytest.mark.parametrize("default", ["Sh555", "your-algorithm", "sha256"])
def test_an_algorithm_that_nobody_knows_is_replaced(project: Write, default: str) -> None:
    """A default that no library can sign with becomes one that all can."""
    assert made_up(project({"main.py": FLASK + f"ALGORITHM = os.getenv('ALGORITHM', '{default}')\n"})) == {"ALGORITHM": "HS256"}


@pytest.mark.parametrize("default", ["HS256", "HS512", "RS256", "ES384", "PS512", "EdDSA"])
def test_an_algorithm_that_is_one_stays(project: Write, default: str) -> None:
    """A default that libraries sign with is left alone."""
    assert made_up(project({"main.py": FLASK + f"ALGORITHM = os.getenv('ALGORITHM', '{default}')\n"})) == {}


def test_an_algorithm_that_the_user_gave_stays(project: Write) -> None:
    """What the project's own .env supplies is not replaced, whatever the source's default is."""
    assert made_up(project({"main.py": FLASK + "ALGORITHM = os.getenv('ALGORITHM', 'Sh555')\n", ".env": "ALGORITHM=RS256\n"})) == {}


@pytest.mark.parametrize(("sample", "rounds"), [("14", "10"), ("4", "4"), ("10", "10"), ("many", "10"), ("", "10")])
def test_rounds_of_a_sample_stay_few(project: Write, sample: str, rounds: str) -> None:
    """The rounds of hashing that .env.example proposes are taken where they are few, and cut where they are many or no number."""
    files = {"main.py": FLASK + "rounds = int(os.environ['BCRYPT_ROUNDS'])\n", ".env.example": f"BCRYPT_ROUNDS={sample}\n"}
    assert made_up(project(files)) == {"BCRYPT_ROUNDS": rounds}
