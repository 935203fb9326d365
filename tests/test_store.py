"""Proofs on disk: written whole, read with suspicion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from toughen import store
from toughen.errors import ProofError
from toughen.lab.snapshot import Snapshot
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Proof
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Argument, Call, Extract, Grant, Literal, Marker, Stored
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
