"""Suspicions from the source alone: what each rule sees beyond its own examples, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.backends import ACCOUNTS, BLOG, ITEMS, NOTES
from toughen.handling import sought
from toughen.rules import load, named
from toughen.specimens import FASTAPI, FLASK, MODELS, PLAIN, SESSION
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from toughen.handling import Handler
    from toughen.model.finding import Suspicion

    Seen = Callable[..., list[Suspicion]]


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    """What a rule suspects of one route of a project that is surveyed for real."""

    def look(rule: str, route: str, main: str, **files: str) -> list[Suspicion]:
        (tmp_path / "main.py").write_text(main)
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        sources = read(tmp_path)
        blueprint = survey(sources)
        assert blueprint.route(route), [each.id for each in blueprint.routes]
        found = named(rule)
        assert found is not None
        return [each for each in found.suspect(blueprint, sources.texts) if each.route == route]

    return look


SALE = SESSION + """
class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    stock = Column(Integer)

class Sale(BaseModel):
    quantity: int

Base.metadata.create_all(engine)

@app.post("/items/{item_id}/sell")
def sell(item_id: int, sale: Sale, db: Session = Depends(get_db)):
    item = db.get(Item, item_id)
    item.stock -= sale.quantity
    db.commit()
    return {"ok": True}
"""
LOADED = "    item = db.get(Item, item_id)\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    quantity: int\n", "    quantity: int = Field(gt=0)\n"),
        (LOADED, "    if sale.quantity < 1:\n        raise HTTPException(status_code=400)\n" + LOADED),
        (LOADED, "    ask(sale.quantity)\n" + LOADED),
        ("    quantity: int\n", "    quantity: int\n    @field_validator('quantity')\n    def ask(cls, value):\n        assert value > 0\n        return value\n"),
    ],
    ids=["declared", "compared", "compared-by-a-function", "validated"],
)
def test_a_number_with_a_lower_bound_is_left_alone(seen: Seen, old: str, new: str) -> None:
    """Wherever the bound is written, it is seen; without it the number is suspected at its write."""
    helper = "def ask(number):\n    if number <= 0:\n        raise HTTPException(status_code=400)\n\n"
    source = SALE.replace("from pydantic import BaseModel", "from pydantic import BaseModel, Field, field_validator").replace('@app.post("/items/', helper + '@app.post("/items/')
    [suspicion] = seen("input/nonsense", "POST /items/{item_id}/sell", source)
    assert "quantity is added to or taken from items.stock" in suspicion.message
    assert source.splitlines()[suspicion.location.line - 1].strip() == "item.stock -= sale.quantity"
    assert not seen("input/nonsense", "POST /items/{item_id}/sell", source.replace(old, new))


def test_what_the_stock_allows_is_no_lower_bound(seen: Seen) -> None:
    """A comparison with a row says how many are there, and lets -17 pass."""
    source = SALE.replace("    item.stock -=", "    if item.stock < sale.quantity:\n        raise HTTPException(status_code=400)\n    item.stock -=")
    assert seen("input/nonsense", "POST /items/{item_id}/sell", source)


def test_a_number_is_followed_into_another_file(seen: Seen) -> None:
    """A handler that hands its body to a function of another module is read through it, and the place is there."""
    handler, crud = SALE.split("    item = db.get(Item, item_id)\n")
    crud = "from main import Item\n\ndef take(db, item_id, sale):\n    item = db.get(Item, item_id)\n" + crud
    [suspicion] = seen("input/nonsense", "POST /items/{item_id}/sell", "import crud\n" + handler + "    return crud.take(db, item_id, sale)\n", crud=crud)
    assert (suspicion.location.file, suspicion.location.function) == ("crud.py", "take")


CAST = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS payments (id INTEGER PRIMARY KEY, amount REAL)")

@app.post("/payments")
def pay():
    data = request.get_json()
    try:
        amount = float(data["amount"])
    except EXCEPTIONS:
        return jsonify({"error": "amount is wrong"}), STATUS
    return jsonify({"amount": amount})
"""


def test_an_exception_that_is_answered_is_no_crash(seen: Seen) -> None:
    """A handler around the cast that answers 400 says what it must; one that answers 500 changes nothing."""
    answered = CAST.replace("EXCEPTIONS", "(TypeError, KeyError, ValueError)")
    assert not seen("input/crash", "POST /payments", answered.replace("STATUS", "400"))
    assert seen("input/crash", "POST /payments", answered.replace("STATUS", "500"))
    assert seen("input/crash", "POST /payments", CAST.replace("EXCEPTIONS", "ZeroDivisionError").replace("STATUS", "400"))


