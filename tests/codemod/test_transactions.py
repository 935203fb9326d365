"""Claims about serial, claim_sql and once: one transaction, closed on every path, refused by the check's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import claim_sql, lock_sql, once, serial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BANK = """
import sqlite3
from flask import Flask, jsonify, request

app = Flask(__name__)
PATH = 'bank.db'

def get_db():
    conn = sqlite3.connect(PATH, timeout=1)
    conn.row_factory = sqlite3.Row
    return conn

@app.post('/pay')
def pay():
    data = request.get_json()
    conn = get_db()
    row = conn.execute('SELECT balance FROM accounts WHERE id = 1').fetchone()
    if row['balance'] < data['amount']:
        conn.close()
        return jsonify({'error': 'Insufficient funds'}), 400
    conn.execute(
        'UPDATE accounts SET balance = balance - ? WHERE id = ?',
        (data['amount'], 1),
    )
    conn.commit()
    conn.close()
    return jsonify({'paid': data['amount']})
"""


def _bank(run: Callable[[str], dict[str, Any]], text: str, folder: Path) -> tuple[Any, Any]:
    names = run(text)
    names["PATH"] = str(folder / "bank.db")
    conn = names["get_db"]()
    conn.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
    conn.execute("INSERT INTO accounts VALUES (1, 100)")
    conn.commit()
    return names["app"].test_client(), conn


def test_serial_begins_and_closes_by_the_smallest_wrap(mended: Callable[..., Any]) -> None:
    """Only what uses the connection is wrapped, and the close at its end becomes the finally."""
    text = mended(BANK, lambda m: serial(m, "pay"))
    assert '    conn = get_db()\n    try:\n        conn.execute("BEGIN IMMEDIATE")\n        row = conn.execute(' in text
    assert "        conn.commit()\n    finally:\n        conn.close()\n    return jsonify({'paid'" in text


def test_serial_answers_as_before_and_holds_no_lock_after_a_crash(
    mended: Callable[..., Any],
    run: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Honest and refused requests answer as before; a value that sqlite3 cannot take leaves no lock behind."""
    client, conn = _bank(run, mended(BANK, lambda m: serial(m, "pay")), tmp_path)
    assert client.post("/pay", json={"amount": 60}).json == {"paid": 60}
    assert client.post("/pay", json={"amount": 60}).status_code == 400
    kept = None
    try:
        client.application.testing = True
        client.post("/pay", json={"amount": -(10**30)})
    except OverflowError as error:
        kept = error
    assert kept is not None
    assert client.post("/pay", json={"amount": 10}).json == {"paid": 10}
    assert conn.execute("SELECT balance FROM accounts").fetchone()[0] == 30


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    conn = get_db()\n", "    conn = get_db()\n    conn.execute('BEGIN')\n", "begins its transaction itself"),
        ("    conn = get_db()\n", "    conn = get_db()\n    other = get_db()\n", "2 connections"),
        ("    row = conn", "    conn.commit()\n    row = conn", "commits before its last statement"),
        ("import sqlite3\n", "import sqlite3, requests\n", ""),
        ("UPDATE accounts SET balance = balance - ? WHERE", "SELECT ? FROM accounts WHERE", "writes nothing"),
        ("timeout=1", "isolation_level=None", "isolation_level"),
    ],
)
def test_serial_refuses_what_it_cannot_hold(
    refused: Callable[..., Any], mended: Callable[..., Any], old: str, new: str, reason: str
) -> None:
    """Own transactions, several connections, early commits and reads only are refused; an import alone is not."""
    source = BANK.replace(old, new, 1)
    if not reason:
        assert "BEGIN IMMEDIATE" in mended(source, lambda m: serial(m, "pay"))
        return
    assert reason in refused(source, lambda m: serial(m, "pay"))


def test_serial_never_waits_for_the_outside(refused: Callable[..., Any]) -> None:
    """A call to another host inside a transaction would lock everybody out while it hangs."""
    source = BANK.replace("import sqlite3", "import sqlite3\nimport requests").replace(
        "    conn.commit()", "    requests.post('http://bank.example')\n    conn.commit()"
    )
    assert "while the database is locked" in refused(source, lambda m: serial(m, "pay"))


def test_serial_never_waits_for_itself(refused: Callable[..., Any]) -> None:
    """A helper that opens a connection of its own would wait for the lock that its caller holds."""
    source = BANK + "\ndef log(text):\n    get_db().execute('INSERT INTO log VALUES (?)', (text,))\n"
    source = source.replace("    conn.commit()", "    log('x')\n    conn.commit()")
    assert "connection of its own" in refused(source, lambda m: serial(m, "pay"))


def test_a_connection_in_g_is_left_to_its_teardown(changed: Callable[..., Any]) -> None:
    """Where a teardown closes the connection one line is enough."""
    source = (
        BANK.replace(
            "    conn = sqlite3.connect(PATH, timeout=1)\n    conn.row_factory = sqlite3.Row\n    return conn\n",
            "    if 'db' not in g:\n        g.db = sqlite3.connect(PATH)\n    return g.db\n\n"
            "@app.teardown_appcontext\ndef shut(error):\n    g.pop('db').close()\n",
        )
        .replace("        conn.close()\n", "")
        .replace("    conn.close()\n", "")
    )
    assert changed(source, lambda m: serial(m, "pay")) == ['+    conn.execute("BEGIN IMMEDIATE")']


