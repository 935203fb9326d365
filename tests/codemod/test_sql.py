"""Claims about bind and scope over raw SQL: values leave the text, names stay, order and quoting are right."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Draft, Module, bind, dynamic, scope_sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.model.patch import Unmended

    Apply = Callable[[Module], Draft | Unmended]

HEAD = "import sqlite3\n\n\ndef find(conn, name, low=0, order='i'):\n"


def _bind(module: Module) -> Draft | Unmended:
    """Bind at the one line that executes."""
    line = next(
        n for n, text in enumerate(module.text.splitlines(), 1) if ".execute(" in text or "run_query(" in text[4:]
    )
    return bind(module, line)


CASES = [
    (
        """conn.execute(f"SELECT a FROM t WHERE n = '{name}'")""",
        """conn.execute("SELECT a FROM t WHERE n = ?", (name,))""",
    ),
    (
        """conn.execute("SELECT a FROM t WHERE n = '" + name + "'")""",
        """conn.execute("SELECT a FROM t WHERE n = ?", (name,))""",
    ),
    (
        """conn.execute("SELECT a FROM t WHERE n = '%s'" % name)""",
        """conn.execute("SELECT a FROM t WHERE n = ?", (name,))""",
    ),
    (
        """conn.execute("SELECT a FROM t WHERE n = '%s' AND i > %d" % (name, low))""",
        """conn.execute("SELECT a FROM t WHERE n = ? AND i > ?", (name, low))""",
    ),
    (
        """conn.execute("SELECT a FROM t WHERE n = '{}'".format(name))""",
        """conn.execute("SELECT a FROM t WHERE n = ?", (name,))""",
    ),
    (
        """conn.execute("SELECT a FROM t WHERE n = '{who}'".format(who=name))""",
        """conn.execute("SELECT a FROM t WHERE n = ?", (name,))""",
    ),
    (
        """conn.execute("SELECT a FROM t WHERE i = " + str(low))""",
        """conn.execute("SELECT a FROM t WHERE i = ?", (low,))""",
    ),
    (
        """conn.execute("SELECT a FROM t WHERE i = " + str(low) + " AND n = '" + name + "'")""",
        """conn.execute("SELECT a FROM t WHERE i = ? AND n = ?", (low, name))""",
    ),
    (
        """conn.execute(f"SELECT a FROM t WHERE n LIKE '%{name}%'")""",
        """conn.execute("SELECT a FROM t WHERE n LIKE ?", (f"%{name}%",))""",
    ),
    (
        """conn.execute("SELECT a FROM t WHERE n LIKE '%%%s%%'" % name)""",
        """conn.execute("SELECT a FROM t WHERE n LIKE ?", (f"%{name}%",))""",
    ),
    (
        """conn.execute(f"SELECT a FROM t WHERE i > ? AND n = '{name}' AND i < ?", (low, 9))""",
        """conn.execute("SELECT a FROM t WHERE i > ? AND n = ? AND i < ?", (low, name, 9))""",
    ),
    (
        """conn.execute(f"SELECT a FROM t WHERE n = '{name}' ORDER BY {order}")""",
        """conn.execute(f"SELECT a FROM t WHERE n = ? ORDER BY {order}", (name,))""",
    ),
    (
        """conn.execute(f"SELECT a FROM t WHERE n = '{name}' AND a != '{{}}' LIMIT {low}")""",
        """conn.execute("SELECT a FROM t WHERE n = ? AND a != '{}' LIMIT ?", (name, low))""",
    ),
    (
        """conn.execute(f"INSERT INTO t (n, i) VALUES ('{name}', {low})")""",
        """conn.execute("INSERT INTO t (n, i) VALUES (?, ?)", (name, low))""",
    ),
    (
        """conn.execute(f"UPDATE t SET n = '{name}', i = i + {low} WHERE i = 1")""",
        """conn.execute("UPDATE t SET n = ?, i = i + ? WHERE i = 1", (name, low))""",
    ),
    (
        """conn.execute(f"SELECT a FROM t WHERE n = '{name}' " f"AND i > {low}")""",
        """conn.execute("SELECT a FROM t WHERE n = ? " "AND i > ?", (name, low))""",
    ),
    (
        """conn.execute(f"SELECT a FROM t WHERE n = '{data['n'].strip()}'")""",
        """conn.execute("SELECT a FROM t WHERE n = ?", (data['n'].strip(),))""",
    ),
]


@pytest.mark.parametrize(("source", "wanted"), CASES)
def test_values_become_parameters(mended: Callable[[str, Apply], str], source: str, wanted: str) -> None:
    """Each way to build text ends in places and a tuple, in the order of the text; what is no value stays."""
    assert mended(f"{HEAD}    return {source}\n", _bind) == f"{HEAD}    return {wanted}\n"


def test_bound_statements_find_the_same_rows_and_no_injection(
    mended: Callable[[str, Apply], str], run: Callable[[str], dict[str, Any]]
) -> None:
    """In sqlite3 the mended statement answers honest values as before and a quote as a value."""
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t (a TEXT, n TEXT, i INTEGER)")
    conn.execute("INSERT INTO t VALUES ('x', 'ann', 5), ('y', 'bob', 7), ('z', 'o''neil', 9)")
    body = """    query = f'''
        SELECT a FROM t
        WHERE n LIKE '{name}%' AND i > {low}
        ORDER BY {order}
    '''
    return [row[0] for row in conn.execute(query)]