def test_a_body_whose_kind_is_asked_is_no_crash(seen: Seen) -> None:
    """`isinstance(data, dict)` and a test of the key are enough; without them both are told, in one suspicion."""
    source = FLASK + '    pass\n\n@app.post("/tags")\ndef tag():\n    data = request.get_json()\n    return jsonify({"tag": data["tag"]})\n'
    [suspicion] = seen("input/crash", "POST /tags", source)
    assert "`[1]`" in suspicion.message
    assert "a missing tag" in suspicion.message
    asked = '    if not isinstance(data, dict) or "tag" not in data:\n        return jsonify({"error": "tag?"}), 400\n    return jsonify({"tag": data["tag"]})'
    assert not seen("input/crash", "POST /tags", source.replace('    return jsonify({"tag": data["tag"]})', asked))


def test_a_body_that_a_schema_checked_is_no_crash(seen: Seen) -> None:
    """What is read behind `jsonschema.validate` or `Schema().load` is as the schema says; what is read before is not."""
    source = FLASK + '    pass\n\n@app.post("/tags")\ndef tag():\n    data = request.get_json()\n    CHECK\n    return jsonify({"tag": data["tag"].strip()})\n'
    for check in ("jsonschema.validate(data, SCHEMA)", "TagSchema().load(data)"):
        assert not seen("input/crash", "POST /tags", source.replace("CHECK", check))
        assert seen("input/crash", "POST /tags", source.replace("CHECK", f'first = data["tag"]\n    {check}'))
    assert seen("input/crash", "POST /tags", source.replace("CHECK", "print(data)"))


def test_a_form_field_that_is_missing_is_flask_s_own_400(seen: Seen) -> None:
    """`request.form["x"]` raises BadRequest, which is an answer."""
    source = FLASK + '    pass\n\n@app.post("/tags")\ndef tag():\n    return jsonify({"tag": request.form["tag"]})\n'
    assert not seen("input/crash", "POST /tags", source)


def test_a_taken_key_that_was_looked_for_is_no_crash(seen: Seen) -> None:
    """A SELECT by the same column in front of the INSERT answers the honest repeat."""
    insert = '    with get_db() as conn:\n        conn.execute("INSERT INTO users (email) VALUES (?)", (request.form["email"],))\n    return jsonify({"ok": True})\n'
    source = PLAIN + '    start.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT UNIQUE)")\n\n@app.post("/users")\ndef add():\n' + insert
    assert "users.email is unique" in seen("input/crash", "POST /users", source)[0].message
    look = '    if get_db().execute("SELECT id FROM users WHERE email = ?", (request.form["email"],)).fetchone():\n        return jsonify({"error": "taken"}), 409\n'
    assert not seen("input/crash", "POST /users", source.replace(insert, look + insert))


def test_a_row_that_may_not_be_there_is_asked_for_first(seen: Seen) -> None:
    """`item.stock` of an unknown id raises; behind `if item is None` and for rows that always are (a count) it does not."""
    assert "item is None where no row of items is found" in seen("input/crash", "POST /items/{item_id}/sell", SALE)[0].message
    asked = SALE.replace("    item.stock -=", "    if item is None:\n        raise HTTPException(status_code=404)\n    item.stock -=")
    assert all("item is None" not in each.message for each in seen("input/crash", "POST /items/{item_id}/sell", asked))
    count = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS pets (name TEXT)")

@app.get("/count")
def count():
    row = get_db().execute("SELECT COUNT(*) AS n FROM pets WHERE name = ?", (request.args.get("name"),)).fetchone()
    return jsonify({"n": row["n"]})
"""
    assert not seen("input/crash", "GET /count", count)
    assert seen("input/crash", "GET /count", count.replace("COUNT(*) AS n", "name AS n"))


def test_what_the_stock_refuses_cannot_overflow(seen: Seen) -> None:
    """10**30 pieces are refused where the stock is compared; without any comparison they reach the column."""
    asked = SALE.replace("    item.stock -=", "    if item is None:\n        raise HTTPException(status_code=404)\n    item.stock -=")
    assert "10**30" in seen("input/crash", "POST /items/{item_id}/sell", asked)[0].message
    compared = asked.replace("    item.stock -=", "    if item.stock < sale.quantity:\n        raise HTTPException(status_code=400)\n    item.stock -=")
    assert not seen("input/crash", "POST /items/{item_id}/sell", compared)


PATCH = MODELS + """
@app.route("/users/<int:user_id>", methods=["PATCH"])
def change(user_id):
    user = db.session.get(User, user_id)
    for key, value in request.get_json().items():
        setattr(user, key, value)
    db.session.commit()
    return jsonify({"id": user.id})
