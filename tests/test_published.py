from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.published import lying, replaced, texts
from toughen.survey import read, survey

if TYPE_CHECKING:
    from pathlib import Path

KEY = "9f3c1ab7d20e4c58a7716be2f0d43911"
APP = "from flask import Flask\napp = Flask(__name__)\n"


def copies(sources: dict[str, str]) -> list[tuple[str, bool]]:
    """(name, whether something replaces it) for each copy of the key."""
    return [(each.name, replaced(each, sources)) for each in texts(sources) if each.value == KEY]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (f'SECRET_KEY = "{KEY}"\n', "SECRET_KEY"),
        (f'app.secret_key = b"{KEY}"\n', "secret_key"),
        (f'app.config["SECRET_KEY"] = "{KEY}"\n', "SECRET_KEY"),
        (f'app.config.update(SECRET_KEY="{KEY}")\n', "SECRET_KEY"),
        (f'class Config:\n    SECRET_KEY = "{KEY}"\n', "SECRET_KEY"),
        (f'import jwt\ndef sign(claims):\n    token = jwt.encode(claims, "{KEY}")\n    return token\n', ""),
    ],
)
def test_a_key_that_nothing_replaces(source: str, name: str) -> None:
    """It stands in the source, and what it is bound to is known."""
    assert copies({"main.py": source}) == [(name, False)]


@pytest.mark.parametrize(
    "source",
    [
        f'import os\nSECRET_KEY = os.environ.get("SECRET_KEY", "{KEY}")\n',
        f'import os\nSECRET_KEY = os.getenv("SECRET_KEY") or "{KEY}"\n',
        f'from decouple import config\nSECRET_KEY = config("SECRET_KEY", default="{KEY}")\n',
        f'from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    secret_key: str = "{KEY}"\n',
        f'class DevelopmentConfig:\n    SECRET_KEY = "{KEY}"\n',
        f'import os\nclass Config:\n    SECRET_KEY = "{KEY}"\nclass ProductionConfig(Config):\n    SECRET_KEY = os.environ["SECRET_KEY"]\n',
        f'app.config.from_mapping(SECRET_KEY="{KEY}")\n',
        f'app.config["SECRET_KEY"] = "{KEY}"\napp.config.from_envvar("SETTINGS", silent=True)\n',
        f'if app.debug:\n    app.secret_key = "{KEY}"\n',
    ],
)
def test_a_key_that_the_server_replaces(source: str) -> None:
    """A default, a setting of a development machine, and what another mode or a file overrides are not what runs elsewhere."""
    assert [each for _, each in copies({"main.py": source})] == [True]


def test_what_lies_beside_is_another_application() -> None:
    """A file that neither imports the key's nor is imported by it replaces nothing."""
    other = 'import os\nfrom flask import Flask\napp = Flask(__name__)\napp.secret_key = os.environ["SECRET_KEY"]\n'
    assert copies({"red.py": f'app.secret_key = "{KEY}"\n', "blue.py": other}) == [("secret_key", False)]
    assert copies({"config.py": f'secret_key = "{KEY}"\n', "main.py": "import config\n" + other}) == [("secret_key", True)]


def test_what_lies_where_others_read_it(tmp_path: Path) -> None:
    """One suspicion for each key, at its first place; none is shown whole, and a default only as such."""
    (tmp_path / "main.py").write_text(
        APP + f'import os\napp.secret_key = "{KEY}"\nJWT_SECRET = "{KEY}"\nSTRIPE = "sk_live_{"a1B2" * 6}"\nOTHER = os.getenv("JWT_KEY", "only-for-development")\n'
        'ADDRESS = "postgresql://app:s3cr3tpassword@db.example.com/app"\nLOCAL = "postgresql://app:s3cr3tpassword@localhost/app"\nhead = {"Authorization": "Bearer ' + "x1" * 20 + '"}\n'
    )
    sources = read(tmp_path)
    found = [(each.location.line, each.says) for each in lying(survey(sources), sources.texts)]
    assert [line for line, _ in found] == [4, 6, 7, 8, 10]
    assert found[2][1].startswith("JWT_KEY is a text of the source wherever nobody sets another")
    assert not any(secret in says for _, says in found for secret in (KEY, "a1B2" * 6, "s3cr3tpassword", "x1" * 20))