"""
    before, after = run(HEAD + body)["find"], run(mended(HEAD + body, _bind))["find"]
    assert before(conn, "ann") == after(conn, "ann") == ["x"]
    assert before(conn, "", 6) == after(conn, "", 6) == ["y", "z"]
    assert before(conn, "' OR 1=1 --") != []
    assert after(conn, "' OR 1=1 --") == []
    assert after(conn, "o'neil") == ["z"]


def test_a_local_variable_keeps_its_other_uses(mended: Callable[[str, Apply], str]) -> None:
    """Text in a variable is bound where it is executed, also when it is printed elsewhere."""
    body = """    query = f"SELECT a FROM t WHERE n = '{name}'"
    print(query)
    cursor = conn.cursor()
    cursor.execute(query)  # unsafe
    return cursor.fetchall()
"""
    text = mended(HEAD + body, _bind)
    assert 'query = "SELECT a FROM t WHERE n = ?"' in text
    assert "cursor.execute(query, (name,))  # unsafe" in text


def test_psycopg_gets_its_own_places_and_doubled_percent_signs(mended: Callable[[str, Apply], str]) -> None:
    """With parameters psycopg2 reads every percent sign: literal ones are doubled."""
    source = """import psycopg2

def find(cur, name):
    cur.execute(f"SELECT a FROM t WHERE n = '{name}' AND a LIKE '%x'")
"""
    assert """cur.execute("SELECT a FROM t WHERE n = %s AND a LIKE '%%x'", (name,))""" in mended(source, _bind)


def test_percent_formatted_text_for_psycopg_keeps_doubled_signs(mended: Callable[[str, Apply], str]) -> None:
    """A sign that the % operator halved stays doubled for the driver."""
    source = """import psycopg2

def find(cur, name):
    cur.execute("SELECT a FROM t WHERE n = '%s' AND a LIKE 'x%%'" % name)
"""
    assert """cur.execute("SELECT a FROM t WHERE n = %s AND a LIKE 'x%%'", (name,))""" in mended(source, _bind)


def test_sqlalchemy_text_gets_named_values(mended: Callable[[str, Apply], str]) -> None:
    """Inside text() places are named after their values, and equal names are told apart."""
    source = """from sqlalchemy import text