"""


def test_keys_that_are_filtered_reach_no_power(seen: Seen) -> None:
    """An allow-list in the loop is seen; `hasattr` is none, since the role is a column too."""
    loop = "        setattr(user, key, value)\n"
    assert "role" in seen("input/mass-assignment", "PATCH /users/{user_id}", PATCH)[0].message
    assert not seen("input/mass-assignment", "PATCH /users/{user_id}", PATCH.replace(loop, '        if key in ("email",):\n            setattr(user, key, value)\n'))
    assert seen("input/mass-assignment", "PATCH /users/{user_id}", PATCH.replace(loop, "        if hasattr(user, key):\n            setattr(user, key, value)\n"))


def test_power_that_a_role_may_give_is_left_alone(seen: Seen) -> None:
    """A route that asks for a role is where roles are given."""
    asked = '    if current_user().role != "admin":\n        return jsonify({"error": "Admins only"}), 403\n'
    guarded = PATCH.replace("def change(user_id):\n", "def change(user_id):\n" + asked)
    assert not seen("input/mass-assignment", "PATCH /users/{user_id}", guarded)


def test_an_amount_that_moves_a_balance_is_no_field_of_power(seen: Seen) -> None:
    """`SET balance = balance - ?` takes an amount; `SET balance = ?` takes the balance itself."""
    source = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, balance REAL)")

@app.post("/spend")
def spend():
    data = request.get_json()
    with get_db() as conn:
        conn.execute("UPDATE accounts SET balance = balance - ? WHERE id = 1", (data.get("amount"),))
    return jsonify({"ok": True})
"""
    assert not seen("input/mass-assignment", "POST /spend", source)
    assert seen("input/mass-assignment", "POST /spend", source.replace("balance = balance - ?", "balance = ?"))


def test_a_guard_or_a_counter_is_no_missing_guard(seen: Seen) -> None:
    """The DELETE beside a guarded POST is suspected; with the guard, or where it only counts, it is not."""
    drop = """
@app.delete("/items/<int:item_id>")
def drop(item_id):
    with db() as conn:
        conn.execute("DELETE FROM items WHERE id = ?", (item_id,))
    return jsonify({"deleted": item_id})
"""
    [suspicion] = seen("security/no-authentication", "DELETE /items/{item_id}", ITEMS + drop)
    assert "as POST /items does" in suspicion.message
    assert not seen("security/no-authentication", "DELETE /items/{item_id}", ITEMS + drop.replace("def drop", "@login_required\ndef drop"))
    count = drop.replace("DELETE FROM items WHERE", "UPDATE items SET views = views + 1 WHERE")
    assert not seen("security/no-authentication", "DELETE /items/{item_id}", ITEMS + count)


def test_without_any_guard_nobody_is_missing_one(seen: Seen) -> None:
    """A prototype without users has no policy that a route could break."""
    source = SALE + '\n@app.delete("/items/{item_id}")\ndef drop(item_id: int, db: Session = Depends(get_db)):\n    db.delete(db.get(Item, item_id))\n    db.commit()\n'
    assert not seen("security/no-authentication", "DELETE /items/{item_id}", source)


def test_rows_of_users_that_fastapi_shows_whole_are_seen(seen: Seen) -> None:
    """A handler without response model returns every column; with one, it returns what the model declares."""
    source = FASTAPI + """
class Shown(BaseModel):
    username: str

Base.metadata.create_all(engine)

@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"id": user.id}

@app.get("/users")
def everybody(db: Session = Depends(get_db)):
    return db.query(User).all()
"""
    assert "password" in seen("security/no-authentication", "GET /users", source)[0].message
    assert not seen("security/no-authentication", "GET /users", source.replace('"/users")', '"/users", response_model=list[Shown])'))


RENAME = """
@app.put("/accounts/{account_id}")
def rename(account_id: int, data: NewAccount, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    account = db.get(Account, account_id)
    account.label = data.label
    db.commit()
    return {"id": account.id}
"""


