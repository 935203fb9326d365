from __future__ import annotations

import pytest

from toughen.codemod.dependencies import declared, places, raised

NEED = "argon2-cffi>=23.1.0"


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("requirements.txt", "fastapi\nuvicorn", "fastapi\nuvicorn\nargon2-cffi>=23.1.0\n"),
        ("requirements/base.txt", "", "argon2-cffi>=23.1.0\n"),
        ("pyproject.toml", '[project]\nname = "x"\ndependencies = ["fastapi>=0.1", "psycopg[binary]"]\n', '[project]\nname = "x"\ndependencies = ["fastapi>=0.1", "psycopg[binary]", "argon2-cffi>=23.1.0"]\n'),
        ("pyproject.toml", '[project]\ndependencies = [\n  "fastapi", # web [1]\n]\n', '[project]\ndependencies = [\n  "fastapi", # web [1]\n  "argon2-cffi>=23.1.0",\n]\n'),
        ("pyproject.toml", "[project]\ndependencies = []\n", '[project]\ndependencies = ["argon2-cffi>=23.1.0"]\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.11"\nfastapi = "*"\n\n[tool.black]\n', '[tool.poetry.dependencies]\npython = "^3.11"\nfastapi = "*"\nargon2-cffi = ">=23.1.0"\n\n[tool.black]\n'),
    ],
)
def test_a_requirement_more(file: str, before: str, after: str) -> None:
    """It is written in the form that the project's own dependency file has."""
    change = declared([(file, before)], NEED)
    assert change is not None
    assert (change.file, change.before, change.after) == (file, before, after)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("requirements.txt", "fastapi\nargon2_cffi==21.3.0\n"),
        ("requirements.txt", "fastapi==0.1 --hash=sha256:00\n"),
        ("pyproject.toml", '[project]\ndependencies = ["argon2-cffi"]\n'),
        ("pyproject.toml", "[tool.black]\nline-length = 100\n"),
        (".env.example", "KEY=\n"),
    ],
)
def test_what_is_left_alone(file: str, text: str) -> None:
    """A package that is named already, a file whose lines carry hashes, and what lists no dependencies."""
    assert declared([(file, text)], NEED) is None


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("requirements.txt", "flask\nJinja2==3.1.3\n", "flask\nJinja2==3.1.4\n"),
        ("requirements.txt", "jinja2[i18n] >=2,<4 ; python_version > '3.8'  # pages\n", "jinja2[i18n] >=3.1.4,<4 ; python_version > '3.8'  # pages\n"),
        ("requirements.txt", "jinja2\n", "jinja2>=3.1.4\n"),
        ("requirements.txt", "jinja2~=3.0.1\n", "jinja2>=3.1.4\n"),
        ("requirements.txt", "jinja2<3.1.4,!=3.1.0\n", "jinja2>=3.1.4,!=3.1.0\n"),
        ("backend/requirements.txt", "flask==3.0.0\n", "flask==3.0.0\njinja2>=3.1.4\n"),
        ("pyproject.toml", '[project]\ndependencies = [\n  "flask",\n  "jinja2==3.1.3", # pages\n]\n', '[project]\ndependencies = [\n  "flask",\n  "jinja2==3.1.4", # pages\n]\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\njinja2 = "^3.1.2"\nmarkupsafe = "*"\n', '[tool.poetry.dependencies]\njinja2 = "^3.1.4"\nmarkupsafe = "*"\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\njinja2 = {version = "==3.1.2", extras = ["i18n"]}\n', '[tool.poetry.dependencies]\njinja2 = {version = "==3.1.4", extras = ["i18n"]}\n'),
    ],
)
def test_a_later_release(file: str, before: str, after: str) -> None:
    """It is asked for in the form in which the earlier one was; bounds that admit it stay, and a second time changes nothing."""
    (change,) = raised([(file, before)], "jinja2", "3.1.4")
    assert (change.file, change.before, change.after) == (file, before, after)
    assert raised([(file, after)], "jinja2", "3.1.4") == ()


@pytest.mark.parametrize("text", ["jinja2==3.1.3 --hash=sha256:00\n", "jinja2 @ file:///wheels/jinja2.whl\n", "jinja2===3.1.3\n"])
def test_what_cannot_be_raised(text: str) -> None:
    """Hashes, addresses and arbitrary equality are left to whoever wrote them."""
    assert raised([("requirements.txt", text)], "jinja2", "3.1.4") == ()


def test_all_files_that_name_a_package_are_raised() -> None:
    """A list and the list that it was compiled from ask for the same release; the place of the first is the finding's."""
    files = [("requirements.txt", "# compiled\njinja2==3.1.3\n"), ("requirements.in", "jinja2>=3.1\n")]
    assert [each.after for each in raised(files, "jinja2", "3.1.4")] == ["# compiled\njinja2==3.1.4\n", "jinja2>=3.1.4\n"]
    assert list(places(files, "jinja2")) == [("requirements.txt", 2), ("requirements.in", 1)]
