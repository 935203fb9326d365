"""Proofs, the last report and the history of runs on disk: written whole, read with suspicion."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from toughen import store
from toughen.errors import ProofError, ReportError
from toughen.lab.snapshot import Snapshot
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Proof
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Argument, Call, Extract, Grant, Literal, Marker, Stored
from toughen.model.past import Past
from toughen.model.source import Location
from toughen.model.trial import Experiment, Schedule, Trial

if TYPE_CHECKING:
    from pathlib import Path

CALL = Call(
    "POST /x/{id}",
    (
        Argument(Place.PATH, ("id",), Extract(0, ("items", 0, "id"))),
        Argument(Place.JSON, ("a", 0, "b"), Literal({"deep": [1, None, 1.5, True, "t"]})),
        Argument(Place.JSON, ("m",), Marker("m", "email")),
        Argument(Place.JSON, ("s",), Stored("codes", "code", (("user", Extract(0, ("id",))), ("m", Marker("m")), ("n", 1)))),
    ),
    "user1",
)
EXPERIMENT = Experiment({"control": Trial((CALL,), (Grant("t", (("id", 1),), "c", 5),)), "race": Trial((), schedule=Schedule(CALL, CALL, 3), isolated=True)}, "x", (("k", "v"),))
PROOF = Proof("race/lost-update", "POST /x/{id}", EXPERIMENT, Evidence("m", {"rows": ["a"]}, Location("main.py", 3, "f"), (("column", "c"),), "key"), "ab" * 16)
PEOPLE = (Identity("user1", "user", Credential((("Authorization", "Bearer x"),)), "signed up", {"id": 1}, "users", CALL, ("token",), ("Authorization", "Bearer ")),)
SNAPSHOT = Snapshot("ab" * 16, {"app.db": b"\x00\xffSQLite"})


def saved(root: Path) -> Path:
    return root / store.save(root, "race/lost-update@POST /x/{id}", "main:app", PROOF, PEOPLE, SNAPSHOT)


def test_a_proof_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every kind of value, trial and identity survives the file."""
    stored, snapshot = store.load(saved(tmp_path))
    assert (stored.proof, stored.identities, stored.app) == (PROOF, PEOPLE, "main:app")
    assert snapshot == SNAPSHOT