@pytest.mark.parametrize(
    "owner",
    [
        "    if account.owner_id != user.id:\n        raise HTTPException(status_code=404)\n",
        "    mine(account, user)\n",
        '    if user.username != "admin":\n        raise HTTPException(status_code=403)\n',
    ],
    ids=["compared", "compared-by-a-function", "one-user-only"],
)
def test_a_row_whose_owner_is_compared_is_left_alone(seen: Seen, owner: str) -> None:
    """Anything that compares with who is calling decides; a handler that only knows the caller does not."""
    source = ACCOUNTS + "\ndef mine(account, user):\n    if account.owner_id != user.id:\n        raise HTTPException(status_code=404)\n" + RENAME
    [suspicion] = seen("security/object-authorization", "PUT /accounts/{account_id}", source)
    assert "owner_id" in suspicion.message
    assert not seen("security/object-authorization", "PUT /accounts/{account_id}", source.replace("    account.label =", owner + "    account.label ="))


def test_rows_below_an_owned_row_belong_to_its_owner(seen: Seen) -> None:
    """A transaction has no owner of its own; the account that it refers to has."""
    source = ACCOUNTS + """
class Booking(Base):
    __tablename__ = "bookings"
    id = Column(Integer, primary_key=True)
    account_id = Column(Integer, ForeignKey("accounts.id"))
    note = Column(String)

@app.put("/bookings/{booking_id}")
def annotate(booking_id: int, data: NewAccount, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    booking = db.query(Booking).filter(Booking.id == booking_id).first()
    booking.note = data.label
    db.commit()
    return {"id": booking.id}
"""
    [suspicion] = seen("security/object-authorization", "PUT /bookings/{booking_id}", source)
    assert "accounts.owner_id" in suspicion.message


def test_another_user_named_by_the_path_is_seen_and_oneself_is_not(seen: Seen) -> None:
    """`db.get(User, user_id)` changes whoever is named; `db.get(User, user.id)` only the caller."""
    source = ACCOUNTS + """
@app.put("/users/{user_id}")
def change(user_id: int, data: NewAccount, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    found = db.get(User, user_id)
    found.username = data.label
    db.commit()
    return {"id": found.id}
"""
    assert seen("security/object-authorization", "PUT /users/{user_id}", source)
    assert not seen("security/object-authorization", "PUT /users/{user_id}", source.replace("db.get(User, user_id)", "db.get(User, user.id)"))


def test_what_a_listing_shows_to_all_is_nobody_s_secret(seen: Seen) -> None:
    """Notes are limited to their owner everywhere but in one route; posts are listed for everybody."""
    one = '\n@app.get("/notes/<int:note_id>")\n@login_required\ndef one(note_id):\n    return jsonify(dict(db().execute("SELECT * FROM notes WHERE id = ?", (note_id,)).fetchone()))\n'
    assert seen("security/object-authorization", "GET /notes/{note_id}", NOTES + one)
    everything = '\n@app.get("/all")\n@login_required\ndef everything():\n    return jsonify([dict(row) for row in db().execute("SELECT * FROM notes")])\n'
    assert not seen("security/object-authorization", "GET /notes/{note_id}", NOTES + one + everything)
    assert not seen("security/object-authorization", "GET /posts/{post_id}", BLOG)


@pytest.mark.parametrize(
    "locked",
    ["db.query(Item).filter(Item.id == item_id).with_for_update().first()", 'db.execute(text("BEGIN IMMEDIATE")) and db.get(Item, item_id)'],
    ids=["row", "transaction"],
)
def test_a_lock_ends_the_race(seen: Seen, locked: str) -> None:
    """What makes the second request wait is seen before the read."""
    source = SALE.replace("    item.stock -=", "    if item.stock < 1:\n        raise HTTPException(status_code=400)\n    item.stock -=")
    for rule in ("race/lost-update", "race/check-then-act"):
        assert seen(rule, "POST /items/{item_id}/sell", source)
        assert not seen(rule, "POST /items/{item_id}/sell", source.replace("db.get(Item, item_id)", locked))


