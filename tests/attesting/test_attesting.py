"""Attestations: what was signed by whom, over which source, with which evidence; whatever comes from outside is suspected."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from toughen.attesting import check, envelope, evidence, statement
from toughen.errors import AttestationError
from toughen.fingerprint import Fingerprint, digest_of, fingerprint
from toughen.model.blueprint import Blueprint
from toughen.model.gate import Fault, Gated, State, Waiver
from toughen.model.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]


def keys() -> tuple[bytes, bytes]:
    private = Ed25519PrivateKey.generate()
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def test_signed_and_opened() -> None:
    """What one key signed, its public half opens, in the DSSE form that in-toto's own tools read; no other key does."""
    (private, public), (_, other) = keys(), keys()
    text = envelope.signed(b'{"a": 1}', private)
    document = json.loads(text)
    assert document["payloadType"] == "application/vnd.in-toto+json"
    assert base64.b64decode(document["payload"]) == b'{"a": 1}'
    assert envelope.opened(text.encode(), public) == b'{"a": 1}'
    with pytest.raises(AttestationError, match="not that of this key"):
        envelope.opened(text.encode(), other)


@pytest.mark.parametrize(("change", "said"), [
    ({"payload": base64.b64encode(b'{"a": 2}').decode()}, "not that of this key"),
    ({"payloadType": "text/plain"}, "not that of this key"),
    ({"signatures": []}, "not that of this key"),
    ({"signatures": [{"keyid": "x", "sig": "!!"}]}, "that is no attestation"),
    ({"payload": 3}, "that is no attestation"),
    ({"signatures": [3]}, "that is no attestation"),
])
def test_changed(change: dict[str, Any], said: str) -> None:
    """An envelope that was changed, or that is none, is refused."""
    private, public = keys()
    document = json.loads(envelope.signed(b"{}", private)) | change
    with pytest.raises(AttestationError, match=said):
        envelope.opened(json.dumps(document).encode(), public)


