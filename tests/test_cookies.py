from __future__ import annotations

import pytest

from toughen.cookies import set_by
from toughen.model.trace import Exchange, Response
from toughen.twists import turned_away


def exchange(status: int, *headers: tuple[str, str]) -> Exchange:
    return Exchange("GET", "/", "", Response(status, headers))


def test_cookies_that_an_answer_sets() -> None:
    """Each with its attributes, whatever their case; what is taken away is none."""
    answer = exchange(200, ("Set-Cookie", "session=abc=; HttpOnly; Path=/; SameSite=Lax"), ("set-cookie", "old=; Max-Age=0"), ("set-cookie", "gone=x; max-age=0"), ("X", "y=z"))
    (only,) = set_by(answer)
    assert (only.name, only.value, only.same_site) == ("session", "abc=", "lax")
    assert only.get("httponly") == ""
    assert only.get("secure") is None
    assert not list(set_by(Exchange("GET", "/", "", None)))


@pytest.mark.parametrize(
    ("nobody", "honest", "away"),
    [
        (exchange(401), exchange(200), True),
        (exchange(302, ("Location", "/login?next=/me")), exchange(200), True),
        (exchange(302, ("Location", "/login")), exchange(302, ("Location", "/notes")), True),
        (exchange(302, ("Location", "/login")), exchange(302, ("Location", "/login")), False),
        (exchange(302, ("Location", "/notes")), exchange(200), False),
        (exchange(200), exchange(200), False),
    ],
)
def test_who_is_turned_away(nobody: Exchange, honest: Exchange, away: bool) -> None:  # noqa: FBT001 - a table of cases
    """A refusal, or the way to the log-in page where the honest request went another."""
    assert turned_away(nobody, honest) is away
