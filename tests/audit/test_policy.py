"""The policy file: its words, its faults, and how it decides a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.audit import policy
from toughen.errors import ConfigurationError
from toughen.model.matrix import Access, Cell, Matrix, Whose

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = "DELETE /notes/{note_id}"


def cell(who: str, whose: Whose = Whose.NONE, access: Access = Access.ALLOWED, *, works: bool | None = None) -> Cell:
    """A cell of ROUTE that works where it is not refused."""
    return Cell(ROUTE, who, whose, access, "seen", (access not in {Access.REFUSED, Access.UNTESTED}) if works is None else works)


@pytest.mark.parametrize(
    ("allow", "passes"),
    [
        (["anyone"], {"anonymous", "garbage", "user own", "user other's", "user other tenant's", "admin other's"}),
        (["users"], {"user own", "user other's", "admin other's"}),
        (["owner"], {"user own"}),
        (["user on own"], {"user own"}),
        (["user"], {"user own", "user other's"}),
        (["admin"], {"admin other's"}),
        (["user on other tenant's"], {"user other tenant's"}),
        (["users on other tenant's"], {"user other tenant's"}),
        ([], set()),
    ],
)
def test_who_may(allow: list[str], passes: set[str]) -> None:
    """Each word of the policy lets pass whom it names, for the objects that it names, and nobody else."""
    cells = {
        "anonymous": cell("anonymous"), "garbage": cell("garbage"), "user own": cell("user", Whose.OWN), "user other's": cell("user", Whose.OTHER),
        "user other tenant's": cell("user", Whose.FOREIGN), "admin other's": cell("admin", Whose.OTHER),
    }  # fmt: skip
    assert {name for name, each in cells.items() if policy.permits(policy.Rights(tuple(allow)), each)} == passes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[routes.x]\nallow = [x]", 'toughen-policy.toml cannot be read: line 2, column 10: invalid value; did you mean "x"?'),
        ('[routes."GET /x"]\nallow = ["user" "admin"]', "line 2, column 17: unclosed array; is a comma missing before it?"),
        ('[routes."GET /x"]\nallow = ["user"\nask = []', "line 3, column 1: unclosed array; the list of allow is not closed: is a ] missing?"),
        ('[routes."GET /x]\nallow = []', "line 1, column 17: illegal character '\\n'; a quote is missing"),
        ("[routes.GET /x]\nallow = []", "line 1, column 13: expected ']' at the end of a table declaration; did you mean [routes.\"GET /x\"]?"),
        ('[routes."GET /x"]\nallow: ["user"]', "line 2, column 6: expected '=' after a key in a key/value pair; did you mean allow = [\"user\"]?"),
        ('[routes."GET /x"]\nallow = ["user', "line 2, column"),
        ('# allwo\n[routes."GET /x/y"]\nallow = []\n[routes."GET /x"]\nallwo = []', "line 5, column 1: there is no 'allwo'"),
        ('# amdin\n[routes]\n"GET /x/y" = {allow = ["admin"]}\n"GET /x" = {allow = ["user", "amdin"]}', "line 4, column 31: nobody is called 'amdin'; did you mean 'admin'?"),
        ('[routes."GET /x"]\nallow = [\n  "user", # "amdin" no more\n  "amdin",\n]', "line 4, column 4: nobody is called 'amdin'"),
        ('[routes]\n"get /x" = {allow = []}', "line 2, column 2: 'get /x' is no route; did you mean 'GET /x'?"),
        ("[rotues]", "line 1, column 2: there is no 'rotues' here; did you mean 'routes'?"),
        ('[routes."GET /x"]\nallwo = ["user"]', "line 2, column 1: there is no 'allwo'; did you mean 'allow'?"),
        ('[routes."GET /x"]\nallow = "user"', "line 2, column 1: allow must be a list of texts"),
        ('[routes]\n"GET x" = {allow = []}', "line 2, column 2: 'GET x' is no route; did you mean 'GET /x'?"),
        ('[routes]\n"GET /x" = 3', "line 2, column 2: 'GET /x' has no allow"),
        ('[routes."GET /x"]\nallow = []\n[routes."GET /y"]\nallow = ["user", "amdin"]', "line 4, column 19: nobody is called 'amdin'; did you mean 'admin'?"),
        ('[routes."GET /x"]\nask = ["user on onw"]', "line 2, column 9: nobody is called 'user on onw'; did you mean 'user on own'?"),
    ],
)
def test_a_typo_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """Line, column, and what was meant."""
    file = tmp_path / policy.FILE
    file.write_text(text)
    with pytest.raises(ConfigurationError) as told:
        policy.known(policy.read(file) or policy.Policy({}), ("user", "admin"))
    assert said in told.value.message


def test_what_was_seen_is_written_in_the_fewest_words() -> None:
    """Everybody's own is `owner`; a role that may on any object stands alone; what waits is asked, with its reason beside it."""
    matrix = Matrix(("user", "editor", "admin"), (
        cell("anonymous", access=Access.REFUSED), cell("user", Whose.OWN), cell("editor", Whose.OWN), cell("admin", Whose.OWN),
        cell("user", Whose.OTHER, Access.REFUSED), cell("editor", Whose.OTHER, Access.UNDECIDED), cell("admin", Whose.OTHER),
    ))  # fmt: skip
    drawn = policy.drawn(matrix)
    assert drawn.routes[ROUTE] == policy.Rights(("owner", "admin"), ("editor",))
    text = policy.written(drawn, matrix)
    assert f'[routes."{ROUTE}"]\nallow = ["owner", "admin"]\nask = ["editor"]\n# seen' in text


def test_a_policy_survives_being_written_and_read(tmp_path: Path) -> None:
    """What is written is read as it was, and the owner's lines are kept when new routes are added."""
    file = tmp_path / policy.FILE
    own = policy.Policy({ROUTE: policy.Rights(("admin",))})
    file.write_text(policy.written(own))
    again = policy.read(file)
    assert again is not None
    assert dict(again.routes) == dict(own.routes)
    more = Matrix(("user",), (cell("user", Whose.OTHER), Cell("GET /new", "user", Whose.NONE, Access.ALLOWED, "seen", works=True), Cell("GET /far", "user", Whose.NONE, Access.UNTESTED, "why")))
    assert policy.drawn(more, again).routes == {ROUTE: policy.Rights(("admin",)), "GET /new": policy.Rights(("users",))}


def test_the_policy_decides() -> None:
    """What works is allowed, asked or missing as its lines say; what is refused stays; a route without a line stays as it was judged."""
    lines = policy.Policy({ROUTE: policy.Rights(("owner",), ("editor",))})
    cells = (cell("user", Whose.OWN), cell("user", Whose.OTHER), cell("editor", Whose.OTHER), cell("admin", Whose.OTHER, Access.REFUSED), cell("user", Whose.FOREIGN, Access.UNTESTED))
    other = Cell("GET /x", "user", Whose.NONE, Access.UNDECIDED, "seen", works=True)
    decided = policy.held(Matrix((), (*cells, other)), lines)
    assert [each.access for each in decided.cells] == [Access.ALLOWED, Access.MISSING, Access.UNDECIDED, Access.REFUSED, Access.UNTESTED, Access.UNDECIDED]
    assert policy.unlisted(decided, lines) == ("GET /x",)
    denying = policy.Policy({ROUTE: policy.Rights(("admin",))})
    assert [each.who for each in policy.denied(Matrix((), cells), denying)] == ["admin"]