def test_the_folder_hides_itself_from_git(tmp_path: Path) -> None:
    """`.toughen/` holds credentials of minted users: it is never committed by accident."""
    saved(tmp_path)
    assert (tmp_path / ".toughen/.gitignore").read_text() == "*\n"
    assert not list((tmp_path / ".toughen").rglob(".*.json.*"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', "\x00", "null"])
def test_what_is_no_proof_is_said(tmp_path: Path, text: str) -> None:
    """A file that is no proof, or is not there, ends in one sentence."""
    file = saved(tmp_path)
    file.write_text(text)
    with pytest.raises(ProofError):
        store.load(file)
    with pytest.raises(ProofError):
        store.load(tmp_path / "nowhere.json")


@pytest.mark.parametrize("digest", ["../../../etc/passwd", "", "cd" * 16, "AB" * 16])
def test_a_proof_cannot_point_elsewhere(tmp_path: Path, digest: str) -> None:
    """The snapshot of a proof is named by its digest and by nothing else."""
    file = saved(tmp_path)
    document = json.loads(file.read_text())
    document["proof"]["snapshot"] = digest
    file.write_text(json.dumps(document))
    with pytest.raises(ProofError):
        store.load(file)


def test_a_damaged_snapshot_is_said(tmp_path: Path) -> None:
    """A snapshot that cannot be read ends in one sentence, not in a traceback."""
    file = saved(tmp_path)
    for text in ("", "[]", '{"images": 3}', '{"images": {"a": 3}}'):
        (tmp_path / ".toughen/snapshots" / f"{'ab' * 16}.json").write_text(text)
        with pytest.raises(ProofError):
            store.load(file)


def test_a_name_is_a_file_name() -> None:
    """Whatever a finding is called, its file lies in the folder of proofs."""
    assert store.slug("input/crash@GET /a/../{x}#é y") == "input-crash-GET-a-..-x-y"
    assert len(store.slug("x" * 1000)) <= 150


PAST = Past("2026-01-02T03:04:05Z", "0.1.0", "check", "harden", (), {"race": {"critical": 2}, "input": {"low": 1}}, 1, 9, 8, 12.5, findings="ab")


def test_a_run_is_remembered(tmp_path: Path) -> None:
    """The last report and a line of the history come back as they were; a run that mended is kept as that one, too."""
    store.remember(tmp_path, '{"schema": 1}\n', PAST)
    store.remember(tmp_path, '{"schema": 1, "second": true}\n', replace(PAST, verb="audit", mended=0))
    assert store.last(tmp_path) == b'{"schema": 1, "second": true}\n'
    assert store.last(tmp_path, store.FIXED) == b'{"schema": 1}\n'
    assert store.history(tmp_path) == (PAST, replace(PAST, verb="audit", mended=0))
    store.remember(tmp_path, '{"narrow": true}', replace(PAST, only=("race",)))
    assert store.last(tmp_path) == b'{"narrow": true}'
    assert store.last(tmp_path, store.WHOLE) == b'{"schema": 1, "second": true}\n'
    assert store.last(tmp_path, store.FIXED) == b'{"schema": 1}\n'
    assert (PAST.breaks, PAST.left) == (3, 2)


def test_without_a_run_there_is_no_report(tmp_path: Path) -> None:
    """What to do is said: run a check first. The history is empty, which is no error."""
    with pytest.raises(ReportError) as raised:
        store.last(tmp_path)
    assert "run `toughen check` first" in raised.value.hint
    assert store.history(tmp_path) == ()


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "null", "[]", '{"schema": 2, "at": "x"}', '{"schema": 1}', "\x00\xff", "[" * 5000, json.dumps({"schema": 1, **asdict(PAST), "routes": "many"}),
        json.dumps({"schema": 1, **asdict(PAST), "seconds": float("nan")}), json.dumps({"schema": 1, **asdict(PAST), "proven": {"race": {"low": 10**30}}}), json.dumps({"schema": 1, **asdict(PAST), "at": "x" * 20_000}),
    ],
)
def test_a_broken_line_of_the_history_spoils_no_other(tmp_path: Path, line: str) -> None:
    """Half a line, another version's, a hostile one: it is passed over, and the next run still adds its own."""
    store.remember(tmp_path, "{}", PAST)
    with (tmp_path / ".toughen/history.jsonl").open("a", encoding="utf-8", errors="replace") as file:
        file.write(line + "\n")
    store.remember(tmp_path, "{}", replace(PAST, verb="fix"))
    assert [each.verb for each in store.history(tmp_path)] == ["check", "fix"]


def test_the_history_does_not_grow_without_end(tmp_path: Path) -> None:
    """The last two hundred runs are kept, whatever lay in the file before."""
    folder = tmp_path / ".toughen"
    folder.mkdir()
    line = json.dumps({"schema": 1, **asdict(PAST)})
    (folder / "history.jsonl").write_text((line + "\n") * 20_000)
    store.remember(tmp_path, "{}", replace(PAST, verb="fix"))
    runs = store.history(tmp_path)
    assert len(runs) == 200
    assert runs[-1].verb == "fix"
    assert (folder / "history.jsonl").stat().st_size < 100_000


def test_runs_that_end_at_once_do_not_lose_each_other(tmp_path: Path) -> None:
    """Read, add, write back is what this project proves broken elsewhere: sixteen at once leave sixteen lines."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: store.remember(tmp_path, "{}", replace(PAST, findings=str(number))), range(16)))
    assert {each.findings for each in store.history(tmp_path)} == {str(number) for number in range(16)}
