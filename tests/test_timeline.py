"""The story of a race and of a kill, in words and as a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from toughen import timeline
from toughen.model.trace import Exchange, Response, RowChange, Statement, Trace, Turn
from toughen.report.timeline import lines, svg

READ = Statement("SELECT items.id AS items_id, items.stock AS items_stock FROM items WHERE items.id = ?", (3,), "select", ("items",), rows=1, sample=({"items_id": 3, "items_stock": 5},))
WRITE = Statement("UPDATE items SET stock=? WHERE items.id = ?", (4, 3), "update", (), ("items",), rows=1)
COMMIT = Statement("COMMIT", verb="commit")
BOTH = Exchange("POST", "/items/3/buy", "", Response(201), statements=(READ, WRITE, COMMIT))
RACE = Trace(
    (BOTH, BOTH), (RowChange("items", "updated", {"id": 3, "stock": 5}, {"id": 3, "stock": 4}),),
    turns=(Turn("A", 0, "stops"), Turn("A", 1, "stops"), Turn("B", 0, "stops"), Turn("B", 3, "answers"), Turn("A", 2, "waits"), Turn("A", 3, "answers")),
)  # fmt: skip


def test_a_race_is_told_in_the_order_of_time() -> None:
    """Who stands still, who runs whole meanwhile, who waits: with values in place, and what was found in the columns that changed."""
    rows = [(each["who"], each["kind"], each["text"]) for each in timeline.raced(RACE) if isinstance(each, dict)]
    assert rows == [
        ("A", "statement", "SELECT … FROM items WHERE items.id = 3 -> items_stock 5"),
        ("A", "stop", "stands still"),
        ("B", "statement", "SELECT … FROM items WHERE items.id = 3 -> items_stock 5"),
        ("B", "statement", "UPDATE items SET stock=4 WHERE items.id = 3"),
        ("B", "statement", "COMMIT"),
        ("B", "answer", "201"),
        ("A", "statement", "UPDATE items SET stock=4 WHERE items.id = 3"),
        ("A", "wait", "waits for the other's lock"),
        ("A", "statement", "COMMIT"),
        ("A", "answer", "201"),
    ]


def test_statements_are_spoken_with_what_went_wrong() -> None:
    """An error, a row that was not hit, named and long values."""
    assert timeline.spoken(Statement("UPDATE a SET b = :b", ("x" * 40,), "update", rows=0)) == f"UPDATE a SET b = '{'x' * 22}… -> no row"
    assert timeline.spoken(Statement("INSERT INTO a VALUES (%s, $2)", (None, 1.5), "insert", error="sqlite3.IntegrityError: UNIQUE constraint failed")).endswith(
        "(None, 1.5) -> IntegrityError: UNIQUE constraint failed"
    )
    assert len(timeline.spoken(Statement("SELECT " + "a" * 400, verb="select"))) == 160
    assert timeline.spoken(Statement("UPDATE a SET b=? WHERE id = ?", ([44, 1], [48, 4]), "update", rows=2)) == "UPDATE a SET b=44 WHERE id = 1; UPDATE a SET b=48 WHERE id = 4"


def test_a_kill_is_told_with_what_came_after() -> None:
    """What was sent until then, the kill, and what a new process did."""
    kinds = [(each["who"], each["kind"]) for each in timeline.cut(BOTH, 2, BOTH) if isinstance(each, dict)]
    assert kinds == [("A", "statement"), ("A", "statement"), ("A", "kill"), ("B", "statement"), ("B", "statement"), ("B", "statement"), ("B", "answer")]
    assert [each["kind"] for each in timeline.cut(BOTH, -1) if isinstance(each, dict)] == ["statement"] * 3 + ["kill"]


def test_the_picture_has_a_column_for_each_and_both_ends() -> None:
    """In text each request stands in its own column; the SVG is well formed, holds the same words and no colour of its own but for the harm."""
    story = timeline.told(["POST /items/3/buy", "POST /items/3/buy"], timeline.raced(RACE), ["items 3: stock 5 -> 4"], ["items 3: stock 5 -> 3"])
    text = list(lines(story))
    assert text[0].startswith("A  POST /items/3/buy")
    assert text[0][55:].startswith("B  POST")
    assert any(each.startswith("· stands still") for each in text)
    assert any(each[:55].isspace() and "UPDATE items SET stock=4" in each for each in text)
    assert text[-2:] == ["ends with            items 3: stock 5 -> 4", "one after the other  items 3: stock 5 -> 3"]
    drawn = ET.fromstring(svg(story))  # noqa: S314 - our own text
    said = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "stands still" in said
    assert any("stock 5 -> 3" in (each or "") for each in said)
