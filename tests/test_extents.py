"""Huge pages, whole tables, long lists: what the traces must show before anything is said."""

from __future__ import annotations

from toughen.extents import BELOW, ELEMENTS, HUGE, SMALL, SOWN, behind, limited, listed, lists, paged, whole
from toughen.model.blueprint import Place
from toughen.model.finding import Severity
from toughen.model.journey import Argument, Call, Copies, Extract, Grant, Journey, Literal
from toughen.model.trace import Exchange, Response, RowChange, Statement, Trace
from toughen.model.trial import Experiment, Trial
from toughen.rule import Fails, Holds, Unclear

PAGE = Experiment({"control": Trial(()), "hostile": Trial(())}, "", (("kind", "page"), ("field", "limit"), ("table", "items")))
WHOLE = Experiment({"control": Trial(()), "hostile": Trial(())}, "", (("kind", "whole"), ("table", "items"), ("statement", "SELECT * FROM items"), ("by", "POST /items")))
LIST = Experiment({"control": Trial(()), "hostile": Trial(())}, "", (("kind", "list"), ("field", "items")))


def read(rows: int, size: int, status: int = 200, text: str = "SELECT id FROM items LIMIT ? OFFSET ?") -> Trace:
    """A request that reads so many rows by a statement that asks for `size`."""
    statement = Statement(text, (size, 0), "select", ("items",), (), rows)
    return Trace((Exchange("GET", "/items", "", Response(status, json=[{}] * rows, is_json=True), statements=(statement,)),), sown=SOWN)


def test_a_huge_page_that_reads_all_rows_is_shown() -> None:
    """The small page reads few, the huge one what the lab wrote, and its own number is the statement's bound."""
    judged = paged(PAGE, {"control": read(SMALL, SMALL), "hostile": read(SOWN + 1, HUGE)})
    assert isinstance(judged, Holds)
    assert judged.evidence.key == "limit"


def test_a_capped_page_is_none() -> None:
    """A cap shows in the statement's own bound, or in a refusal."""
    assert isinstance(paged(PAGE, {"control": read(SMALL, SMALL), "hostile": read(100, 100)}), Fails)
    assert isinstance(paged(PAGE, {"control": read(SMALL, SMALL), "hostile": read(0, HUGE, 422)}), Fails)


def test_a_size_below_zero_is_none_for_sqlite() -> None:
    """A page that is capped from above alone gives all rows for a size below 0."""
    below = Experiment({"control": Trial(()), "below": Trial(())}, "", PAGE.detail)
    assert isinstance(paged(below, {"control": read(SMALL, SMALL), "below": read(SOWN + 1, BELOW)}), Holds)
    assert isinstance(paged(below, {"control": read(SMALL, SMALL), "below": read(0, 0)}), Fails)


def test_what_the_lab_could_not_write_says_nothing() -> None:
    """Without rows, or where the small page reads many, nothing is proven and nothing refuted."""
    bare = Trace(read(SMALL, SMALL).exchanges)
    assert isinstance(paged(PAGE, {"control": bare, "hostile": read(SOWN, HUGE)}), Unclear)
    assert isinstance(paged(PAGE, {"control": read(50, SMALL), "hostile": read(SOWN, HUGE)}), Unclear)
    assert isinstance(paged(PAGE, {"control": read(SMALL, SMALL), "hostile": read(2, HUGE)}), Unclear)


def test_only_the_limit_of_a_statement_is_one() -> None:
    """A number that is bound as the offset, or by chance as a key, is no size."""
    offset = read(1, 20).last
    assert limited(offset, 20) is not None
    assert limited(offset, 0) is None
    chance = Statement("SELECT * FROM users WHERE id = ? LIMIT 1", (3,), "select", ("users",))
    assert limited(Exchange("GET", "/", "", Response(200), statements=(chance,)), 3) is None
    assert limited(Exchange("GET", "/", "", Response(200), statements=(chance,)), 1) is chance


