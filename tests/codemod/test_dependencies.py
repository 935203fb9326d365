from __future__ import annotations

import pytest

from toughen.codemod.dependencies import declared

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
