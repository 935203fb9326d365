"""What counts as the same behaviour when a mend withholds a field by intention."""

from __future__ import annotations

from toughen.harden.sameness import Behaviour, differences, shape


def behaved(body: object) -> Behaviour:
    return Behaviour((200,), shape(body), (), body)  # type: ignore[arg-type]


def test_a_field_that_is_withheld_is_no_difference() -> None:
    """Wherever it stood in the answer; another field that goes with it is one."""
    before = behaved({"users": [{"id": 1, "password": "x"}, {"id": 2, "password": None}]})
    assert differences(before, behaved({"users": [{"id": 1}, {"id": 2}]}), withheld=frozenset({"password"})) == []
    assert differences(before, behaved({"users": [{"id": 1}, {"id": 2}]}))
    assert differences(before, behaved({"users": [{}, {}]}), withheld=frozenset({"password"}))