def test_a_whole_table_is_low_and_wants_the_answer_to_grow() -> None:
    """A listing that reads all rows and answers few of them does no more than count."""
    few, many = read(1, 0, text="SELECT * FROM items"), read(SOWN + 1, 0, text="SELECT * FROM items")
    judged = whole(WHOLE, {"control": few, "hostile": many})
    assert isinstance(judged, Holds)
    assert judged.evidence.severity is Severity.LOW
    counted = Trace((Exchange("GET", "/items", "", Response(200, json={"count": 1201}, is_json=True), statements=many.last.statements),), sown=SOWN)
    assert isinstance(whole(WHOLE, {"control": few, "hostile": counted}), Fails)


def test_a_list_is_sent_as_copies_of_its_first_element() -> None:
    """What an element is made of is kept, values of earlier answers too."""
    call = Call("POST /orders", (Argument(Place.JSON, ("items", 0, "id"), Extract(0, ("id",))), Argument(Place.JSON, ("items", 0, "quantity"), Literal(1)), Argument(Place.JSON, ("note",), Literal("x"))))
    (experiment,) = lists({}, Journey("POST /orders", (call,), 201))
    sent = experiment.trials["hostile"].calls[-1].argument(Place.JSON, ("items",))
    assert sent is not None
    assert sent.value == Copies(ELEMENTS, ((("id",), Extract(0, ("id",))), (("quantity",), Literal(1))))


def test_a_long_list_that_the_source_allows_is_no_proof() -> None:
    """A bound that lies above what was sent: an import may be of thousands."""
    call = Call("POST /orders", (Argument(Place.JSON, ("items", 0), Literal(1)),))
    journey = Journey("POST /orders", (call,), 201)
    for text in ("if len(items) > 5000:\n    abort(400)", "if not 0 < len(data['items']) <= LIMIT:\n    abort(400)", "class Batch(BaseModel):\n    items: List[int] = Field(max_length=5000)\n"):
        (experiment,) = lists({"app.py": text}, journey)
        assert isinstance(listed(experiment, {"control": work(1), "hostile": work(ELEMENTS)}), Unclear)
    for text in ("if len(items) == 0:\n    abort(400)", "if len(items) < 1:\n    abort(400)", "if len(names) > 5:\n    abort(400)"):
        (experiment,) = lists({"app.py": text}, journey)
        assert isinstance(listed(experiment, {"control": work(1), "hostile": work(ELEMENTS)}), Holds)


def work(statements: int, rows: int = 0, status: int = 201) -> Trace:
    """A request with so many equal statements that writes so many rows."""
    exchange = Exchange("POST", "/orders", "{}", Response(status), statements=(Statement("INSERT INTO items VALUES (?)", (1,), "insert"),) * statements)
    return Trace((exchange,), final_changes=tuple(RowChange("items", "inserted", {}, {"id": each}) for each in range(rows)))


def test_a_list_costs_a_statement_or_a_row_each() -> None:
    """Either is shown; a list that is refused, or written by one statement into one row, is bounded or costs nothing."""
    assert isinstance(listed(LIST, {"control": work(1), "hostile": work(ELEMENTS)}), Holds)
    assert isinstance(listed(LIST, {"control": work(1, 1), "hostile": work(1, ELEMENTS)}), Holds)
    assert isinstance(listed(LIST, {"control": work(1, 1), "hostile": work(1, 1)}), Fails)
    assert isinstance(listed(LIST, {"control": work(1, 1), "hostile": work(0, 0, 422)}), Fails)
    assert isinstance(listed(LIST, {"control": work(1, 1, 500), "hostile": work(ELEMENTS)}), Unclear)


def test_a_journey_behind_another_reads_its_own_answers() -> None:
    """Steps and grants move by the calls in front."""
    first = Journey("POST /items", (Call("POST /items"), Call("POST /items")), 201)
    later = behind(Journey("GET /items/{id}", (Call("POST /items"), Call("GET /items/{id}", (Argument(Place.PATH, ("id",), Extract(0, ("id",))),))), 200, (Grant("items", (), "open", 1, 1),)), first)
    assert len(later.calls) == 4
    assert later.call.arguments[0].value == Extract(2, ("id",))
    assert later.grants[0].after == 3
