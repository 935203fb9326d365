"""What is said of a mend that was tried and taken back."""

from __future__ import annotations

from toughen.harden.briefing import briefed, further
from toughen.model.patch import FileChange, Kept, Patch, RolledBack, Unmended
from toughen.rules.security.sql_injection import SqlInjection

BEFORE = 'rows = run_query(f"SELECT id FROM shops WHERE name = \'{name}\'")\n'
AFTER = 'rows = run_query("SELECT id FROM shops WHERE name = %s", (name,))\n'
PATCH = Patch("x", (FileChange("shops.py", BEFORE, AFTER),), "Bind the values")
STAND_IN = """from unittest.mock import patch
import shops

def test_find():
    with patch.object(
        shops, "run_query", side_effect=lambda text, values=None: [(1,)] if "corner" in text else []
    ):
        assert shops.find("corner") == [(1,)]
"""


def test_names_the_stand_in_that_tests_put_in_the_place_of_what_the_patch_calls() -> None:
    """Whoever mends by hand learns which test reads values out of the statement's text."""
    texts = {"shops.py": BEFORE, "tests/test_shops.py": STAND_IN}
    outcome = briefed(RolledBack(PATCH, "tests", "1 of the prototype's own tests no longer pass"), SqlInjection(), "", texts)
    assert isinstance(outcome, RolledBack)
    assert "tests/test_shops.py:6 puts something of its own in the place of run_query" in outcome.brief
    assert "bound parameters" in outcome.brief


def test_says_what_must_hold_where_the_rule_has_a_brief() -> None:
    """The brief of the rule itself comes before its page."""
    outcome = briefed(RolledBack(PATCH, "journeys", "GET /shops answers differently"), SqlInjection(), "Bind it.", {})
    assert isinstance(outcome, RolledBack)
    assert outcome.brief.endswith("Bind it.")
    assert "honest clients" in outcome.brief


def test_leaves_what_was_kept_or_never_tried_as_it_is() -> None:
    """Only what was taken back gets a brief."""
    assert briefed(Kept(PATCH), SqlInjection(), "b", {}) == Kept(PATCH)
    assert briefed(Unmended("no", "b"), SqlInjection(), "c", {}) == Unmended("no", "b")


def test_the_variant_that_got_furthest_is_told() -> None:
    """A patch that only a test stands against says more than one that does not start."""
    tests, boot = RolledBack(PATCH, "tests", "t"), RolledBack(PATCH, "boot", "b")
    assert further(tests, boot) is tests
    assert further(boot, tests) is tests
    assert further(Unmended("no"), boot) is boot
