"""Long texts, large files, archives: what must lie on the disk before anything is said."""

from __future__ import annotations

import ast

import pytest

from toughen.freight import LARGE, MIB, bounded, grown, typed, unbounded
from toughen.handling import handlers
from toughen.model.blueprint import Blueprint, Parameter, Place, Route
from toughen.model.finding import Severity
from toughen.model.source import Location
from toughen.model.trace import Exchange, Response, Trace
from toughen.model.trial import Experiment, Trial
from toughen.rule import Fails, Holds, Unclear


def experiment(kind: str, *more: tuple[str, str]) -> Experiment:
    """One of a kind, of 17 MiB."""
    return Experiment({"control": Trial(()), "hostile": Trial(())}, "", (("kind", kind), ("size", str(LARGE)), ("field", "file"), ("packed", "49 KiB"), *more))


def trace(weight: int, status: int = 201, *, told: int = 0, written: tuple[str, ...] = ()) -> Trace:
    """A request that leaves so many bytes, or answers them."""
    return Trace((Exchange("POST", "/files", "", Response(status, size=told), written_files=written),), weight=weight)


def test_what_is_stored_whole_is_shown() -> None:
    """A file is high, a text of the body low and at the application."""
    judged = grown(experiment("upload"), {"control": trace(9), "hostile": trace(LARGE)})
    assert isinstance(judged, Holds)
    assert judged.evidence.severity is Severity.HIGH
    body = grown(experiment("body", ("file", "app.py"), ("line", "4")), {"control": trace(9), "hostile": trace(LARGE + MIB)})
    assert isinstance(body, Holds)
    assert (body.evidence.severity, body.evidence.location) == (Severity.LOW, Location("app.py", 4, None))


def test_what_is_refused_or_dropped_is_not() -> None:
    """A 413, and what is read and thrown away."""
    assert isinstance(grown(experiment("upload"), {"control": trace(9), "hostile": trace(0, 413)}), Fails)
    assert isinstance(grown(experiment("upload"), {"control": trace(9), "hostile": trace(4096)}), Fails)
    assert isinstance(grown(experiment("upload"), {"control": trace(9, 500), "hostile": trace(LARGE)}), Unclear)


def test_a_bound_that_was_not_met_is_no_proof() -> None:
    """Where the source speaks of one it may lie above what was sent."""
    assert isinstance(grown(experiment("upload", ("bound", "its handler")), {"control": trace(9), "hostile": trace(LARGE)}), Unclear)


def test_an_archive_may_come_out_in_the_answer() -> None:
    """What it holds lies on the disk, or in one answer."""
    assert isinstance(grown(experiment("archive"), {"control": trace(9), "hostile": trace(0, 200, told=LARGE)}), Holds)
    assert isinstance(grown(experiment("archive"), {"control": trace(9), "hostile": trace(0, 200)}), Unclear)
    # It was unpacked in pieces: memory is known, and did not grow.
    streamed = Trace((Exchange("POST", "/files", "", Response(200), grown=MIB),))
    assert isinstance(grown(experiment("archive"), {"control": trace(9), "hostile": streamed}), Fails)


def kinds(plain: Trace, *, typed_as: Trace) -> dict[str, Trace]:
    """The page of HTML under its own name, and as something else."""
    refused = trace(0, 400)
    return {"control": trace(9), "plain": plain, "typed": typed_as, "doubled": refused, "both": refused, "whole": refused}


def test_a_kind_that_is_refused_and_stored_all_the_same() -> None:
    """Only a handler that wants a kind can be led astray, and only what lies there under such a name counts."""
    page = trace(40, written=("/app/pictures/1.html",))
    assert isinstance(typed(experiment("type"), kinds(trace(0, 400), typed_as=page)), Holds)
    assert isinstance(typed(experiment("type"), kinds(page, typed_as=page)), Fails)
    assert isinstance(typed(experiment("type"), kinds(trace(0, 400), typed_as=trace(40, written=("/app/pictures/1.png",)))), Fails)
    assert isinstance(typed(experiment("type"), kinds(trace(0, 400), typed_as=trace(40, 415, written=("/app/pictures/1.html",)))), Fails)


