"""The gates that read the attack: secrets, dependencies, authorization, proofs and operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toughen.gatekeeping import DOWN, Changes, CouldNot, Faults, Untouched
from toughen.gates.authorization import Authorization
from toughen.gates.dependencies import Dependencies
from toughen.gates.operations import Operations
from toughen.gates.proofs import Proofs
from toughen.gates.secrets import Secrets
from toughen.gating.baseline import Baseline, written
from toughen.model.blueprint import Secret
from toughen.model.finding import (
    Evidence,
    Finding,
    Inconclusive,
    NotConcluded,
    Proof,
    Proven,
    Refuted,
    Severity,
    Status,
)
from toughen.model.matrix import Access, Cell, Matrix, Whose
from toughen.model.source import Location
from toughen.model.trial import Experiment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Ground


def finding(break_id: str, route: str, key: str = "", status: Status = Status.PROVEN) -> Finding:
    return Finding(break_id, route, Location("main.py", 1), status, Severity.HIGH, "it breaks", Evidence("it broke", key=key))


def proven(break_id: str) -> Proven:
    return Proven(Proof(break_id, "GET /", Experiment({}, ""), Evidence("it broke again"), ""))


def faults(said: object) -> list[str]:
    assert isinstance(said, Faults), said
    return [each.key for each in said.faults]


def matrix(*cells: tuple[str, str, Access, str]) -> Matrix:
    return Matrix(("user",), tuple(Cell(route, who, Whose.NONE, access, reason) for route, who, access, reason in cells))


def test_secrets(ground: Callable[..., Ground]) -> None:
    """A secret keeps its key when it is taken out of the source and stays in the history: the mend is no new fault. Its value is not told."""
    shown = "sk_... (32 characters)"
    before = ground({}, facts={"secrets": (Secret("STRIPE_KEY", shown, Location("main.py", 3)),)})
    after = ground({}, facts={"history": (Secret("a provider's key that commit abc put into main.py", shown, Location("main.py", 0)),)})
    assert faults(Secrets().look(before)) == faults(Secrets().look(after)) == [f"main.py: {shown}"]
    assert faults(Secrets().look(ground({}))) == []


def test_dependencies(ground: Callable[..., Ground]) -> None:
    """What is known to be vulnerable is a fault, shown or suspected; what was not looked up is no yes; a change of no requirement asks nothing."""
    break_id = "security/vulnerable-dependency"
    found = [finding(break_id, "GET /", "flask"), finding(break_id, "GET /", "jinja2", Status.SUSPECTED), finding("input/crash", "GET /")]
    assert len(faults(Dependencies().look(ground({}, findings=found)))) == 2
    unclear = Dependencies().look(ground({}, inconclusive=[NotConcluded(break_id, "GET /", "nobody answers")]))
    assert unclear == CouldNot("nobody answers")
    assert isinstance(Dependencies().look(ground({}, changed=Changes("HEAD", {"main.py": frozenset({1})}))), Untouched)
    assert Dependencies().look(ground({}, booted=False)) is DOWN


def test_proofs(ground: Callable[..., Ground]) -> None:
    """What the attack proves and what a stored proof shows again are faults by one key, which names no route where the break is the whole prototype's; refuted ones are counted."""
    cors = "security/lax-cors"
    again: list[Any] = [
        (finding("input/crash", "GET /a", "n"), proven("input/crash")), (finding("input/crash", "GET /b"), Inconclusive("it hung")), (finding("input/crash", "GET /c"), Refuted()),
        (finding(cors, "GET /other"), proven(cors)), (finding("operations/no-health-check", "GET /"), proven("operations/no-health-check")), (finding("gone/rule", "GET /"), Inconclusive("no such rule")),
    ]
    said = Proofs().look(ground({}, findings=[finding(cors, "GET /"), finding("input/crash", "GET /z", status=Status.SUSPECTED), finding("operations/silent-failure", "GET /"), finding("suite/vacuous", "GET /")], again=again))
    assert faults(said) == ["security/lax-cors", "input/crash@GET /a#n", "input/crash@GET /b", "gone/rule@GET /"]
    assert isinstance(said, Faults)
    assert said.measured == {"proven": "1", "stored": "6", "refuted": "1"}
    assert "cannot be executed again: it hung" in said.faults[2].message
    assert Proofs().look(ground({}, booted=False)) is DOWN


