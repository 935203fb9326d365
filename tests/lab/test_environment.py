"""What a prototype needs, read off whatever it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.lab import interpreters
from toughen.lab.environment import Environment, _unbuilt, existing, extend, missing, needs

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


def test_what_lies_nearest_to_the_entry_counts(tmp_path: Path) -> None:
    """The requirements of the backend's own folder go before those of the folder above, and those before none at all."""
    (tmp_path / "backend" / "app").mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("flask==3.0\n")
    assert needs(tmp_path, {}, "flask", home="backend/app").origin == "requirements.txt"
    (tmp_path / "backend" / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["fastapi"]\n')
    (tmp_path / "backend" / ".python-version").write_text("3.10")
    found = needs(tmp_path, {}, "flask", home="backend/app")
    assert (found.origin, found.requirements, found.python) == ("backend/pyproject.toml", ("fastapi",), "3.10")
    assert needs(tmp_path, {}, "flask", home="../elsewhere").origin == "requirements.txt"


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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("poetry.lock", '[[package]]\nname = "Flask"\nversion = "2.3.1"\n[[package]]\nname = "twice"\nversion = "1"\n[[package]]\nname = "twice"\nversion = "2"\n'),
        ("uv.lock", '[[package]]\nname = "flask"\nversion = "2.3.1"\n[[package]]\nname = "own"\n[[package]]\nname = "--index-url x"\nversion = "1"\n'),
        ("Pipfile.lock", '{"default": {"flask": {"version": "==2.3.1"}, "local": {"path": "."}}}'),
    ],
)
def test_a_lock_file_says_which_releases(tmp_path: Path, name: str, text: str) -> None:
    """What a lock file names constrains what is installed; what it names twice, or not as a release, does not; a broken one is passed over."""
    wanted = '[packages]\nflask = "*"\n' if name.startswith("Pipfile") else '[project]\nname = "x"\ndependencies = ["flask"]\n'
    (tmp_path / ("Pipfile" if name.startswith("Pipfile") else "pyproject.toml")).write_text(wanted)
    (tmp_path / name).write_text(text)
    assert needs(tmp_path, {}, "flask").locked == ("flask==2.3.1",)
    (tmp_path / name).write_text("[broken")
    assert needs(tmp_path, {}, "flask").locked == ()


def test_a_pipfile_is_read(tmp_path: Path) -> None:
    """A Pipfile's packages are taken, pinned as it says."""
    (tmp_path / "Pipfile").write_text('[packages]\nflask = "==2.0"\nrequests = "*"\n[dev-packages]\npytest = "*"\n')
    assert needs(tmp_path, {}, "flask").requirements == ("flask==2.0", "requests")


@pytest.mark.parametrize(
    ("said", "python"),
    [(">=3.8", None), ("^3.8", None), (">=3.14", "3.14"), (">=3.8,<3.10", "3.9"), ("==3.12", "3.12"), ("3.10", "3.10")],
)
def test_a_range_of_pythons_is_no_wish(tmp_path: Path, said: str, python: str | None) -> None:
    """A lower bound that this Python meets says nothing about it; what lies outside the range, or is named exactly, does."""
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\nrequires-python = "{said}"\ndependencies = ["flask"]\n')
    assert needs(tmp_path, {}, "flask").python == python


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
        ("cannot import name 'db' from 'app' (/w/world/app/__init__.py)", None),
        ("cannot import name 'escape' from 'jinja2' (/e/lib/python3.11/site-packages/jinja2/__init__.py)", "jinja2<"),
        ("cannot import name 'Mapping' from 'collections' (/usr/lib/python3.11/collections/__init__.py)", "python<"),
        ("module 'inspect' has no attribute 'getargspec'", "python<"),
        ("No module named 'imp'", "python<"),
        ("AttributeError: 'Flask' object has no attribute 'before_first_request'", "Flask<"),
        ("pydantic.errors.PydanticImportError: `BaseSettings` has been moved to the `pydantic-settings` package.", "pydantic<"),
        ("", None),
    ],
)
def test_an_import_error_names_its_package(said: str, package: str | None) -> None:
    """The package is the one that the error says to install, else the module that was not found."""
    assert missing(said) == package


def test_requirements_in_two_bytes_a_letter_are_read(tmp_path: Path) -> None:
    """A requirements file that PowerShell wrote (UTF-16 with a mark) is read like any other."""
    (tmp_path / "requirements.txt").write_text("passlib==1.7.4\n", encoding="utf-16")
    assert needs(tmp_path, {}, "flask").constraints == (PASSLIB_HOLD,)


@pytest.mark.parametrize(
    ("failed", "found"),
    [
        ("  x Failed to build `markupsafe==0.23`\n  ├─▶ The build backend returned an error", ("markupsafe", "0.23")),
        ("error: Failed to download and build `cffi==1.9.1`", ("cffi", "1.9.1")),
        ("  x No solution found when resolving dependencies:", None),
    ],
)
def test_uv_says_what_it_could_not_build(failed: str, found: tuple[str, str] | None) -> None:
    """The package that could not be compiled is read off uv's words, to be replaced by a release that comes ready-made."""
    assert _unbuilt(failed) == found


def test_a_project_gets_the_python_of_its_day(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who names a version gets it where it is there; a project older than our own Python gets the newest of its day that is there."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    for variable in ("ASDF_DATA_DIR", "MISE_DATA_DIR", "PATH"):
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    bin_folder = tmp_path / "versions" / "3.9.1" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "python").write_text("#!/bin/sh\necho 3.9\n")
    (bin_folder / "python").chmod(0o700)
    interpreters.find.cache_clear()
    try:
        assert interpreters.choose("3.9", None) == ("3.9", None)
        assert interpreters.choose(None, "2020-12-01")[0] == "3.9"
        assert interpreters.choose(None, "2100-01-01") == (interpreters.OWN, None)
        assert interpreters.choose("3.10" if interpreters.OWN != "3.10" else "3.12", None)[0] == interpreters.OWN
        assert interpreters.older("3.11") == "3.9"
        assert interpreters.older("3.9") is None
    finally:
        interpreters.find.cache_clear()


def test_the_users_own_environment_is_never_installed_into(tmp_path: Path) -> None:
    """An environment that is the user's own is used and left as it is."""
    own = Environment(tmp_path / "bin/python", "3.11", "own", cached=True, own=False)
    assert extend(own, "flask") is None


def test_only_a_plain_name_is_installed(tmp_path: Path) -> None:
    """A hostile import error cannot smuggle an option or an address into the installer."""
    built = Environment(tmp_path / "bin/python", "3.11", "built", cached=True)
    for package in ("--index-url=evil", "a<=1; os", "https://evil", "a b", "a;b", "../x", ""):
        assert extend(built, package) is None


def test_a_broken_environment_is_passed_over(tmp_path: Path) -> None:
    """A .venv whose interpreter does not run, or cannot import the framework, is not used."""
    place = tmp_path / ".venv" / "bin"
    place.mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("home = /nowhere\n")
    (place / "python").write_text("#!/bin/sh\nexit 1\n")
    (place / "python").chmod(0o700)
    assert existing(tmp_path, "flask") is None