SOURCE = """from flask import Flask, request
app = Flask(__name__)

@app.post("/files")
def upload():
    file = request.files["file"]
    BODY
    file.save("x")
    return "", 201
"""


@pytest.mark.parametrize(
    ("line", "speaks"),
    [("# no file size limit", False), ("if len(file.read()) > 5_000_000: return '', 413", True), ("file.seek(0, 2)", True), ("name = file.filename", False)],
)
def test_a_comment_is_no_bound(line: str, speaks: bool) -> None:  # noqa: FBT001 - a table
    """What the code asks is; a comment that speaks of a size is not."""
    text = SOURCE.replace("BODY", line)
    blueprint = Blueprint("p", "flask", None, (Route("POST", "/files", Location("app.py", 5, "upload"), (Parameter(Place.FILE, ("file",)),)),))
    (handler,) = handlers(blueprint, {"app.py": text})
    assert bounded(handler) is speaks
    assert unbounded(blueprint, {"app.py": text})
    assert ast.parse(text)


def test_the_application_speaks_for_all_routes() -> None:
    """A setting of Flask's, or a length that is asked of every request; not a key of the same name."""
    blueprint = Blueprint("p", "flask", None)
    assert not unbounded(blueprint, {"app.py": 'app.config["MAX_CONTENT_LENGTH"] = 1024\n'})
    assert not unbounded(blueprint, {"app.py": "def look():\n    return request.content_length > 5\n"})
    assert unbounded(blueprint, {"app.py": 'told = {"content_length": 5}\n# MAX_CONTENT_LENGTH\n'})


def grew(*sizes: float, status: int = 200) -> dict[str, Trace]:
    """Requests that make the process grow by so many MiB: the honest one, a large one, a larger one."""
    names = ("control", "hostile", "more")
    return {name: Trace((Exchange("POST", "/files", "", Response(200 if name == "control" else status), grown=round(size * MIB)),)) for name, size in zip(names, sizes, strict=True)}


def test_what_is_held_whole_is_shown() -> None:
    """Memory that grows by what was sent, at two sizes, is a proof; what it grew by stands in the evidence."""
    judged = grown(experiment("upload"), grew(3, 19, 55))
    assert isinstance(judged, Holds)
    assert judged.evidence.severity is Severity.MEDIUM
    assert "a file of 51 MiB in file takes 55 MiB of memory" in judged.evidence.message
    assert "3 MiB for the honest one, 19 MiB for 17 MiB, 55 MiB for 51 MiB" in str(dict(judged.evidence.facts)["memory"])
    assert isinstance(grown(experiment("archive"), grew(1, 40, 90)), Holds)
    assert isinstance(grown(experiment("raw"), grew(1, 17, 52)), Holds)


@pytest.mark.parametrize(
    "sizes",
    [(1, 1, 2), (20, 24, 60), (3, 60, 61), (3, 3, 55), (3, 19, 30), (3, 12, 46)],
    ids=["it streams", "the honest one costs as much", "a constant", "only once", "half of it", "too little"],
)
def test_memory_that_does_not_follow_what_is_sent_is_no_proof(sizes: tuple[float, float, float]) -> None:
    """What is large for small ones too, what stays the same, and what grows by less than what was sent."""
    assert isinstance(grown(experiment("upload"), grew(*sizes)), Fails)


def test_memory_is_no_proof_where_it_is_turned_away_or_unknown() -> None:
    """A refusal of either size, a bound that the source speaks of, and a system that tells nothing."""
    assert isinstance(grown(experiment("upload"), grew(3, 19, 55, status=413)), Fails)
    held = grew(3, 19, 55)
    refused = Trace((Exchange("POST", "/files", "", Response(413), grown=55 * MIB),))
    assert isinstance(grown(experiment("upload"), {**held, "more": refused}), Fails)
    assert isinstance(grown(experiment("upload", ("bound", "its handler")), held), Unclear)
    unknown = Trace((Exchange("POST", "/files", "", Response(200)),))
    assert isinstance(grown(experiment("upload"), {**held, "hostile": unknown}), Fails)
    assert isinstance(grown(experiment("archive"), {**held, "hostile": unknown}), Unclear)