def test_what_the_database_computes_is_not_lost(seen: Seen) -> None:
    """`Item.stock - 1` is SQL; `item.stock - 1` is Python. A text that is put together is no number."""
    assert not seen("race/lost-update", "POST /items/{item_id}/sell", SALE.replace("item.stock -= sale.quantity", "item.stock = Item.stock - sale.quantity"))
    assert seen("race/lost-update", "POST /items/{item_id}/sell", SALE.replace("item.stock -= sale.quantity", "item.stock = item.stock - sale.quantity"))
    named_item = SALE.replace("stock = Column(Integer)", "stock = Column(String)").replace("item.stock -= sale.quantity", "item.stock = item.stock + '!'")
    assert not seen("race/lost-update", "POST /items/{item_id}/sell", named_item)


def test_asking_for_the_row_is_no_check_of_its_number(seen: Seen) -> None:
    """`if item is None` refuses an unknown row: nothing is used up by it."""
    source = SALE.replace("    item.stock -=", "    if item is None:\n        raise HTTPException(status_code=404)\n    item.stock -=")
    assert seen("race/lost-update", "POST /items/{item_id}/sell", source)
    assert not seen("race/check-then-act", "POST /items/{item_id}/sell", source)


def test_a_form_s_page_is_not_blamed_for_its_post(seen: Seen) -> None:
    """One handler for GET and POST writes for its POST alone."""
    source = MODELS + """
@app.route("/visits/<int:user_id>", methods=["GET", "POST"])
def visits(user_id):
    user = db.session.get(User, user_id)
    if request.method == "POST":
        user.points = user.points + 1
        db.session.commit()
    return jsonify({"id": user.id})
""".replace("User, user_id", "User, user_id")
    source = source.replace('role = db.Column(db.String(20), default="user")', 'role = db.Column(db.String(20), default="user")\n    points = db.Column(db.Integer)')
    assert seen("race/lost-update", "POST /visits/{user_id}", source)
    assert not seen("race/lost-update", "GET /visits/{user_id}", source)


def test_a_counter_of_views_is_nobody_s_loss(seen: Seen) -> None:
    """What a GET notes by the way, and what counts visits, no one relies on; the same step of a stock is suspected."""
    counted = SALE.replace("item.stock -= sale.quantity", "item.views += 1").replace("stock = Column(Integer)", "stock = Column(Integer)\n    views = Column(Integer)")
    assert not seen("race/lost-update", "POST /items/{item_id}/sell", counted)
    assert seen("race/lost-update", "POST /items/{item_id}/sell", SALE)


def test_a_statement_in_a_helper_names_its_route_and_value(seen: Seen) -> None:
    """The suspicion lies in the helper's file, names what is put into the text, and belongs to the route that calls it."""
    helper = 'from main import get_db\n\ndef find(name):\n    return get_db().execute(f"SELECT * FROM pets WHERE name = \'{name}\'").fetchall()\n'
    main = "import helper\n" + PLAIN + '    start.execute("CREATE TABLE IF NOT EXISTS pets (name TEXT)")\n\n@app.get("/pets")\ndef pets():\n    return jsonify(len(helper.find(request.args.get("name", ""))))\n'
    [suspicion] = seen("security/sql-injection", "GET /pets", main, helper=helper)
    assert suspicion.location.file == "helper.py"
    assert suspicion.message.startswith("name is put into the text")


def test_hostile_sources_are_passed_over(seen: Seen) -> None:
    """A file that does not parse, and an expression that nests deeply, silence nothing else, and nothing raises."""
    main = PLAIN + '    start.execute("CREATE TABLE IF NOT EXISTS pets (name TEXT)")\n\n@app.get("/deep")\ndef deep():\n' + f"    return 1{' + 1' * 450}\n"
    main += '\n@app.post("/pets")\ndef add():\n    return jsonify({"name": request.get_json()["name"]})\n'
    for rule in load():
        assert not seen(rule.id, "GET /deep", main, broken="def (:\n")
    assert seen("input/crash", "POST /pets", main, broken="def (:\n")


def test_one_handler_beyond_reason_silences_no_other(tmp_path: Path) -> None:
    """What cannot be followed to its end is passed over; the routes behind it are still looked at."""
    (tmp_path / "main.py").write_text(BLOG)
    sources = read(tmp_path)
    blueprint = survey(sources)

    def look(handler: Handler) -> list[Suspicion]:
        if handler.route.id == "GET /posts":
            raise RecursionError
        return [handler.suspicion("x/y", 1, "seen")]

    found = [each.route for each in sought(blueprint, sources.texts, look)]
    assert "GET /posts" not in found
    assert {"GET /posts/{post_id}", "DELETE /posts/{post_id}"} <= set(found)
