"""Claims about drafts: overlap is refused, nothing but what is named changes, and patches join files."""

from __future__ import annotations

import pytest

from toughen.codemod import Draft, Edit, Module, UnmendableError, patch, replace, twice, use, verify, word
from toughen.model.patch import Patch, Unmended

SOURCE = "def a():\n    return 1\n\n\ndef b():\n    return 2\n"


def test_overlapping_edits_are_refused() -> None:
    """Two edits of the same bytes cannot both be right."""
    module = Module("a.py", SOURCE)
    with pytest.raises(UnmendableError, match="overlap"):
        Draft(module, (Edit(0, 5, "x"), Edit(4, 8, "y"))).done()


def test_an_edit_that_moves_other_statements_is_refused() -> None:
    """An insertion that swallows the next statement into a block parses, and is caught by the comparison of trees."""
    source = "def a():\n    x = 1\ny = 2\n"
    module = Module("a.py", source)
    at = source.index("y = 2")
    with pytest.raises(UnmendableError, match="does not name"):
        Draft(module, (Edit(at, at, "    "),)).done()


def test_an_edit_that_does_not_parse_is_refused() -> None:
    """Broken syntax never leaves a draft."""
    with pytest.raises(UnmendableError, match="does not parse"):
        Draft(Module("a.py", SOURCE), (Edit(0, 3, "df"),)).done()


def test_insertions_at_one_place_keep_their_order() -> None:
    """Two insertions at the same byte come out as they were added."""
    module = Module("a.py", "x = 1\n")
    assert Draft(module, (Edit(6, 6, "a = 1\n"), Edit(6, 6, "b = 2\n"))).done() == "x = 1\na = 1\nb = 2\n"


def test_verify_names_what_may_change() -> None:
    """A change inside of a named function passes, one outside of it does not."""
    after = SOURCE.replace("return 2", "return 3")
    assert verify(SOURCE, after, ["b"]) is None
    assert isinstance(verify(SOURCE, after, ["a"]), Unmended)
    assert verify(SOURCE, "import os\n" + after, ["b", "import"]) is None


def test_twice_finds_a_mend_that_applies_again() -> None:
    """A word that adds a line each time is not idempotent, and twice says so."""

    @word
    def grow(module: Module) -> Draft:
        return Draft(module, (Edit(0, 0, "import os\n"),))

    result = twice(grow, Module("a.py", SOURCE))
    assert isinstance(result, Unmended)
    assert "second application" in result.reason


def test_a_patch_joins_files_and_keeps_notes() -> None:
    """One patch of two files has both changes; a refusal among the drafts wins."""
    drafts = [
        replace(m, m.tree.body[0], "z = 1").note("why") for m in (Module("a.py", "x = 1\n"), Module("b.py", "y = 1\n"))
    ]
    made = patch("f@r", "Set z", *drafts)
    assert isinstance(made, Patch)
    assert [(c.file, c.after) for c in made.changes] == [("a.py", "z = 1\n"), ("b.py", "z = 1\n")]
    assert made.note == "why"
    assert patch("f@r", "Set z", drafts[0], Unmended("no")) == Unmended("no")


def test_two_names_for_one_import_are_joined() -> None:
    """Drafts that lengthen the same import add both names, each once."""
    module = Module("a.py", "from flask import Flask\nx = 1\n")
    both = (
        use(module, "from flask import abort")
        + use(module, "from flask import request")
        + use(module, "from flask import abort")
    )
    assert both.done() == "from flask import Flask, abort, request\nx = 1\n"
