from __future__ import annotations

import pytest

from toughen import settings
from toughen.codemod import Module
from toughen.model.blueprint import Blueprint

SETTINGS = "from pydantic_settings import BaseSettings\n\nclass Settings(BaseSettings):\n    app_name: str = 'x'\n    debug: bool = False\n\nsettings = Settings()\n"


def project(**files: str) -> dict[str, Module]:
    return {f"{name}.py": Module(f"{name}.py", text) for name, text in files.items()}


@pytest.mark.parametrize(
    ("text", "expression", "needs"),
    [
        ("KEY = 'x'\n", "os.environ['SECRET_KEY']", ["main.py"]),
        ("from config import settings\nKEY = 'x'\n", "settings.secret_key", ["config.py"]),
        ("from decouple import config\nKEY = 'x'\n", "config('SECRET_KEY')", []),
    ],
)
def test_where_a_project_reads_a_key(text: str, expression: str, needs: list[str]) -> None:
    """From its own settings where the file has them at hand, by the library that it uses, else from the environment."""
    found = project(main=text, config=SETTINGS)
    told, drafts = settings.read(found, found["main.py"], 2, "SECRET_KEY")
    assert told == expression
    assert [each.module.file for each in drafts if each.edits] == needs
    if "config.py" in needs:
        assert "    secret_key: str\n    app_name: str = 'x'\n" in drafts[0].done()


def test_settings_that_are_made_further_down() -> None:
    """What stands above the settings object cannot read it."""
    found = project(config=SETTINGS)
    assert settings.read(found, found["config.py"], 1, "SECRET_KEY")[0].startswith("os.environ")
    assert settings.flag(found, found["config.py"], 9, "DEBUG")[0] == "settings.debug"


def test_a_list_of_sites() -> None:
    """Commas in the environment, a list in pydantic's settings."""
    found = project(main="x = 1\n", web="from config import settings\nx = 1\n", config=SETTINGS)
    assert settings.several(found, found["main.py"], 1, "ALLOWED_ORIGINS", ["http://a", "http://b"])[0] == 'os.environ.get("ALLOWED_ORIGINS", "http://a,http://b").split(",")'
    told, drafts = settings.several(found, found["web.py"], 2, "ALLOWED_ORIGINS", ["http://a"])
    assert told == "settings.allowed_origins"
    assert "    allowed_origins: list[str] = ['http://a']\n" in drafts[0].done()


def test_the_sample_of_the_environment() -> None:
    """A line more in the sample that is there, a new one where there is none, nothing where it names the variable already."""
    def blueprint(*companions: tuple[str, str]) -> Blueprint:
        return Blueprint("x", "flask", None, companions=companions)

    made = settings.sample(blueprint(), "SECRET_KEY", "a key")
    assert made is not None
    assert (made.file, made.before, made.after) == (".env.example", "", "# a key\nSECRET_KEY=\n")
    more = settings.sample(blueprint((".env.sample", "A=1")), "SECRET_KEY", "a key")
    assert more is not None
    assert (more.file, more.after) == (".env.sample", "A=1\n# a key\nSECRET_KEY=\n")
    assert settings.sample(blueprint((".env.example", "SECRET_KEY=\n")), "SECRET_KEY", "a key") is None