def test_another_type() -> None:
    """A signature of the same key over something else is no attestation."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    private, public = keys()
    other = Envelope(b"{}", "text/plain", {})
    other.sign(CryptoSigner(load_pem_private_key(private, None)))  # type: ignore[arg-type]
    with pytest.raises(AttestationError, match="is of type 'text/plain'"):
        envelope.opened(json.dumps(other.to_dict()).encode(), public)


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"[" * 100_000, b"{}"])
def test_no_envelope(text: bytes) -> None:
    """Whatever a file holds, what it is not is said."""
    with pytest.raises(AttestationError, match="that is no attestation"):
        envelope.opened(text, keys()[1])


def test_keys(tmp_path: Path) -> None:
    """A key that is none, that is missing or that cannot be read is told, with how to make one."""
    with pytest.raises(AttestationError, match="the key cannot sign") as told:
        envelope.signed(b"{}", b"no key")
    assert "openssl genpkey" in told.value.hint
    with pytest.raises(AttestationError, match="that is no public key"):
        envelope.opened(b"{}", b"no key")
    with pytest.raises(AttestationError, match="there is no key to sign with"):
        envelope.key_of(None, "")
    assert envelope.key_of(None, "text") == b"text"
    with pytest.raises(AttestationError, match="the key cannot be read"):
        envelope.key_of(tmp_path / "nowhere", "")
    (tmp_path / "key").write_text("k")
    assert envelope.key_of(tmp_path / "key", "other") == b"k"


def test_evidence(tmp_path: Path) -> None:
    """The same files make the same archive, which is unpacked only where it is the one that was signed for."""
    files = {"report.json": b"{}", "proofs/a.json": b"1", f"snapshots/{'0' * 32}.json": b"2"}
    packed = evidence.packed(files)
    assert evidence.packed(dict(reversed(files.items()))) == packed
    archive = tmp_path / "evidence.zip"
    archive.write_bytes(packed)
    found = evidence.unpacked(archive, tmp_path / "place", hashlib.sha256(packed).hexdigest())
    assert found["proofs/a.json"] == hashlib.sha256(b"1").hexdigest()
    assert (tmp_path / "place" / "proofs" / "a.json").read_bytes() == b"1"
    with pytest.raises(AttestationError, match="is not the evidence that was signed for"):
        evidence.unpacked(archive, tmp_path / "place", "0" * 64)
    with pytest.raises(AttestationError, match="cannot be read"):
        evidence.unpacked(tmp_path / "nowhere", tmp_path / "place", "0" * 64)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("../outside.json", b"1", "which no evidence is"),
    ("/etc/passwd", b"1", "which no evidence is"),
    ("proofs/../../x.json", b"1", "which no evidence is"),
    ("proofs/a.py", b"1", "which no evidence is"),
    ("", None, "cannot be unpacked"),
])
def test_hostile_evidence(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    """Even signed, an archive writes nothing outside its folder, and nothing but evidence."""
    archive = tmp_path / "evidence.zip"
    if content is None:
        archive.write_bytes(b"PK\x03\x04 broken")
    else:
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr(name, content)
    with pytest.raises(AttestationError, match=said):
        evidence.unpacked(archive, tmp_path / "place" / "inner", digest_of(archive))
    assert not list(tmp_path.glob("*.json"))


def stated(gates: tuple[Gated, ...], proofs: tuple[statement.Told, ...] = (), commit: str = "") -> dict[str, Any]:
    verdict = Verdict(Blueprint("shop", "flask", None, ()), "ready", "", gates=gates)
    return statement.stated(verdict, Fingerprint("a" * 64, 3, commit), {"toughen-policy.toml": "b" * 64}, proofs, version="1", at="2026-01-01T00:00:00Z", report="c" * 64, evidence="d" * 64)


def told(outcome: str) -> statement.Told:
    return statement.Told(finding="race/lost-update@POST /x", file="proofs/x.json", sha256="e" * 64, outcome=outcome)  # type: ignore[arg-type]


def test_statement() -> None:
    """A run is in-toto's test result: passed where all holds, warned where something is let through, failed where a gate is open; it is read back as it was written."""
    held, fell = Gated("lint", "", State.HELD, ""), Gated("tests", "", State.FELL, "", faults=(Fault("a", ""),))
    known = Gated("types", "", State.HELD, "", known=(Fault("a", "", count=3),), waived=((Fault("b", ""), Waiver("types", "b", "r", "o", "2026-02-02")),))
    assert stated((held,))["predicate"]["result"] == "PASSED"
    assert stated((held, known))["predicate"]["result"] == "WARNED"
    assert stated((held, fell))["predicate"]["result"] == "FAILED"
    whole = stated((held, fell, known), (told("refuted"), told("proven")), "f" * 40)
    assert whole["predicate"]["passedTests"] == ["gate/lint", "gate/types", "proof/race/lost-update@POST /x"]
    assert whole["predicate"]["failedTests"] == ["gate/tests", "proof/race/lost-update@POST /x"]
    read = statement.read(statement.canonical(whole))
    assert read.subject[1].digest.git_commit == "f" * 40
    assert read.predicate.toughen.known == 3
    assert read.predicate.toughen.waived == ("types b",)
    assert [each.outcome for each in read.predicate.toughen.proofs] == ["refuted", "proven"]


@pytest.mark.parametrize("change", [
    lambda whole: whole.pop("subject"),
    lambda whole: whole.update(predicateType="https://example.org/other"),
    lambda whole: whole["predicate"].pop("toughen"),
    lambda whole: whole["predicate"]["toughen"].update(schema=2),
    lambda whole: whole["predicate"]["toughen"].update(proofs=[{"finding": "x", "file": "../x.json", "sha256": "e" * 64, "outcome": "refuted"}]),
])
def test_no_statement(change: Callable[[dict[str, Any]], object]) -> None:
    """What somebody signed and is no statement of this kind is refused with its place."""
    whole = stated(())
    change(whole)
    with pytest.raises(AttestationError, match="is no statement of toughen's"):
        statement.read(statement.canonical(whole))