def find(db, a, b):
    query = text(f"SELECT * FROM t WHERE n = '{a.name}' AND m = '{b.name}'")
    return db.session.execute(query)
"""
    text = mended(source, _bind)
    assert 'text("SELECT * FROM t WHERE n = :name AND m = :name_2")' in text
    assert 'db.session.execute(query, {"name": a.name, "name_2": b.name})' in text


def test_a_forwarding_helper_is_bound_at_its_caller(mended: Callable[[str, Apply], str]) -> None:
    """A project function that hands (query, params) to the driver takes the values under its own name."""
    source = """import sqlite3

def run_query(query, params=None, one=False):
    cur = connect().cursor()
    cur.execute(query, params or ())
    return cur.fetchone() if one else cur.fetchall()

def login(name):
    return run_query(f"SELECT * FROM users WHERE name = '{name}'", one=True)
"""
    text = mended(source, lambda module: bind(module, 9))
    assert 'run_query("SELECT * FROM users WHERE name = ?", one=True, params=(name,))' in text


def test_a_helper_in_another_file_is_found(mended: Callable[[str, Apply], str]) -> None:
    """The project's other modules tell where the text goes, and which driver reads it."""
    helper = Module(
        "db.py", "import sqlite3\ndef run_query(sql, args=()):\n    return sqlite3.connect('a').execute(sql, args)\n"
    )
    source = """from db import run_query

def login(name):
    return run_query("SELECT * FROM users WHERE name = '" + name + "'")
"""
    text = mended(source, lambda module: bind(module, 4, project=[helper]))
    assert 'run_query("SELECT * FROM users WHERE name = ?", (name,))' in text


REFUSED = [
    ("conn.execute(f'SELECT a FROM {name}')", "name or a clause"),
    ("conn.execute(f'SELECT a FROM t WHERE {name}')", "name or a clause"),
    ("conn.execute(f'SELECT a FROM t ORDER BY {name}')", "name or a clause"),
    ("conn.execute(f'SELECT {name} FROM t')", "name or a clause"),
    ("conn.execute(f'INSERT INTO t ({name}) VALUES (1)')", "name or a clause"),
    ("conn.execute(f'SELECT a FROM t WHERE i IN ({name})')", "list of places"),
    ("conn.execute(f'SELECT a FROM t{name} WHERE i = 1')", "part of a name"),
    ("conn.execute(f'DROP TABLE {name}')", "only SELECT"),
    ("conn.execute(f'SELECT a FROM t WHERE n = {name!r}')", "formatted"),
    ("conn.execute('SELECT a FROM t WHERE n = 1')", "no value in its text"),
    ("conn.execute(name)", "built by a caller"),
    ("print(name)", "no SQL statement is executed"),
]


@pytest.mark.parametrize(("source", "reason"), REFUSED)
def test_what_cannot_be_bound_is_refused_with_its_reason(
    refused: Callable[[str, Apply], str], source: str, reason: str
) -> None:
    """Names, clauses, lists, formatted values and foreign text are left, and the brief is told why."""
    assert reason in refused(f"{HEAD}    return {source}\n", lambda module: bind(module, 5))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "    q = f\"SELECT a FROM t WHERE n = '{name}'\"\n    q += ' LIMIT 1'\n    conn.execute(q)\n",
            "not built by one assignment",
        ),
        (
            "    q = f\"SELECT a FROM t WHERE n = '{name}'\"\n    conn.execute(q)\n    conn.execute(q)\n",
            "more than once",
        ),
        (
            "    q = f\"SELECT a FROM t WHERE n = '{name}'\"\n    name = name.upper()\n    conn.execute(q)\n",
            "bound again",
        ),
        ("    conn.execute(f\"SELECT a FROM t WHERE i = ? AND n = '{name}'\", make())\n", "not written out"),
    ],
)
def test_text_and_values_that_move_are_refused(refused: Callable[[str, Apply], str], body: str, reason: str) -> None:
    """Repeated assignment, repeated execution, rebound values and unknown parameters are refused."""
    line = len((HEAD + body).splitlines()) if "more than" not in reason else 6
    assert reason in refused(HEAD + body, lambda module: bind(module, line))


