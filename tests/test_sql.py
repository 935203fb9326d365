"""What is read off the text of a statement."""

from __future__ import annotations

from toughen import sql


def test_placeholders_know_their_columns() -> None:
    """Each placeholder of a comparison is named by its table, its column and its operator, in the order of the text."""
    text = "SELECT * FROM cards c JOIN users u ON u.id = c.user_id WHERE c.number = ? AND u.name LIKE ? AND c.pin IN (?)"
    assert sql.bindings(text) == (("cards", "number", "eq"), ("users", "name", "like"), ("cards", "pin", "in"))


def test_an_assignment_is_no_comparison() -> None:
    """What an UPDATE assigns is told apart from what chooses its rows: a title that is written chooses nothing."""
    assert sql.bindings("UPDATE notes SET title=?, body=? WHERE notes.id = ?") == (
        ("notes", "title", "set"),
        ("notes", "body", "set"),
        ("notes", "id", "eq"),
    )


def test_an_insert_names_its_columns() -> None:
    """Each value of an INSERT belongs to the column at its place."""
    assert sql.bindings("INSERT INTO notes (user_id, title) VALUES (?, ?)") == (
        ("notes", "user_id", "insert"),
        ("notes", "title", "insert"),
    )


def test_nonsense_has_no_bindings() -> None:
    """Text that is no SQL is answered with nothing, whatever it holds."""
    for text in ("", "?", "SELECT ((((", "\x00 ? \x00", "SELECT '" + "?" * 1000):
        assert set(sql.bindings(text)) <= {("", "", "")}


def test_the_size_of_a_page_is_found_where_it_stands() -> None:
    """By the mark that says how many rows there are at most, in the styles of the drivers; an offset is none."""
    for text in (
        "SELECT a FROM t LIMIT ? OFFSET ?", "SELECT a FROM t ORDER BY b LIMIT %(param_1)s OFFSET %(param_2)s", "SELECT a FROM (SELECT a FROM t LIMIT $1::INTEGER OFFSET $2::INTEGER) AS x JOIN y ON 1",
        "SELECT a FROM t LIMIT :n OFFSET :skip",
    ):
        assert sql.page_size(text) == 0
    assert sql.page_size("SELECT a FROM t WHERE b = ? LIMIT ?") == 1
    assert sql.page_size("SELECT a FROM t LIMIT ?, ?") == 1
    assert sql.page_size("SELECT a FROM t LIMIT 20 OFFSET ?") == "20"
    assert sql.page_size("SELECT a FROM t LIMIT -7") == "-7"
    assert sql.page_size("SELECT a FROM t WHERE n = 'LIMIT'") is None
