"""What exploring reaches of a Django project, and what is proven of it: pages behind a session and an API behind a token, booted for real."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.pipeline import Run
from toughen.samples.kiosk import FILES

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.model.verdict import Verdict

RULES = ("operations/no-structured-logs", "race/check-then-act", "security/object-authorization")


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    """What a run with two rules says of the kiosk."""
    root: Path = tmp_path_factory.mktemp("booted") / "kiosk_project"
    for name, text in FILES.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    (root / ".venv").symlink_to(sys.prefix)
    return Run(root, config.read(root, only=RULES)).check()


def test_every_route_is_reached(verdict: Verdict) -> None:
    """Tables by its own migrations, users by its own sign-up page with the token against forgery, pages behind the session and the API behind the token; production settings (a host of its own, https, a cache on a server) do not stand in the way."""
    assert [each.route for each in verdict.unreached] == []
    assert len(verdict.journeys) == len(verdict.blueprint.routes) == 21
    assert not any(each.path.startswith("/admin/") for each in verdict.blueprint.routes)


def test_users_of_both_kinds(verdict: Verdict) -> None:
    """Everybody holds the API's token and the pages' session; who rules is of the staff as well."""
    people = {each.name: each for each in verdict.identities}
    assert set(people) == {"user1", "user2", "superuser1", "superuser2"}
    assert all(dict(each.credential.headers)["Authorization"].startswith("Token ") for each in people.values())
    assert all("sessionid" in dict(each.credential.cookies) for each in people.values())
    report = next(each for each in verdict.journeys if each.route == "GET /shop/report/")
    assert report.identity == "superuser1"


def test_what_the_framework_says_of_the_routes(verdict: Verdict) -> None:
    """Fields of serializers and forms with their kinds, methods that a class leaves out, guards by method."""
    made = verdict.blueprint.route("POST /api/products/")
    assert made is not None
    assert {each.name: (each.type, each.required, each.enum) for each in made.parameters} == {
        "name": ("string", True, ()), "kind": ("string", False, ("food", "paper")), "price": ("integer", True, ()), "stock": ("integer", False, ()),
    }  # fmt: skip
    assert [each.name for each in made.guards] == ["IsAuthenticatedOrReadOnly"]
    register = verdict.blueprint.route("POST /accounts/register/")
    assert register is not None
    assert {(each.name, each.format) for each in register.parameters} >= {("username", None), ("password1", "password"), ("password2", "password")}
    assert register.body == "form"
    assert verdict.blueprint.route("DELETE /api/products/{pk}/") is None
    table = verdict.blueprint.table("store_note")
    assert table is not None
    assert table.uniques == (("owner_id", "text"),)
    assert table.location is not None
    assert table.location.file == "store/models.py"


def test_what_breaks_is_proven_and_nothing_else(verdict: Verdict) -> None:
    """The last one is sold twice and notes are open to others; the sale in one statement, and one's own purchases, are sound."""
    found = {(each.break_id, str(each.route)) for each in verdict.findings if each.proof is not None and not each.break_id.startswith("operations/")}
    notes = {("security/object-authorization", f"{method} /api/notes/{{pk}}/") for method in ("GET", "PUT", "PATCH", "DELETE")}
    assert found == {("race/check-then-act", "POST /shop/products/{pk}/buy/"), *notes}


def test_an_error_is_put_into_views(verdict: Verdict) -> None:
    """A view that raises, whether it is the project's own or a library's, is heard: in production settings Django would mail it, and nobody is named who gets the mail."""
    found = [each.message for each in verdict.findings if each.break_id == "operations/no-structured-logs" and each.proof is not None]
    assert found == ["an unhandled error leaves nothing at all: no structured line with its level and the request's id"]
