"""The table of formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.report.formats import AUDITS, FORMATS, listed

if TYPE_CHECKING:
    from toughen.model.verdict import Verdict


@pytest.mark.parametrize("name", ["verdict", "mended", "hostile", "dead"])
@pytest.mark.parametrize("form", ["sarif", "junit", "markdown"])
def test_each_can_be_written_to_a_file(name: str, form: str, request: pytest.FixtureRequest) -> None:
    """The text ends with a newline and is one that UTF-8 can write, whatever the prototype's names and answers hold."""
    text = FORMATS[form](request.getfixturevalue(name), "0.1.0")
    assert text.endswith("\n")
    assert text.encode().decode() == text


def test_every_format_has_a_name_that_help_tells() -> None:
    """What is refused names all that there are; an audit knows the same."""
    assert all(each in listed() for each in FORMATS)
    assert set(AUDITS) == set(FORMATS)


def test_an_audit_shows_the_whole_matrix_and_a_check_its_counts(hostile: Verdict) -> None:
    """As text: a table for the one, a line for the other."""
    assert "Waiting for your yes or no" in AUDITS["text"](hostile, "0.1.0")
    assert "Waiting for your yes or no" not in FORMATS["text"](hostile, "0.1.0")
    assert "toughen audit" in FORMATS["text"](hostile, "0.1.0")
