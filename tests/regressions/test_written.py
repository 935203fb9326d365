"""Tests that are written from proofs, run against the project before and after."""

from __future__ import annotations

import ast
import base64
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import specimens
from specimens import BROKEN, FOREIGN, MENDED, NEGATIVE, STRANGER

from toughen.model.blueprint import Place, Suite
from toughen.model.journey import Argument, Call, Literal
from toughen.model.trial import Fault
from toughen.regressions import Unwritten, drafted


def test_they_pass_on_what_is_mended_and_fail_on_what_was(tmp_path: Path) -> None:
    """A foreign read, a negative number and a stranger's request: each test passes with its repair and fails without."""
    known = specimens.known(MENDED)
    text = specimens.file_of(known, FOREIGN, NEGATIVE, STRANGER)
    names = {"test_read_hides_another_users_note", "test_write_refuses_a_negative_stars", "test_clear_refuses_strangers"}
    assert specimens.outcomes(tmp_path / "mended", MENDED, known, text) == dict.fromkeys(names, "PASSED")
    assert specimens.outcomes(tmp_path / "broken", BROKEN, known, text) == dict.fromkeys(names, "FAILED")


def test_they_touch_no_file_of_the_project(tmp_path: Path) -> None:
    """Whatever database the project has stays as it is: the tests' lies in a folder of their own."""
    known = specimens.known(MENDED)
    specimens.outcomes(tmp_path, MENDED, known, specimens.file_of(known, FOREIGN))
    assert {each.name for each in tmp_path.rglob("*") if each.is_file() and "__pycache__" not in each.parts} == {"main.py", "test_hardened.py"}


def test_they_say_what_an_engineer_would_write() -> None:
    """No word of the lab's own is left: no canary, no made-up name, no import of toughen, and each docstring names its break."""
    text = specimens.file_of(specimens.known(MENDED), FOREIGN, NEGATIVE, STRANGER)
    ast.parse(text)
    assert not re.search(r"\btg[n\d]\w*|tguser|Tg7!|user1|toughen", text)
    assert '"""security/object-authorization@GET /notes/{note_id}#read' in text
    assert "Before: brian reads what belongs to alice (title holds ...)." in text
    assert "for stars in (-17, -17000):" in text
    assert """    note = client.post("/notes", json={"title": "a title"}, headers=alice)
    refused = client.get(f"/notes/{note.json()['id']}", headers=brian)
    assert_refused(refused)""" in text


def test_the_projects_own_client_is_used(tmp_path: Path) -> None:
    """Where a conftest beside the project's tests has a client, the tests take that one and make none."""
    conftest = "import sys\nfrom pathlib import Path\nimport pytest\nfrom fastapi.testclient import TestClient\nsys.path.insert(0, str(Path(__file__).parents[1]))\n\n@pytest.fixture\ndef client(tmp_path, monkeypatch):\n    import main\n    monkeypatch.setattr(main, 'DATABASE', ':memory:')\n    return TestClient(main.app)\n"
    own = {"tests/conftest.py": conftest, "tests/test_api.py": "def test_there(client):\n    assert client.get('/docs').status_code == 200\n"}
    known = specimens.known({**MENDED, **own}, Suite(("tests/test_api.py",), 1, "pytest"))
    text = specimens.file_of(known, FOREIGN)
    assert "def client" not in text
    assert "import main" not in text
    assert "def test_read_hides_another_users_note(client):" in text


def test_a_second_run_adds_what_is_missing_and_nothing_else() -> None:
    """What a user wrote into the file stays as it is, line for line; a test that is there already is not written again."""
    known = specimens.known(MENDED)
    once = specimens.file_of(known, FOREIGN).replace("assert_refused(refused)\n\n", "assert_refused(refused)  # as we want it\n\n")
    twice = specimens.file_of(known, FOREIGN, NEGATIVE, existing=once)
    assert twice.startswith(once.rstrip("\n"))
    assert twice.count("def test_read_hides_another_users_note") == 1
    assert "def test_write_refuses_a_negative_stars" in twice
    assert specimens.file_of(known, FOREIGN, NEGATIVE, existing=twice) == twice


def test_a_role_that_no_route_gives_needs_a_way_to_write() -> None:
    """Where the project's own fixture has no way to a row, the honest half that an administrator sends is left out; what he alone sends is not written, and the reason told."""
    known = specimens.known(MENDED)
    [left] = [drafted(known, STRANGER, "starlette", writable=False)]
    assert isinstance(left, list)
    assert "honest" not in left[0].text
    by_admin = {name: replace(trial, calls=tuple(each.by("admin1") for each in trial.calls)) for name, trial in NEGATIVE.experiment.trials.items()}
    told = drafted(known, replace(NEGATIVE, experiment=replace(NEGATIVE.experiment, trials=by_admin)), "starlette", writable=False)
    assert isinstance(told, Unwritten)
    assert "nobody becomes admin" in told.reason


def test_a_fault_is_no_plain_test() -> None:
    """What takes a fault, a race or a kill is left to `pytest --toughen`."""
    trials = {**NEGATIVE.experiment.trials, "hostile": replace(NEGATIVE.experiment.trials["hostile"], fault=Fault("hang"))}
    told = drafted(specimens.known(MENDED), replace(NEGATIVE, experiment=replace(NEGATIVE.experiment, trials=trials)), "starlette", writable=True)
    assert isinstance(told, Unwritten)
    assert "pytest --toughen" in told.reason


def test_answers_that_are_alike_are_no_test() -> None:
    """A break whose answers do not differ before and after cannot be seen by a client: it is not written as a test that passes on both."""
    told = drafted(specimens.known(MENDED), replace(NEGATIVE, after=NEGATIVE.before), "starlette", writable=True)
    assert isinstance(told, Unwritten)


def test_a_suite_of_unittests_gets_a_class(tmp_path: Path) -> None:
    """Where the project's tests are unittest's, so are these: `python -m unittest` runs them, without pytest."""
    known = specimens.known(MENDED, Suite(("tests/test_api.py",), 1, "unittest"))
    text = specimens.file_of(known, FOREIGN, STRANGER)
    assert "pytest" not in text
    for name, files, code in (("mended", MENDED, 0), ("broken", BROKEN, 1)):
        root = tmp_path / name
        for file, content in {**files, "tests/__init__.py": "", "tests/test_hardened.py": text}.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(content)
        done = subprocess.run([sys.executable, "-m", "unittest", "-v", "tests.test_hardened"], cwd=root, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        assert done.stderr.count(" ... ok" if code == 0 else " ... FAIL") == 2, done.stderr
    twice = specimens.file_of(known, FOREIGN, STRANGER, NEGATIVE, existing=text)
    assert twice.startswith(text.rstrip("\n"))
    assert "\n    def test_write_refuses_a_negative_stars(self):" in twice


def test_a_log_in_by_a_header_of_http_is_written_as_a_pair() -> None:
    """Where people log in by Basic (RFC 7617), the helper hands the client a name and a password, and no encoded text of the lab's."""
    known = specimens.known(MENDED)

    def basic(name: str) -> Call:
        return Call("POST /login", (Argument(Place.HEADER, ("Authorization",), Literal("Basic " + base64.b64encode(f"{name}:{specimens.PASSWORD}".encode()).decode())),))

    known = replace(known, identities=tuple(replace(each, login=basic(str(each.row["username"]))) for each in known.identities))
    text = specimens.file_of(known, FOREIGN)
    assert 'answer = client.post("/login", auth=(name, password))' in text
    assert 'PASSWORD = "Str0ng!passw0rd"' in text
    assert "Basic " not in text
