"""What the module of a mended calculator works out, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.templates.arithmetic import ARITHMETIC

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def worked_out() -> Callable[[Any], Any]:
    """The function as a mended project has it."""
    names: dict[str, Any] = {}
    exec(ARITHMETIC, names)  # noqa: S102 - the text is ours
    made: Callable[[Any], Any] = names["worked_out"]
    return made


@pytest.mark.parametrize("text", ["7+7", " 2 * (3 - 4) ", "-2 ** 2", "7 // 2 % 3", "1 / 4", "2 ** -1", "[1, 2]", "'tea'", "1j * 1j", "+".join(["1"] * 300)])
def test_it_gives_what_eval_gave(worked_out: Callable[[Any], Any], text: str) -> None:
    """Literals and arithmetic come to what Python makes of them."""
    assert worked_out(text) == eval(text)  # noqa: S307 - constants of this file


@pytest.mark.parametrize("text", ["__import__('os')", "().__class__", "[x for x in [1]]", "'a' * 9", "[0] * 9", "9**9**9", "9**99 * 9**9999", "0x" + "f" * 900 + " ** 9", "1" + "+1" * 600, "-" * 900 + "1", "(" * 300 + "1", "name", 7, None])
def test_it_refuses_what_runs_or_grows(worked_out: Callable[[Any], Any], text: object) -> None:
    """Calls, attributes, names, texts that are multiplied, and numbers and nestings without an end are turned away at once."""
    with pytest.raises((ValueError, SyntaxError)):
        worked_out(text)


def test_a_division_by_zero_stays_one(worked_out: Callable[[Any], Any]) -> None:
    """What handlers of the prototype catch is raised as before."""
    with pytest.raises(ZeroDivisionError):
        worked_out("1 / 0")