def test_claim_sql_tests_the_row_and_copies_the_refusal(changed: Callable[..., Any], at: Callable[..., Any]) -> None:
    """The condition joins the UPDATE, and no row hit is answered as the check answers."""
    assert changed(BANK, lambda m: claim_sql(m, at(m.text, "UPDATE accounts"), "balance >= ?", ["data['amount']"])) == [
        "-    conn.execute(",
        "-        'UPDATE accounts SET balance = balance - ? WHERE id = ?',",
        "-        (data['amount'], 1),",
        "+    claimed = conn.execute(",
        "+        'UPDATE accounts SET balance = balance - ? WHERE id = ? AND balance >= ?',",
        "+        (data['amount'], 1, data['amount']),",
        "+    if claimed.rowcount == 0:",
        "+        conn.close()",
        "+        return jsonify({'error': 'Insufficient funds'}), 400",
    ]


TILL = """
import pymysql
from flask import jsonify, request

def pay():
    data = request.get_json()
    conn = pymysql.connect(host='db', database='bank')
    with conn.cursor() as cur:
        cur.execute('SELECT balance FROM accounts WHERE id = 1')
        row = cur.fetchone()
        if row['balance'] < data['amount']:
            return jsonify(error='Insufficient funds'), 400
        cur.execute('UPDATE accounts SET balance = balance - %s WHERE id = %s', (data['amount'], 1))
    conn.commit()
    return jsonify(ok=True)
"""


def test_claim_sql_counts_as_mysql_counts(changed: Callable[..., Any], at: Callable[..., Any]) -> None:
    """MySQL's drivers tell how many rows changed, on the cursor: an amount of 0 changes none, and is answered as before."""
    assert changed(TILL, lambda m: claim_sql(m, at(m.text, "UPDATE accounts"), "balance >= ?", ["data['amount']"])) == [
        "-        cur.execute('UPDATE accounts SET balance = balance - %s WHERE id = %s', (data['amount'], 1))",
        "+        cur.execute('UPDATE accounts SET balance = balance - %s WHERE id = %s AND balance >= %s', (data['amount'], 1, data['amount']))",
        "+        if cur.rowcount == 0 and data['amount'] != 0:",
        "+            conn.rollback()",
        "+            return jsonify(error='Insufficient funds'), 400",
    ]


ORDERS = """
def create(db, items):
    order = Order()
    db.add(order)
    db.commit()
    db.refresh(order)
    for item in items:
        db.add(Line(order_id=order.id, item=item))
    db.commit()
    return order
"""


def test_once_flushes_until_the_last_commit(changed: Callable[..., Any]) -> None:
    """The id is there after a flush, and everything is committed together."""
    assert changed(ORDERS, lambda m: once(m, "create")) == ["-    db.commit()", "+    db.flush()"]


def test_once_drops_early_commits_of_raw_connections(changed: Callable[..., Any]) -> None:
    """A raw connection has no flush: its early commit goes."""
    source = "def f(conn):\n    conn.execute('INSERT 1')\n    conn.commit()\n"
    source += "    conn.execute('INSERT 2')\n    conn.commit()\n"
    assert changed(source, lambda m: once(m, "f")) == ["-    conn.commit()"]


def test_once_takes_the_last_commit_out_of_its_if(changed: Callable[..., Any]) -> None:
    """Where the last commit ends an `if`, it goes behind it: what was flushed before is committed either way."""
    source = ORDERS.replace("    db.commit()\n    return", "    if items:\n        order.full = True\n        db.commit()\n    return")
    assert changed(source, lambda m: once(m, "create")) == ["-    db.commit()", "+    db.flush()", "-        db.commit()", "+    db.commit()"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    db.refresh(order)", "    if not items:\n        return order", "return stands between"),
        ("    db.refresh(order)", "    requests.post('http://x')", "cannot be taken back"),
        ("    db.commit()\n    return", "    if items:\n        db.commit()\n    return", "conditional"),
        ("    db.commit()\n    db.refresh(order)\n", "", "nothing to join"),
        ("    db.refresh(order)", "    audit(db)", "commits itself"),
    ],
)
def test_once_refuses_what_cannot_wait(refused: Callable[..., Any], old: str, new: str, reason: str) -> None:
    """Paths that end between, effects outside, conditional ends and callees that commit are refused."""
    source = "import requests\ndef audit(db):\n    db.commit()\n" + ORDERS.replace(old, new, 1)
    assert reason in refused(source, lambda m: once(m, "create"))


def test_a_raw_select_is_locked_where_the_database_can(
    changed: Callable[..., Any], refused: Callable[..., Any]
) -> None:
    """Postgres gets FOR UPDATE, SQLite is refused, and so is a lock that a commit drops."""
    source = """
    import psycopg2
    def take(cur, conn, key):
        cur.execute("SELECT left FROM seats WHERE id = %s", (key,))
        cur.execute("UPDATE seats SET left = %s WHERE id = %s", (cur.fetchone()[0] - 1, key))
        conn.commit()
    """
    assert changed(source, lambda m: lock_sql(m, 4)) == [
        '-    cur.execute("SELECT left FROM seats WHERE id = %s", (key,))',
        '+    cur.execute("SELECT left FROM seats WHERE id = %s FOR UPDATE", (key,))',
    ]
    assert "SQLite" in refused(source.replace("psycopg2", "sqlite3").replace("%s", "?"), lambda m: lock_sql(m, 4))
    early = source.replace('    cur.execute("UPDATE', '    conn.commit()\n        cur.execute("UPDATE')
    assert "drop the lock" in refused(early, lambda m: lock_sql(m, 4))
