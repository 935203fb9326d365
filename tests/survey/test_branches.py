"""Proves that the guard behind a refusal is found, and where its names came from."""

from __future__ import annotations

from textwrap import dedent

import pytest

from toughen.survey.branches import Comparison, LocalOrigin, enclosing_branch, locals_origin

TEXT = dedent(
    """
    def pay(card, data, current_user):
        if card['is_frozen'] and not current_user.ok: return {"error": "Card is frozen"}, 403
        if current_user.role not in ("admin", "chef"):
            log("x")
            raise HTTPException(
                status_code=403, detail="Staff only")
        elif data.get("amount") > 5:
            abort(400)
        else:
            raise Odd("strange")
        user = db.session.get(User, data.user_id) or abort(404)
        assert user.balance >= 4, "poor"
        done = jsonify(ok=1) if user.active else (jsonify(error="inactive"), 401)
        match data.kind:
            case "card": pass
            case _:
                return "bad kind", 400
        try:
            n = int(data.n)
        except ValueError:
            return "not a number", 400
        if not user.email:
            return {"ok": True}
        return {"error": "has an address"}, 409
    """
)


def at(fragment: str) -> int:
    """The line that holds the fragment."""
    return next(number for number, line in enumerate(TEXT.split("\n"), 1) if fragment in line)


def test_if_on_one_line() -> None:
    """Names, string subscripts, message and status."""
    branch = enclosing_branch(TEXT, at("is_frozen"))
    assert branch is not None
    assert (branch.kind, branch.negated, branch.status, branch.messages) == ("if", False, 403, ("Card is frozen",))
    assert branch.subscripts == (("card", "is_frozen"),)
    assert branch.names == ("card", "current_user.ok")


@pytest.mark.parametrize("fragment", ["raise HTTPException", "Staff only"])
def test_the_last_line_may_be_inside_a_call(fragment: str) -> None:
    """A raise over several lines reports any of them."""
    branch = enclosing_branch(TEXT, at(fragment))
    assert branch is not None
    assert branch.line == at("current_user.role")
    assert branch.comparisons == (
        Comparison("current_user.role", "not in", "('admin', 'chef')", ["admin", "chef"], has_literal=True),
    )


def test_elif_else_or_assert_ternary_match() -> None:
    """Each form of guard, with the state of its test that led to the refusal."""
    found = {
        fragment: enclosing_branch(TEXT, at(fragment))
        for fragment in ("abort(400)", "Odd", "or abort", "assert", "inactive", "bad kind")
    }
    told = {key: (each.kind, each.negated, each.status) for key, each in found.items() if each is not None}
    assert told == {
        "abort(400)": ("elif", False, 400), "Odd": ("else", True, None), "or abort": ("or", True, 404),
        "assert": ("assert", True, None), "inactive": ("ternary", True, 401), "bad kind": ("match", False, 400),
    }  # fmt: skip
    match = found["bad kind"]
    assert match is not None
    assert match.comparisons == (Comparison("data.kind", "!=", "'card'", "card", has_literal=True),)


def test_the_return_after_a_guard_clause() -> None:
    """`if good: return ...` and then the refusal: the test was false; `not` is folded into that."""
    branch = enclosing_branch(TEXT, at("has an address"))
    assert branch is not None
    assert (branch.test, branch.negated, branch.status) == ("user.email", False, 409)


@pytest.mark.parametrize("line", [0, at("n = int"), at("not a number"), 10_000])
def test_no_guard(line: int) -> None:
    """A plain statement, what an exception decided, and lines outside the text."""
    assert enclosing_branch(TEXT, line) is None


def test_hostile_text() -> None:
    """Text that is no Python gives nothing."""
    assert enclosing_branch("def f(:", 1) is None
    assert locals_origin("(" * 9999, 1) == {}


def test_where_names_come_from() -> None:
    """Keys of the request, rows by ORM and by SQL with what chose them, arguments, the session."""
    text = dedent(
        """
        @app.post("/x")
        def pay(data, number):
            body = request.get_json() or {}
            code = body.get("code")
            amount = float(body["amount"])
            page = request.args.get("page", 1)
            me = session["uid"]
            card = db.query(models.Card).filter(models.Card.number == number).first()
            user = User.query.filter_by(email=code).first()
            row = conn.execute("SELECT * FROM accounts WHERE id = ? AND owner=?", (amount, me)).fetchone()
            cursor.execute("select * from coupons where code = %s", (code,))
            coupon = cursor.fetchone()
            for item in data.items:
                want = item.product_id
        """
    )
    found = locals_origin(text, 3)
    assert found["code"] == LocalOrigin("request", "json", ("code",))
    assert found["amount"] == LocalOrigin("request", "json", ("amount",))
    assert found["page"] == LocalOrigin("request", "query", ("page",))
    assert found["me"] == LocalOrigin("session", "session", ("uid",))
    assert found["number"] == LocalOrigin("parameter", "number")
    assert found["card"] == LocalOrigin("query", "models.Card", where=(("number", "number"),))
    assert found["user"] == LocalOrigin("query", "User", where=(("email", "code"),))
    assert found["row"] == LocalOrigin("sql", "accounts", where=(("id", "amount"), ("owner", "me")))
    assert found["coupon"] == LocalOrigin("sql", "coupons", where=(("code", "code"),))
