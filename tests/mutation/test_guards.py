"""Guards are found in a source, each can be switched off, and while all are on the source does what it did."""

from __future__ import annotations

import builtins
import contextlib
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod.module import Module
from toughen.lab.agent.switch import NAME, Switch
from toughen.mutation import guards, woven

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def switch() -> Iterator[Switch]:
    """The switch among the builtins, as the agent puts it there."""
    made = Switch()
    setattr(builtins, NAME, made)
    yield made
    delattr(builtins, NAME)


def mutants(source: str, changed: tuple[int, ...] = ()) -> list[tuple[str, str]]:
    """(kind, text) of each guard."""
    module = Module("app.py", textwrap.dedent(source))
    return [(each.kind, each.text) for each in guards(module, changed)]


def run(source: str, changed: tuple[int, ...] = ()) -> tuple[dict[str, Any], Any]:
    """What the woven source defines, and its mutants."""
    module = Module("app.py", textwrap.dedent(source))
    made = woven([(module, guards(module, changed))])
    names: dict[str, Any] = {}
    exec(compile(made.texts["app.py"], "app.py", "exec"), names)  # noqa: S102 - the source stands here
    return names, made.mutants


PAY = """
    class Refused(Exception):
        pass

    def pay(balance, amount):
        if amount <= 0:
            raise Refused("amount")
        if balance >= amount:
            return balance - amount
        else:
            raise Refused("balance")
"""


def test_a_refusal_is_never_reached(switch: Switch) -> None:
    """Off, the check is never true; one that lets pass is always true; on, both are as written."""
    names, found = run(PAY)
    assert [each.without for each in found] == ["`amount <= 0` is never true", "`balance >= amount` is always true"]
    with pytest.raises(names["Refused"]):
        names["pay"](5, -1)
    switch.off = 1
    assert names["pay"](5, -1) == 6
    with pytest.raises(names["Refused"]):
        names["pay"](5, 9)
    switch.off = 2
    assert names["pay"](5, 9) == -4


def test_who_asked_is_noted(switch: Switch) -> None:
    """The test that runs is noted with each guard that it asks, and nobody with those it does not come to."""
    names, _ = run(PAY)
    switch.noting, switch.test = True, "test_pay"
    with contextlib.suppress(names["Refused"]):
        names["pay"](5, -1)
    assert switch.asked_by == {1: {"test_pay"}}


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ("x = Field(default=1, gt=0)", "constraint", "gt=0"),
        ("x = serializers.IntegerField(min_value=1)", "constraint", "min_value=1"),
        ("class M:\n    @field_validator('a')\n    def check(cls, v):\n        return v", "constraint", "field_validator('a')"),
        ("@login_required\ndef view():\n    return 1", "decorator", "login_required"),
        ("@app.get('/x', dependencies=[Depends(admin)])\ndef view():\n    return 1", "dependency", "Depends(admin)"),
        ("def view(_=Depends(admin)):\n    return 1", "dependency", "admin"),
        ("class V:\n    permission_classes = [IsAdmin]", "permission", "IsAdmin"),
        ("def f(db, user):\n    return db.query(N).filter(N.id == 1, N.owner_id == user.id).first()", "owner", "N.owner_id == user.id"),
        ("def f(db, user):\n    return db.query(N).filter_by(user_id=user.id).first()", "owner", "user_id=user.id"),
        ("def f(db, user):\n    return db.execute('SELECT * FROM n WHERE id = ? AND user_id = ?', (1, user))", "owner", "'SELECT * FROM n WHERE id = ? AND user_id = ?'"),
        ("def f():\n    try:\n        g()\n    except ValueError:\n        return 1", "handler", "ValueError"),
        ("def f():\n    return requests.get('http://x', timeout=3)", "timeout", "timeout=3"),
        ("def f(db):\n    return db.query(N).with_for_update().first()", "lock", "db.query(N).with_for_update()"),
        ("def f(db):\n    db.execute('BEGIN IMMEDIATE')", "lock", "'BEGIN IMMEDIATE'"),
        ("def f():\n    with lock:\n        g()", "lock", "lock"),
        ("def f():\n    with transaction.atomic():\n        g()", "transaction", "transaction.atomic()"),
    ],
)
def test_what_is_a_guard(source: str, kind: str, text: str) -> None:
    """Each of them, in the words in which it is written."""
    assert (kind, text) in mutants(source)