def test_checks(tmp_path: Path) -> None:
    """Source, settings, evidence, replays and gates are each held against what was attested."""
    (tmp_path / "main.py").write_text("a = 1\n")
    read = statement.read(statement.canonical(stated((Gated("lint", "", State.HELD, ""),), (told("refuted"),))))
    assert [(each.what, each.holds) for each in check.sources(read, tmp_path)] == [("source", False), ("toughen-policy.toml", False)]
    assert [each.holds for each in check.evidence(read, {"report.json": "c" * 64, "proofs/x.json": "e" * 64})] == [True]
    assert [each.holds for each in check.evidence(read, {"report.json": "0" * 64})] == [False, False]
    assert [each.said for each in check.replays(read, [])] == ["attested as refuted, and here it is not replayed"]
    assert [each.said for each in check.gates(read, Verdict(Blueprint("s", "flask", None, ()), "ready", "", gates=(Gated("lint", "", State.FELL, ""),)))] == ["attested as held, and here it fell"]


def test_fingerprint(tmp_path: Path) -> None:
    """It is what `sha256sum` says of the files that git would take, whatever lies beside them; it has the commit where nothing differs from it."""
    (tmp_path / "main.py").write_text("a = 1\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "x").write_text("x")
    bare = fingerprint(tmp_path)
    assert (bare.files, bare.commit) == (1, "")
    said = subprocess.run(["sh", "-c", "sha256sum main.py | sha256sum"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.startswith(bare.sha256)

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tmp_path), *arguments], capture_output=True, check=True)

    (tmp_path / ".gitignore").write_text(".venv\n*.db\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    clean = fingerprint(tmp_path)
    assert clean.commit
    (tmp_path / "app.db").write_text("1")
    (tmp_path / ".toughen").mkdir()
    (tmp_path / ".toughen" / "last.json").write_text("1")
    assert fingerprint(tmp_path).sha256 == clean.sha256
    (tmp_path / "new.py").write_text("b = 1\n")
    changed = fingerprint(tmp_path)
    assert changed.sha256 != clean.sha256
    assert not changed.commit


NOTES = """
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    @app.post("/double")
    def double():
        return jsonify(result=int(request.get_json()["n"]) * 2)
    """


def test_third_party(prototype: Write, tmp_path: Path) -> None:
    """A run is attested; whoever has the source and the public key sees every proof end again as it says, and sees a changed source, a mended break and a foreign key."""
    private, public = keys()
    (tmp_path / "k").write_bytes(private)
    (tmp_path / "p").write_bytes(public)
    (tmp_path / "other").write_bytes(keys()[1])
    notes = prototype({"main.py": NOTES})
    name = notes.root.name
    inside = notes.toughen("gate", name, "--attest", f"{name}/a.jsonl", "--key", "k")
    assert "lies among the files that it speaks of" in inside.stderr
    done = notes.toughen("gate", name, "--attest", "a.jsonl", "--key", "k")
    assert done.returncode == 11, done.stderr
    assert "attested: " in done.stderr
    held = notes.toughen("verify", "a.jsonl", name, "--key", "p")
    assert held.returncode == 0, held.stdout + held.stderr
    assert "proven, as attested" in held.stdout
    assert "The attestation holds" in held.stdout
    foreign = notes.toughen("verify", "a.jsonl", name, "--key", "other")
    assert foreign.returncode == 2
    assert "not that of this key" in foreign.stderr
    (notes.root / "main.py").write_text((notes.root / "main.py").read_text().replace('int(request.get_json()["n"]) * 2)', "2), 400 if not str(request.get_json(silent=True)).isdigit() else 200"))
    changed = notes.toughen("verify", "a.jsonl", name, "--key", "p")
    assert changed.returncode == 11
    assert "FAILS  source" in changed.stdout
    assert "attested as proven, and here it is" in changed.stdout


@pytest.mark.parametrize(("arguments", "said"), [
    (("gate", "{}", "--attest", "a", "--key", "nowhere"), "the key cannot be read"),
    (("gate", "{}", "--attest", "a", "--changed"), "--attest speaks of everything"),
    (("verify", "nowhere", "{}", "--key", "nowhere"), "the attestation cannot be read"),
])
def test_bad_arguments(prototype: Write, arguments: tuple[str, ...], said: str) -> None:
    """What is missing is told before anything is executed."""
    notes = prototype({"main.py": NOTES})
    done = notes.toughen(*(each.format(notes.root.name) for each in arguments))
    assert done.returncode == 2
    assert said in done.stderr
