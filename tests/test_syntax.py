"""What can be asked of the one door through which source becomes a tree."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor

import pytest

from toughen import syntax

DEEP = "x = " + "+".join(["(a * (b - c))"] * 300) + "\n"


@pytest.mark.parametrize("text", ["def (", "a\0b", "x = " + "(" * 5_000 + ")" * 5_000, "x = " + "-" * 50_000 + "1"], ids=["wrong", "nul", "brackets", "signs"])
def test_whatever_is_wrong_with_a_text_is_one_error(text: str) -> None:
    """Hostile source ends in a SyntaxError for a caller that asks for a tree, and in None for one who can do without."""
    with pytest.raises(SyntaxError):
        syntax.parse(text)
    assert syntax.tree(text) is None


def test_many_threads_parse_at_once() -> None:
    """Eight threads that read deep text at the same time all get its tree."""
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(lambda number: syntax.parse(DEEP + f"y = {number}\n"), range(64)))
    assert [ast.unparse(each.body[-1]) for each in trees] == [f"y = {number}" for number in range(64)]


def test_a_callers_own_tree_is_no_other_s() -> None:
    """What one caller does to its tree, no other sees; the tree for all is one and the same."""
    assert syntax.parse("a = 1") is not syntax.parse("a = 1")
    assert syntax.tree("a = 1") is syntax.tree("a = 1")
