"""What a prototype needs, read off whatever it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.lab.environment import Environment, existing, extend, missing, needs

if TYPE_CHECKING:
    from pathlib import Path

PASSLIB_HOLD = "bcrypt<4.1"


def test_a_requirements_file_is_taken_as_it_stands(tmp_path: Path) -> None:
    """A requirements file goes to uv untouched, before any other place is looked at."""
    (tmp_path / "requirements.txt").write_text("flask==3.0\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["fastapi"]\n')
    found = needs(tmp_path, {"main.py": "import fastapi"}, "flask")
    assert found.files == (tmp_path / "requirements.txt",)
    assert found.requirements == ()
    assert found.origin == "requirements.txt"


def test_pyproject_names_the_packages(tmp_path: Path) -> None:
    """Without a requirements file, the dependencies of PEP 621 are taken."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["fastapi>=0.1", "httpx"]\n')
    assert needs(tmp_path, {}, "fastapi").requirements == ("fastapi>=0.1", "httpx")


def test_poetry_constraints_are_translated(tmp_path: Path) -> None:
    """Poetry's caret and tilde become the ranges that they mean; extras stay; python is no package."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.poetry.dependencies]\n"
        'python = "^3.10"\nflask = "^2.3"\nsmall = "^0.4.1"\nexact = "1.2.3"\nany = "*"\nnear = "~1.4"\n'
        'jose = {extras = ["cryptography"], version = "^3.3"}\n'
    )
    assert needs(tmp_path, {}, "flask").requirements == (
        "flask>=2.3,<3",
        "small>=0.4.1,<0.5",
        "exact==1.2.3",
        "any",
        "near~=1.4",
        "jose[cryptography]>=3.3,<4",
    )


def test_a_pipfile_is_read(tmp_path: Path) -> None:
    """A Pipfile's packages are taken, pinned as it says."""
    (tmp_path / "Pipfile").write_text('[packages]\nflask = "==2.0"\nrequests = "*"\n[dev-packages]\npytest = "*"\n')
    assert needs(tmp_path, {}, "flask").requirements == ("flask==2.0", "requests")


def test_imports_are_the_last_resort(tmp_path: Path) -> None:
    """A project that names nothing gets what its source imports, by the distribution's name; its own modules and tests do not count."""
    texts = {
        "main.py": "import os\nimport jwt\nfrom flask import Flask\nimport helper\nfrom .sub import x",
        "helper.py": "import yaml",
        "tests/test_main.py": "import hypothesis",
        "broken.py": "import (",
    }
    assert needs(tmp_path, texts, "flask").requirements == ("Flask", "PyJWT", "PyYAML")


def test_a_pair_that_does_not_work_is_held(tmp_path: Path) -> None:
    """passlib without a pin of bcrypt gets the last bcrypt that it can use, and the report says so."""
    (tmp_path / "requirements.txt").write_text("passlib\nbcrypt\n")
    found = needs(tmp_path, {}, "flask")
    assert found.constraints == (PASSLIB_HOLD,)
    assert PASSLIB_HOLD in found.notes[0]


def test_a_pin_of_the_project_wins(tmp_path: Path) -> None:
    """What the project pins itself is never held to something else."""
    (tmp_path / "requirements.txt").write_text("passlib\nbcrypt==4.2.0\n")
    assert needs(tmp_path, {}, "flask").constraints == ()


@pytest.mark.parametrize(
    ("said", "package"),
    [
        ("No module named 'jwt'", "PyJWT"),
        ("No module named 'yaml.loader'", "PyYAML"),
        ('Form data requires "python-multipart" to be installed. \nYou can install it with: \n\npip install python-multipart', "python-multipart"),
        ("email-validator is not installed, run `pip install 'pydantic[email]'`", "pydantic[email]"),
        ("cannot import name 'x' from 'y'", None),
        ("", None),
    ],
)
def test_an_import_error_names_its_package(said: str, package: str | None) -> None:
    """The package is the one that the error says to install, else the module that was not found."""
    assert missing(said) == package


def test_the_users_own_environment_is_never_installed_into(tmp_path: Path) -> None:
    """An environment that is the user's own is used and left as it is."""
    own = Environment(tmp_path / "bin/python", "3.11", "own", cached=True, own=False)
    assert extend(own, "flask") is None


def test_only_a_plain_name_is_installed(tmp_path: Path) -> None:
    """A hostile import error cannot smuggle an option or an address into the installer."""
    built = Environment(tmp_path / "bin/python", "3.11", "built", cached=True)
    for package in ("--index-url=evil", "https://evil", "a b", "a;b", "../x", ""):
        assert extend(built, package) is None


def test_a_broken_environment_is_passed_over(tmp_path: Path) -> None:
    """A .venv whose interpreter does not run, or cannot import the framework, is not used."""
    place = tmp_path / ".venv" / "bin"
    place.mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("home = /nowhere\n")
    (place / "python").write_text("#!/bin/sh\nexit 1\n")
    (place / "python").chmod(0o700)
    assert existing(tmp_path, "flask") is None
