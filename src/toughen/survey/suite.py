"""Owns what is known of the prototype's own tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Suite

if TYPE_CHECKING:
    from toughen.survey.sources import Sources

_NAMED: Final = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test|tests)\.py$")
_FOLDER: Final = re.compile(r"(?:^|/)tests?/")
_CONFIGURED: Final = re.compile(r"\[tool\.pytest|\[pytest\]|\[tool:pytest\]|\bpytest\b")


def suite(sources: Sources) -> Suite:
    """Files that hold test functions, how many, and what runs them."""
    files = tuple(
        file
        for file, facts in sources.facts.items()
        if facts.tests and (_NAMED.search(file) or (_FOLDER.search(file) and not file.endswith("conftest.py")))
    )
    if not files:
        return Suite()
    tests = sum(sources.facts[file].tests for file in files)
    imported = {module.partition(".")[0] for file in files for module in sources.facts[file].imported}
    configured = any(
        _CONFIGURED.search(text)
        for file, text in sources.extras.items()
        if file in {"pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini"}
    )
    plain = any(
        "." not in each.name and each.name.startswith("test")
        for file in files
        for each in sources.facts[file].definitions
        if each.kind == "def"
    )
    runner = "pytest" if "pytest" in imported or configured or plain else "unittest"
    return Suite(files, tests, runner)