def test_no_time(ground: Callable[..., Ground]) -> None:
    """What there was no time for when the baseline was written is old code when there is; on a line that came since it is new."""
    late = [NotConcluded("input/crash", "GET /a", "the time budget was used up"), NotConcluded("input/crash", "GET /c", "it hung"), NotConcluded("suite/unguarded", "GET /a", "the time budget was used up")]
    first = Proofs().look(ground({}, inconclusive=late))
    assert isinstance(first, Faults)
    assert "no time for 1 more" in first.why
    assert [each.key for each in first.doubtful] == ["input/crash@GET /a untold"]
    known = Baseline("", {"proofs": {each.key: 1 for each in first.doubtful}})
    found = [finding("input/crash", "GET /a", "n"), finding("input/crash", "GET /b", "n")]
    for new, told in ((None, ["input/crash@GET /b#n"]), (Changes("HEAD", {"main.py": frozenset({1})}), ["input/crash@GET /a#n", "input/crash@GET /b#n"])):
        said = Proofs().look(ground({}, findings=found, new=new))
        assert isinstance(said, Faults)
        assert [each.key for each in known.split("proofs", said.faults)[0]] == told


def test_no_time_is_settled(ground: Callable[..., Ground], tmp_path: Path) -> None:
    """Lowering the baseline in a run that comes further lets the same through as before; once that is mended, its doubt is gone, too."""
    known = Baseline("", {"proofs": {"input/crash@GET /a untold": 1, "input/crash@GET /b untold": 1}})
    said = Proofs().look(ground({}, findings=[finding("input/crash", "GET /a", "n")]))
    assert isinstance(said, Faults)
    new, old, gone = known.split("proofs", said.faults)
    assert (new, [each.key for each in old], gone) == ([], ["input/crash@GET /a#n"], 1)
    lowered = written(tmp_path, {"proofs": said.faults}, known)
    assert lowered.faults == {"proofs": {"input/crash@GET /a untold": 1}}
    assert lowered.split("proofs", said.faults) == ([], old, 0)
    assert written(tmp_path, {"proofs": []}, lowered).faults == {}


def test_operations(ground: Callable[..., Ground]) -> None:
    """Which route shows that there is no health check does not count: it is one fault, now and stored."""
    name = "operations/no-health-check"
    one = faults(Operations().look(ground({}, findings=[finding(name, "GET /a"), finding("operations/silent-failure", "GET /a", "x")], again=[(finding(name, "GET /b"), proven(name))])))
    other = faults(Operations().look(ground({}, again=[(finding(name, "GET /b"), proven(name))])))
    assert one == [name, "operations/silent-failure@GET /a#x"]
    assert other == [name]
    assert Operations().look(ground({}, booted=False)) is DOWN


POLICY = """
[routes."GET /a"]
allow = ["user"]
ask = ["anonymous"]
"""


def test_authorization(ground: Callable[..., Ground]) -> None:
    """What nobody meant is a fault; a project that never said who may call what has one more."""
    cells = matrix(("GET /a", "anonymous", Access.MISSING, "it answers 200"), ("GET /a", "user", Access.ALLOWED, ""), ("GET /b", "user", Access.UNDECIDED, ""))
    found = [finding("security/no-authentication", "GET /a"), finding("security/weak-token", "GET /b"), finding("input/crash", "GET /b")]
    said = Authorization().look(ground({}, matrix=cells, findings=found, again=[(finding("security/object-authorization", "GET /b"), proven("security/object-authorization"))]))
    assert faults(said) == ["GET /a anonymous", "security/weak-token@GET /b", "security/object-authorization@GET /b", "no policy"]
    assert isinstance(said, Faults)
    assert "(1 cells wait)" in said.faults[-1].message


def test_policy(ground: Callable[..., Ground]) -> None:
    """A route without a line in the policy, and a question that is left in it, are faults."""
    cells = matrix(("GET /a", "user", Access.ALLOWED, ""), ("GET /b", "user", Access.UNDECIDED, ""))
    assert faults(Authorization().look(ground({"toughen-policy.toml": POLICY}, matrix=cells))) == ["unlisted GET /b", "ask GET /a"]


def test_authorization_not_asked(ground: Callable[..., Ground]) -> None:
    """Where there was no time to ask, that is no yes; where there was for some, it is said of how many there was none."""
    late = ("GET /a", "user", Access.UNTESTED, "the time budget was used up")
    assert Authorization().look(ground({}, booted=False)) is DOWN
    assert "no time" in str(Authorization().look(ground({})))
    assert isinstance(Authorization().look(ground({}, matrix=matrix(late))), CouldNot)
    some = Authorization().look(ground({}, matrix=matrix(late, ("GET /b", "user", Access.ALLOWED, ""))))
    assert isinstance(some, Faults)
    assert "no time to ask 1" in some.why
