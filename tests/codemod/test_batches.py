"""Claims about claim_entrusted and must_hit: a statement that another function runs gets its condition, and a miss is refused."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Module, claim_entrusted, must_hit

if TYPE_CHECKING:
    from collections.abc import Callable

BANK = """
import sqlite3
from flask import Flask, jsonify
app = Flask(__name__)

def run(query, params=None):
    conn = sqlite3.connect(DATABASE)
    cursor = conn.cursor()
    cursor.execute(query, params or ())
    result = cursor.fetchall()
    conn.commit()
    conn.close()
    return result

def run_all(queries):
    conn = sqlite3.connect(DATABASE)
    cursor = conn.cursor()
    for query, params in queries:
        cursor.execute(query, params)
    conn.commit()
    conn.close()

@app.post("/pay")
def pay(amount, user):
    row = run("SELECT balance FROM users WHERE id = ?", (user,))[0]
    if row[0] >= amount:
        queries = [
            ("INSERT INTO payments (amount) VALUES (?)", (amount,)),
            ("UPDATE users SET balance = balance - ? WHERE id = ?", (amount, user)),
        ]
        run_all(queries)
        return {"ok": True}
    else:
        return {"error": "Insufficient funds"}, 400

@app.post("/reset")
def reset(user):
    if run("SELECT pin FROM users WHERE id = ?", (user,))[0][0] is None:
        return {"error": "no pin"}, 400
    run("UPDATE users SET pin = NULL WHERE id = ?", (user,))
    return {"ok": True}
"""
TAKE = "UPDATE users SET balance = balance - ? WHERE id = ?"


def _pay(module: Module) -> Any:
    return claim_entrusted(module, "pay", TAKE, "run_all", "balance >= ?", ["amount"])


def _reset(module: Module) -> Any:
    return claim_entrusted(module, "reset", "UPDATE users SET pin = NULL WHERE id = ?", "run", "pin IS NOT NULL")


def test_the_condition_stands_where_the_text_stands(changed: Callable[..., Any]) -> None:
    """The UPDATE among several gets its condition and value, and a miss is answered as the `else` of the check answers."""
    assert changed(BANK, _pay) == [
        '-            ("UPDATE users SET balance = balance - ? WHERE id = ?", (amount, user)),',
        '+            ("UPDATE users SET balance = balance - ? WHERE id = ? AND balance >= ?", (amount, user, amount)),',
        "-        run_all(queries)",
        "+        if run_all(queries, must_hit=(1,)) is False:",
        '+            return {"error": "Insufficient funds"}, 400',
    ]


def test_the_only_statement_of_a_call_is_changed_within_it(changed: Callable[..., Any]) -> None:
    """The statement that a call holds itself becomes the test of an `if`, with the refusal of the check in front."""
    assert changed(BANK, _reset) == [
        '-    run("UPDATE users SET pin = NULL WHERE id = ?", (user,))',
        '+    if run("UPDATE users SET pin = NULL WHERE id = ? AND pin IS NOT NULL", (user,), must_hit=True) is False:',
        '+        return {"error": "no pin"}, 400',
    ]


def test_a_function_learns_to_tell_of_a_miss(changed: Callable[..., Any]) -> None:
    """Only a statement that must hit a row and hits none is taken back; callers that ask for nothing see no difference."""
    assert changed(BANK, lambda m: must_hit(m, "run_all")) == [
        "-def run_all(queries):",
        "+def run_all(queries, must_hit=()):",
        "-    for query, params in queries:",
        "+    for number, (query, params) in enumerate(queries):",
        "+        if number in must_hit and cursor.rowcount == 0:",
        "+            conn.rollback()",
        "+            return False",
    ]


def test_a_connection_that_executes_by_itself_is_asked_by_its_cursor(changed: Callable[..., Any]) -> None:
    """sqlite3's own connections execute, and say nothing of rows."""
    text = BANK.replace("    cursor = conn.cursor()\n    for query", "    for query").replace("        cursor.execute(query, params)\n    conn", "        conn.execute(query, params)\n    conn")
    assert changed(text, lambda m: must_hit(m, "run_all"))[5:8] == ["+        done = conn.execute(query, params)", "+        if number in must_hit and done.rowcount == 0:", "+            conn.rollback()"]


def test_nobody_pays_more_than_there_is(mended: Callable[..., Any], run: Callable[..., Any], tmp_path: Any) -> None:
    """Where the balance went since it was read, the whole transaction is taken back and the payment refused."""
    text = mended(mended(BANK, lambda m: must_hit(m, "run_all")), _pay)
    text = mended(mended(text, lambda m: must_hit(m, "run")), _reset)
    stale = text.replace('row = run("SELECT balance FROM users WHERE id = ?", (user,))[0]', "row = (100,)").replace("from flask import Flask, jsonify\napp = Flask(__name__)", "class app:\n    post = staticmethod(lambda _: lambda view: view)")
    names = run(stale)
    names["pay"].__globals__["DATABASE"] = str(tmp_path / "bank.db")
    with sqlite3.connect(tmp_path / "bank.db") as conn:
        conn.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, balance INTEGER, pin TEXT)")
        conn.execute("CREATE TABLE payments (amount INTEGER)")
        conn.execute("INSERT INTO users VALUES (1, 100, '1234')")
    assert names["pay"](60, 1) == {"ok": True}
    assert names["pay"](60, 1) == ({"error": "Insufficient funds"}, 400)
    assert names["reset"](1) == {"ok": True}
    assert names["reset"](1) == ({"error": "no pin"}, 400)
    with sqlite3.connect(tmp_path / "bank.db") as conn:
        assert conn.execute("SELECT balance, (SELECT COUNT(*) FROM payments) FROM users").fetchone() == (40, 1)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("        run_all(queries)\n", "        done = run_all(queries)\n", "used already"),
        ("        run_all(queries)\n", "        queries.append(())\n        run_all(queries)\n", "as it is written"),
        ("(amount, user)),\n        ]", "tuple([amount, user])),\n        ]", "not written out"),
        (TAKE, TAKE + " RETURNING id", "stands 0 times"),
    ],
)
def test_what_it_does_not_know_is_refused(refused: Callable[..., Any], old: str, new: str, reason: str) -> None:
    """A result that is used, a list that is changed, values from elsewhere and another text are for a person."""
    assert reason in refused(BANK.replace(old, new), _pay)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("        cursor.execute(query, params)\n    conn", "        cursor.execute(query, params)\n    cursor.execute('SELECT 1')\n    conn", "2 places"),
        ('    conn.commit()\n    conn.close()\n\n@app.post("/pay")', '    conn.close()\n\n@app.post("/pay")', "never commits"),
        ("    for query, params in queries:\n        cursor.execute(query, params)", "    cursor.execute(compose(queries))", "what it is given"),
    ],
)
def test_a_function_of_another_shape_is_left(refused: Callable[..., Any], old: str, new: str, reason: str) -> None:
    """A function that executes twice, does not commit, or runs what it made itself is left as it is."""
    assert reason in refused(BANK.replace(old, new), lambda m: must_hit(m, "run_all"))