def test_dynamic_lists_statements_with_values_in_their_text() -> None:
    """The static list holds built statements and leaves constant ones out."""
    source = HEAD + "    conn.execute(f\"SELECT a FROM t WHERE n = '{name}'\")\n    conn.execute('SELECT 1 FROM t')\n"
    assert [line for line, _ in dynamic(Module("a.py", source))] == [5]


SCOPED = [
    (
        "conn.execute('SELECT * FROM t WHERE id = ?', (name,))",
        "conn.execute('SELECT * FROM t WHERE id = ? AND user_id = ?', (name, me))",
    ),
    (
        "conn.execute('SELECT * FROM t WHERE id = ? ORDER BY i LIMIT ?', (name, 5))",
        "conn.execute('SELECT * FROM t WHERE id = ? AND user_id = ? ORDER BY i LIMIT ?', (name, me, 5))",
    ),
    (
        "conn.execute('DELETE FROM t WHERE id = ? OR n = ?;', [name, 'a'])",
        "conn.execute('DELETE FROM t WHERE (id = ? OR n = ?) AND user_id = ?;', [name, 'a', me])",
    ),
    (
        "conn.execute('SELECT * FROM t o JOIN u ON u.id = o.u WHERE o.id = ?', (name,))",
        "conn.execute('SELECT * FROM t o JOIN u ON u.id = o.u WHERE o.id = ? AND o.user_id = ?', (name, me))",
    ),
    (
        "conn.execute('UPDATE t SET n = ? WHERE id = ?', values)",
        "conn.execute('UPDATE t SET n = ? WHERE id = ? AND user_id = ?', [*values, me])",
    ),
]


@pytest.mark.parametrize(("source", "wanted"), SCOPED)
def test_the_owner_joins_the_where(mended: Callable[[str, Apply], str], source: str, wanted: str) -> None:
    """The owner's test ends the WHERE, before ORDER BY and LIMIT, and its value takes the matching place."""
    text = mended(f"{HEAD}    return {source}\n", lambda module: scope_sql(module, 5, "user_id", "me"))
    assert text == f"{HEAD}    return {wanted}\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("conn.execute('SELECT * FROM t')", "no WHERE"),
        ("conn.execute('INSERT INTO t VALUES (?)', (name,))", "only one SELECT"),
        ("conn.execute('SELECT * FROM t WHERE id = ? UNION SELECT * FROM u', (name,))", "only one SELECT"),
        ("conn.execute('SELECT * FROM t WHERE user_id = ?', (name,))", "already names"),
    ],
)
def test_statements_without_a_place_for_the_owner_are_refused(
    refused: Callable[[str, Apply], str], source: str, reason: str
) -> None:
    """INSERT, UNION, no WHERE, and owners that are there are refused."""
    assert reason in refused(f"{HEAD}    return {source}\n", lambda module: scope_sql(module, 5, "user_id", "me"))


def test_an_owner_two_tables_away_is_asked_for_through_its_parent(mended: Callable[[str, Apply], str]) -> None:
    """`through` puts the comparison into a sub-select, once for each way, with the caller bound as often."""
    source = 'db.execute("UPDATE notes SET text = ? WHERE id = ?", (text, key))'
    ways = "(a IN (SELECT id FROM boxes WHERE {}) OR b IN (SELECT id FROM boxes WHERE {}))"
    text = mended(f"{HEAD}    return {source}\n", lambda module: scope_sql(module, 5, "user_id", "me", through=ways))
    condition = ways.replace("{}", "user_id = ?")
    assert f'"UPDATE notes SET text = ? WHERE id = ? AND {condition}", (text, key, me, me)' in text