@pytest.mark.parametrize(
    "source",
    [
        "x = Field(default=None, description='gt=0')",
        "def view(user=Depends(caller)):\n    return user",
        "def f(db):\n    return db.query(N).filter(N.owner_id == 5).first()",
        "def f():\n    try:\n        g()\n    except ValueError:\n        raise",
        "def f(a):\n    if a:\n        return 1\n    return 2",
        "def f(a):\n    return f'{a:>{10}}'",
        "TEXT = 'the user asks: AND user_id = ?'",
    ],
)
def test_what_is_none(source: str) -> None:
    """A default, a dependency whose value is used, a constant, a handler that hands on, a choice between two answers, a text that is no statement."""
    assert mutants(source) == []


def test_a_boundary_is_one_off_on_changed_lines_only(switch: Switch) -> None:
    """`<` becomes `<=` where a mend has been, and nowhere else."""
    source = "def f(a, b):\n    return a < b\n\ndef g(a, b):\n    return a >= b\n"
    assert mutants(source) == []
    names, found = run(source, changed=(2,))
    assert [each.kind for each in found] == ["boundary"]
    assert (names["f"](1, 1), names["g"](1, 1)) == (False, True)
    switch.off = 1
    assert (names["f"](1, 1), names["f"](2, 1), names["g"](1, 1)) == (True, False, True)


def test_nested_guards_are_apart(switch: Switch) -> None:
    """A boundary within a refusal's check: each has a switch, and both on is the source as it was."""
    source = "def f(a):\n    if a < 0:\n        raise ValueError(a)\n    return a\n"
    names, found = run(source, changed=(2,))
    assert {each.kind for each in found} == {"refusal", "boundary"}
    number = {each.kind: each.number for each in found}
    assert names["f"](0) == 0
    switch.off = number["boundary"]
    with pytest.raises(ValueError, match="0"):
        names["f"](0)
    switch.off = number["refusal"]
    assert names["f"](-1) == -1


def test_lines_stay_where_they_are() -> None:
    """What is woven in moves no line: tracebacks and coverage name the project's own."""
    text = textwrap.dedent(PAY)
    module = Module("app.py", text)
    made = woven([(module, guards(module))])
    assert len(made.texts["app.py"].splitlines()) == len(text.splitlines())


def test_guards_that_are_written_alike_are_told_apart() -> None:
    """Two refusals of one function with the same words have keys of their own."""
    source = "def f(a):\n    if not a:\n        raise ValueError\n    a = a.strip()\n    if not a:\n        raise ValueError\n"
    module = Module("app.py", source)
    assert [each.key for each in woven([(module, guards(module))]).mutants] == ["app.py:f:refusal:not a", "app.py:f:refusal:not a (2)"]


def test_what_is_asked_at_import_is_known() -> None:
    """Decorators, defaults and fields are asked once for all tests; what a body asks is not."""
    source = "class M:\n    x = Field(gt=0)\n\n@login_required\ndef f(a=Depends(g)):\n    if a2:\n        raise E()\n"
    module = Module("app.py", source)
    assert {each.kind: each.at_import for each in woven([(module, guards(module))]).mutants} == {"constraint": True, "decorator": True, "dependency": True, "refusal": False}


def test_contexts_and_locks_hold_nothing(switch: Switch) -> None:
    """Off, a `with` enters nothing, and a query that would lock does not."""
    source = """
        class Lock:
            held = 0
            def __enter__(self):
                self.held += 1
            def __exit__(self, *_):
                pass

        class Query:
            _for_update_arg = None
            def with_for_update(self):
                self._for_update_arg = "yes"
                return self

        lock = Lock()

        def f():
            with lock:
                return Query().with_for_update()._for_update_arg
    """
    names, found = run(source)
    assert names["f"]() == "yes"
    assert names["lock"].held == 1
    switch.off = next(each.number for each in found if each.text == "lock")
    assert names["f"]() == "yes"
    assert names["lock"].held == 1
    switch.off = next(each.number for each in found if "with_for_update" in each.text)
    assert names["f"]() is None