COLLECTED = BANK.replace(
    """        queries = [
            ("INSERT INTO payments (amount) VALUES (?)", (amount,)),
            ("UPDATE users SET balance = balance - ? WHERE id = ?", (amount, user)),
        ]
        run_all(queries)
""",
    """        queries = []
        if amount:
            queries.append(("INSERT INTO payments (amount) VALUES (?)", (amount,)))
        if user:
            take = "UPDATE users SET balance = balance - ? WHERE id = ?"
            queries.append((take, (amount, user)))
        else:
            queries.append(("DELETE FROM payments WHERE amount = ?", (-1,)))
        run_all(queries)
""",
)


def test_a_statement_that_is_appended_notes_its_place(changed: Callable[..., Any]) -> None:
    """Which statement must hit a row is known where it is appended; the text may have a name of its own."""
    assert changed(COLLECTED, _pay) == [
        "+        must_hit = []",
        '-            take = "UPDATE users SET balance = balance - ? WHERE id = ?"',
        "-            queries.append((take, (amount, user)))",
        '+            take = "UPDATE users SET balance = balance - ? WHERE id = ? AND balance >= ?"',
        "+            must_hit.append(len(queries))",
        "+            queries.append((take, (amount, user, amount)))",
        "-        run_all(queries)",
        "+        if run_all(queries, must_hit=must_hit) is False:",
        '+            return {"error": "Insufficient funds"}, 400',
    ]


def test_nobody_pays_more_than_there_is_with_statements_that_are_collected(mended: Callable[..., Any], run: Callable[..., Any], tmp_path: Any) -> None:
    """A miss takes the whole transaction back; the branch whose statement may miss is no refusal."""
    text = mended(mended(COLLECTED, lambda m: must_hit(m, "run_all")), _pay)
    stale = text.replace('row = run("SELECT balance FROM users WHERE id = ?", (user,))[0]', "row = (100,)").replace("from flask import Flask, jsonify\napp = Flask(__name__)", "class app:\n    post = staticmethod(lambda _: lambda view: view)")
    names = run(stale)
    names["pay"].__globals__["DATABASE"] = str(tmp_path / "bank.db")
    with sqlite3.connect(tmp_path / "bank.db") as conn:
        conn.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, balance INTEGER, pin TEXT)")
        conn.execute("CREATE TABLE payments (amount INTEGER)")
        conn.execute("INSERT INTO users VALUES (1, 100, '1234')")
    assert names["pay"](60, 1) == {"ok": True}
    assert names["pay"](60, 1) == ({"error": "Insufficient funds"}, 400)
    assert names["pay"](60, 0) == {"ok": True}
    with sqlite3.connect(tmp_path / "bank.db") as conn:
        assert conn.execute("SELECT balance, (SELECT COUNT(*) FROM payments) FROM users").fetchone() == (40, 2)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("        run_all(queries)\n", "        queries.pop()\n        run_all(queries)\n", "as it is written"),
        ("        run_all(queries)\n", "        queries = list(queries)\n        run_all(queries)\n", "as it is written"),
        ("            queries.append((take, (amount, user)))\n", "            queries.append((take, (amount, user)))\n            print(take)\n", "several times"),
        ("            queries.append((take, (amount, user)))\n", "            queries.append((take, values_of(amount)))\n", "not written out"),
        ("        run_all(queries)\n", "        run_all(queries)\n        queries.append((1, 2))\n", "as it is written"),
    ],
)
def test_a_list_that_does_more_than_grow_is_refused(refused: Callable[..., Any], old: str, new: str, reason: str) -> None:
    """What is taken out again, bound anew, or appended too late is for a person."""
    assert reason in refused(COLLECTED.replace(old, new), _pay)


def test_the_refusal_is_that_of_the_check_which_compares_the_value(changed: Callable[..., Any]) -> None:
    """A check that names the column only in its words is found by the value that it compares."""
    text = COLLECTED.replace("    if row[0] >= amount:\n", '    if amount > row[0]:\n        return {"error": "The balance is too low"}, 400\n    if True:\n').replace('    else:\n        return {"error": "Insufficient funds"}, 400\n\n@app.post("/reset")', '\n@app.post("/reset")')
    assert changed(text, _pay)[-1] == '+            return {"error": "The balance is too low"}, 400'
