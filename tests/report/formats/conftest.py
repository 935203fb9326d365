"""Verdicts that every format must be able to tell: an ordinary one, and one in which everything that a prototype names is hostile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toughen.model.blueprint import Blueprint, Entry, Route
from toughen.model.breaks import Break, Tried
from toughen.model.finding import Evidence, Finding, NotConcluded, Proof, Severity, Status
from toughen.model.journey import Call, Journey, Unreached
from toughen.model.matrix import Access, Cell, Matrix, Whose
from toughen.model.patch import FileChange, Gone, Kept, Patch, RolledBack
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.model.verdict import Verdict

HANDLER = Location("main.py", 10, "transfer")
PLACE = Location("main.py", 12, "transfer")
CALL = Call("POST /transfer")
STORY = {
    "columns": ["POST /transfer", "POST /transfer"],
    "rows": [
        {"who": "A", "kind": "statement", "text": "SELECT balance FROM users -> 10"}, {"who": "A", "kind": "stop", "text": "stands still"},
        {"who": "B", "kind": "statement", "text": "UPDATE users SET balance=5"}, {"who": "B", "kind": "answer", "text": "200"}, {"who": "A", "kind": "answer", "text": "200"},
    ],
    "ends": ["users 1: balance 10 -> 5"], "in turn": ["users 1: balance 10 -> 0"],
}
RACE = Break("race/lost-update", "Two requests at once, and one change is lost", Severity.CRITICAL, (362, 367), page="A number is read and written back.\n\nWho pays: whoever keeps the books.")
CRASH = Break("input/crash", "A wrong value crashes the request", Severity.LOW, (20, 248), "API8:2023", "V2.2.1", "A value crashes it.")
HEALTH = Break("operations/no-health-check", "Nothing tells that it is down", Severity.LOW, (1053,), page="Nothing tells.")


def proven(break_id: str, route: str, location: Location, severity: Severity, evidence: Evidence) -> Finding:
    proof = Proof(break_id, route, Experiment({"control": Trial((Call(route),))}), evidence, "0" * 32)
    return Finding(break_id, route, location, Status.PROVEN, severity, evidence.message, evidence, proof, (362,), "automatic")


@pytest.fixture
def verdict() -> Verdict:
    """Two proven breaks, one suspected, one question left open, one route not reached."""
    race = Evidence("two requests at once leave 5", {"requests": ["POST /transfer", "POST /transfer"], "answers": ["200", "200"], "timeline": STORY}, PLACE)
    crash = Evidence("amount = [] ends in TypeError", {"request": "POST /transfer", "answer": "500", "exception": "TypeError: no"}, PLACE, key="amount")
    blueprint = Blueprint(
        "shop", "flask", Entry("main:app", "main.py", "only one", "flask"),
        (Route("POST", "/transfer", HANDLER), Route("GET", "/x/{id}", Location("main.py", 30, "x")), Route("GET", "/", Location("main.py", 3, "root"))), database="sqlite",
    )
    return Verdict(
        blueprint, "harden", "2 breaks proven, 1 of them critical",
        (
            proven("race/lost-update", "POST /transfer", PLACE, Severity.CRITICAL, race), proven("input/crash", "POST /transfer", PLACE, Severity.LOW, crash),
            Finding("operations/no-health-check", None, Location("main.py", 3), Status.SUSPECTED, Severity.LOW, "no route tells"),
        ),
        (NotConcluded("race/lost-update", "GET /", "the control does not pass"),), (Journey("POST /transfer", (CALL,), 200), Journey("GET /", (Call("GET /"),), 200)),
        (Unreached("GET /x/{id}", "always 500: KeyError: 'x'", 500),), timings={"total_s": 12.34}, notes=("sandbox: full",),
        breaks=(CRASH, HEALTH, RACE),
        tried=(
            Tried("input/crash", "GET /", refuted=True, seconds=0.25), Tried("input/crash", "POST /transfer", refuted=False, seconds=0.5),
            Tried("race/lost-update", "GET /", refuted=False, seconds=1.0), Tried("race/lost-update", "POST /transfer", refuted=False, seconds=2.0), Tried("operations/no-health-check", "GET /", refuted=False, seconds=0.1),
        ),
    )


ORIGINAL = "import x\n\n\ndef transfer():\n    a = 1\n    return a"


@pytest.fixture
def mended(verdict: Verdict) -> Verdict:
    """Three repairs of one file that stand on each other (told in another order than they were made), one beside them, one taken back."""
    first = ORIGINAL.replace("a = 1", "a = 2")
    second = "import y\n" + first
    third = second.replace("    return a", "    return b\n")
    patches = {
        "one": Patch("one", (FileChange("main.py", ORIGINAL, first),), "let the database add"),
        "two": Patch("two", (FileChange("main.py", first, second), FileChange("new.py", "", "y = 1\n")), "import what is needed"),
        "three": Patch("three", (FileChange("main.py", second, third),), "answer with b"),
        "beside": Patch("beside", (FileChange("other.py", "a\nb\nc\n", "a\nc\n"),), "leave b out"),
    }
    found = tuple(replace(verdict.findings[0], route=f"POST /{name}", message=name) for name in patches)
    mends = tuple((each.id, Kept(patches[each.message])) for each in (found[2], found[0], found[3], found[1]))
    others = ((verdict.findings[0].id, Gone(found[0].id)), (verdict.findings[1].id, RolledBack(patches["one"], "tests", "1 test fails", "Read the test.")))
    return replace(verdict, findings=(*found, *verdict.findings), mends=(*mends, *others))


NASTY = "a|b \\| `x` ```` ~~~ @octocat org/team@octocat #12 GH-7 <img src=x onerror=alert(1)> </details> [click](http://evil.example) ![i](//evil) www.evil.example ]]> <!-- --> {0} &lt; \x00\x1b[31m\x7f\ud800\ufffe\u202e\u2028 $x$\r\n\r\n# head\n```\n| - | - |\n"


@pytest.fixture
def hostile(mended: Verdict) -> Verdict:
    """Names, paths, answers, reasons and source that try to be markup, and are very long."""
    long = NASTY * 40
    place = Location(f"a {NASTY}.py", 7, NASTY)
    route = f"POST /{NASTY}"
    story = {**STORY, "columns": [NASTY, NASTY], "rows": [{"who": "A", "kind": "stop", "text": NASTY}] * 70, "ends": [long]}
    evidence = Evidence(long, {"request": long, "answers": [NASTY, long], "rows": [long] * 9, "exception": long, "timeline": story}, place, key=NASTY)
    worst = tuple(proven("race/lost-update", f"{route}{number}", place, Severity.CRITICAL, evidence) for number in range(60))
    patch = Patch(worst[0].id, (FileChange(f"a {NASTY}.py", NASTY, long * 20),), NASTY, long)
    cells = tuple(Cell(f"{route}{number}", NASTY, Whose.NONE, Access.UNDECIDED, long) for number in range(20))
    return Verdict(
        replace(mended.blueprint, name=NASTY, routes=(Route("POST", f"/{NASTY}", place),)), "harden", long,
        (*worst, Finding("input/crash", None, place, Status.SUSPECTED, Severity.LOW, long), Finding("input/crash", NASTY, place, Status.SUSPECTED, Severity.LOW, long)),
        tuple(NotConcluded("input/crash", f"{route}{number}", long) for number in range(60)), (), tuple(Unreached(f"{route}{number}", long) for number in range(60)),
        notes=(long,), mends=((worst[0].id, Kept(patch)), (worst[1].id, Gone(worst[0].id)), (worst[2].id, RolledBack(patch, NASTY, long, long))),
        matrix=Matrix((NASTY,), cells), breaks=mended.breaks, waived=((worst[3].id, long),),
    )


@pytest.fixture
def dead(verdict: Verdict) -> Verdict:
    """A prototype that did not boot."""
    return replace(verdict, findings=verdict.findings[2:], inconclusive=(), journeys=(), unreached=(), tried=(), booted=False, why="the prototype did not boot: RuntimeError: no luck\n  main.py:3")
