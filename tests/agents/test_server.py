"""What a coding agent is offered, over a real session with `toughen mcp` as a process."""

from __future__ import annotations

import difflib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from conftest import Prototype
    from mcp import Client

    Served = Callable[..., AbstractAsyncContextManager[Client]]

INJECTION, LIST = "security/sql-injection@GET /notes/search#word", "input/unbounded@GET /notes#rows"
ONLY = ["security/sql-injection", "input/unbounded"]
WHOLE = '    rows = db().execute("SELECT id, title FROM notes ORDER BY id").fetchall()\n'
PAGED = """    try:
        size, after = int(request.args.get("size", 100)), int(request.args.get("after", 0))
    except ValueError:
        abort(400)
    if not (1 <= size <= 100 and 0 <= after < 2**62):
        abort(400)
    rows = db().execute("SELECT id, title FROM notes WHERE id > ? ORDER BY id LIMIT ?", (after, size)).fetchall()
"""


async def answered(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return str(getattr(result.content[0], "text", ""))


def diff(root: Path, old: str, new: str, file: str = "app.py") -> str:
    before = (root / file).read_text()
    assert old in before
    lines = (before.splitlines(keepends=True), before.replace(old, new).splitlines(keepends=True))
    return "".join(difflib.unified_diff(*lines, f"a/{file}", f"b/{file}"))


def at_work(root: Path) -> list[str]:
    """Processes of a server in that folder: itself, its workers, and what they started for the project."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                said, place = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"), str((process / "cwd").readlink())
            except OSError:
                continue
            if root.name in place or root.name in said or place == str(root.parent):
                found.append(f"{process.name} {said}")
    return found


async def ended(root: Path, most: int) -> list[str]:
    """What is still at work of a project, after some patience."""
    for _ in range(150):
        if len(at_work(root)) <= most:
            break
        await anyio.sleep(0.2)
    return at_work(root)


def test_an_agent_writes_and_toughen_decides(notes: Prototype, served: Served) -> None:
    """The loop: `check` proves two breaks, one with a brief and no mend by code; a patch written for it by hand is accepted, written, and its proof is gone.

    On the way nothing but the protocol came to standard output: the client would have failed at the first line that is none.
    """

    async def loop() -> None:
        async with served(notes.root.parent) as client:
            told: list[str] = []

            async def progress(_: float, __: float | None, message: str | None) -> None:
                told.append(message or "")

            result = await client.call_tool("check", {"path": notes.root.name, "only": ONLY, "budget": 120}, progress_callback=progress)
            assert not result.is_error, result.content
            checked = result.structured_content or {}
            found = {each["finding"]: each for each in checked["findings"]}
            assert set(found) == {INJECTION, LIST}
            assert found[INJECTION]["mend"] == "automatic"
            assert found[INJECTION]["brief"] is None
            assert "Page the answer of GET /notes" in found[LIST]["brief"]["must_hold"]
            assert repr(LIST) in found[LIST]["brief"]["next"]
            assert [each.partition(":")[0] for each in told if each.startswith(("survey", "boot", "explore", "prove:"))] == ["survey", "boot", "explore", "prove"]
            assert any(each.startswith("proven after") for each in told)
            patch = diff(notes.root, WHOLE, PAGED)
            taken = await answered(client, "accept", path=notes.root.name, finding=LIST, patch=patch, write=True)
            assert (taken["accepted"], taken["written"], taken["files"]) == (True, True, ["app.py"]), taken
            assert PAGED in (notes.root / "app.py").read_text()
            again = await answered(client, "replay", proof=f"{notes.root.name}/{found[LIST]['proof']}")
            assert (again["finding"], again["outcome"]) == (LIST, "gone")

    anyio.run(loop)
    assert notes.left_behind() == []


def test_patches_that_do_not_hold_are_refused_with_the_step_and_the_reason(notes: Prototype, served: Served) -> None:
    """Denying everybody fails at the honest request, hiding the symptom at the proof, a value of the attack's own and the settings before anything is executed; nothing is written."""
    query = """    rows = db().execute(f"SELECT id, title FROM notes WHERE title LIKE '%{word}%'").fetchall()\n"""
    hidden = f"    try:\n    {query}    except sqlite3.Error:\n        rows = []\n"

    async def loop() -> None:
        async with served(notes.root) as client:
            await answered(client, "check", only=ONLY)
            before = notes.digest()

            async def judged(finding: str, patch: str) -> tuple[str, str]:
                answer = await answered(client, "accept", finding=finding, patch=patch, write=True)
                assert (answer["accepted"], answer["written"]) == (False, False), answer
                return answer["step"], answer["reason"]

            step, reason = await judged(LIST, diff(notes.root, WHOLE, "    abort(403)\n" + WHOLE))
            assert step == "control"
            assert "403" in reason
            step, reason = await judged(INJECTION, diff(notes.root, query, hidden))
            assert step == "proof"
            assert "word becomes part of the SQL text" in reason
            step, reason = await judged(LIST, diff(notes.root, WHOLE, WHOLE + "    rows = rows[:100] if len(rows) == 1201 else rows\n"))
            assert step == "scope"
            assert "1201" in reason
            step, reason = await judged(LIST, '--- /dev/null\n+++ b/toughen.toml\n@@ -0,0 +1 @@\n+threshold = "critical"\n')
            assert step == "scope"
            assert "toughen.toml" in reason
            assert notes.digest() == {**before, "errors.txt": notes.digest()["errors.txt"]}

    anyio.run(loop)
    assert notes.left_behind() == []


@pytest.mark.long
def test_patches_that_break_honest_clients_or_tests_are_refused(notes: Prototype, served: Served) -> None:
    """What changes an honest answer fails at the journeys, what breaks a test that passed at the tests, and what rewrites that test at the scope; new tests may come along and must pass."""
    query = """    rows = db().execute(f"SELECT id, title FROM notes WHERE title LIKE '%{word}%'").fetchall()\n"""
    bound = """    rows = db().execute("SELECT id, title FROM notes WHERE title LIKE ?", (f"%{word}%",)).fetchall()\n"""
    ends = bound.replace('f"%{word}%"', 'f"%{word}"')
    asserted = 'assert any(each["title"] == "milk"'

    async def loop() -> None:
        async with served(notes.root) as client:
            await answered(client, "check", only=ONLY)

            async def judged(patch: str) -> tuple[bool, str, str]:
                answer = await answered(client, "accept", finding=INJECTION, patch=patch)
                return answer["accepted"], answer["step"], answer["reason"]

            before = notes.digest()
            text = (notes.root / "app.py").read_text()
            whole = {"app.py": text.replace(query, bound).replace("jsonify(id=made.lastrowid", "jsonify(key=made.lastrowid")}
            answer = await answered(client, "accept", finding=INJECTION, files=whole)
            assert (answer["accepted"], answer["step"]) == (False, "journeys"), answer
            assert "POST /notes" in answer["reason"]
            whole = {"app.py": text.replace(query + '    return jsonify([{"id"', bound + '    return jsonify([{"key"')}
            answer = await answered(client, "accept", finding=INJECTION, files=whole)
            assert (answer["accepted"], answer["step"]) == (False, "journeys"), answer
            assert answer["reason"].startswith("GET /notes/search after POST /notes answers differently"), answer
            accepted, step, reason = await judged(diff(notes.root, query, ends))
            assert (accepted, step) == (False, "tests"), reason
            assert "test_a_note_is_found" in reason
            weakened = diff(notes.root, query, ends) + diff(notes.root, asserted, 'assert all(each["title"] == "milk"', "test_notes.py")
            accepted, step, reason = await judged(weakened)
            assert (accepted, step) == (False, "scope"), reason
            failing = "--- /dev/null\n+++ b/test_more.py\n@@ -0,0 +1,2 @@\n+def test_more():\n+    assert {}\n"
            accepted, step, reason = await judged(diff(notes.root, query, bound) + failing.format("False"))
            assert (accepted, step) == (False, "tests"), reason
            assert "test_more" in reason
            accepted, step, reason = await judged(diff(notes.root, query, bound) + failing.format("True"))
            assert (accepted, step) == (True, ""), reason
            assert notes.digest() == {**before, "errors.txt": notes.digest()["errors.txt"]}

    anyio.run(loop)


def test_a_call_that_is_cancelled_leaves_no_process_behind(notes: Prototype, served: Served) -> None:
    """Cancelled while the prototype is booted and attacked, a check ends with all its processes and folders; the server goes on, and so does the next call in that project."""

    async def loop() -> None:
        async with served(notes.root.parent) as client:
            for stage in ("boot", "explore"):
                with anyio.CancelScope() as scope:

                    async def progress(_: float, __: float | None, message: str | None, stage: str = stage, scope: anyio.CancelScope = scope) -> None:
                        if (message or "").startswith(stage):
                            scope.cancel()

                    await client.call_tool("check", {"path": notes.root.name}, progress_callback=progress)
                assert scope.cancelled_caught
                left = await ended(notes.root, 1)
                assert len(left) == 1, left
                assert " mcp " in f"{left[0]} "
                assert notes.left_behind() == [f"process {left[0].partition(' ')[0]} in {notes.root.parent}"]
            assert (await answered(client, "survey", path=notes.root.name))["framework"] == "flask"

    anyio.run(loop)
    assert notes.left_behind() == []


@pytest.mark.long
def test_a_server_that_is_killed_takes_its_runs_along(notes: Prototype, served: Served) -> None:
    """A worker notices that nobody asks any more and tidies up by itself."""

    async def progress(_: float, __: float | None, message: str | None) -> None:
        if (message or "").startswith("explore"):
            server = next(each for each in at_work(notes.root) if "toughen mcp" in each)
            os.kill(int(server.partition(" ")[0]), signal.SIGKILL)

    async def asked() -> None:
        async with served(notes.root.parent) as client:
            await client.call_tool("check", {"path": notes.root.name}, progress_callback=progress)

    async def loop() -> None:
        with pytest.raises(BaseException, match=r"Connection closed|unhandled errors"):
            await asked()
        assert await ended(notes.root, 0) == []

    anyio.run(loop)
    assert notes.left_behind() == []


def test_one_run_at_a_time_in_a_project(notes: Prototype, served: Served) -> None:
    """Two calls at once: the second says that it waits, and both answer."""

    async def loop() -> None:
        async with served(notes.root.parent) as client:
            told: list[str] = []

            async def progress(_: float, __: float | None, message: str | None) -> None:
                told.append(message or "")

            async def survey() -> None:
                result = await client.call_tool("survey", {"path": notes.root.name}, progress_callback=progress)
                assert not result.is_error, result.content

            async with anyio.create_task_group() as both:
                both.start_soon(survey)
                both.start_soon(survey)
            assert told.count("waiting for the run that is under way in this project") == 1

    anyio.run(loop)


def test_what_cannot_be_done_is_said_with_a_hint(notes: Prototype, served: Served, tmp_path: Path) -> None:
    """Folders outside of the served ones, unknown breaks, findings and proofs, patches that do not apply: each is a tool's error with a way on, and the server goes on."""
    (tmp_path / "outside").mkdir()
    (notes.root / "away").symlink_to(tmp_path / "outside")

    async def loop() -> None:
        async with served(notes.root.parent, "--root", str(notes.root)) as client:
            assert "lies outside of what this server serves" in await refused(client, "survey", path=str(tmp_path / "outside"))
            assert "lies outside of what this server serves" in await refused(client, "check", path="away")
            assert "lies outside of what this server serves" in await refused(client, "replay", proof="../.toughen/proofs/x.json")
            assert "is not a folder" in await refused(client, "check", path="app.py")
            assert "did you mean race/lost-update?" in await refused(client, "explain", break_id="race/lost-updates")
            assert "there is no break 'speed'" in await refused(client, "check", only=["speed"])
            assert "run `toughen check` first" in await refused(client, "report")
            assert "run `toughen check` first" in await refused(client, "accept", finding=INJECTION, patch="x")
            assert "is no stored proof" in await refused(client, "replay", proof="app.py")
            assert "greater than 0" in await refused(client, "check", budget=-1)
            checked = await answered(client, "check", only=["input/unbounded"])
            assert [each["finding"] for each in checked["findings"]] == [LIST]
            assert f"did you mean {LIST}?" in await refused(client, "accept", finding="input/unbounded@GET /note#rows", patch="x")
            assert "either `patch` or `files`" in await refused(client, "accept", finding=LIST)
            misfit = diff(notes.root, WHOLE, PAGED).replace("ORDER BY id", "ORDER BY title")
            assert "hunk 1 of app.py" in await refused(client, "accept", finding=LIST, patch=misfit)
            report = await answered(client, "report")
            assert (report["schema"], [each["break"] for each in report["findings"]]) == (1, ["input/unbounded"])

    anyio.run(loop)


def test_every_tool_has_typed_arguments_and_a_typed_answer(notes: Prototype, served: Served) -> None:
    """Each tool publishes the schema of what it takes and of what it answers, and says whether it writes; what runs the prototype takes a budget."""

    async def loop() -> None:
        async with served(notes.root) as client:
            tools = {each.name: each for each in (await client.list_tools()).tools}
            assert {"survey", "check", "explain", "replay", "fix", "accept", "gate", "report"} == set(tools)
            for name, tool in tools.items():
                assert tool.description, name
                assert tool.output_schema, name
                assert tool.output_schema["type"] == "object", name
                assert "context" not in json.dumps(tool.input_schema), name
                assert tool.annotations is not None, name
                assert name in {"survey", "explain", "report"} or "budget" in tool.input_schema["properties"], name
            assert tools["fix"].input_schema["properties"]["dry_run"]["default"] is True
            assert tools["accept"].input_schema["properties"]["write"]["default"] is False
            page = await answered(client, "explain", break_id="race/lost-update")
            assert "Instead:" in page["page"]

    anyio.run(loop)


def test_the_gates_answer_with_yes_or_no(notes: Prototype, served: Served) -> None:
    """`gate` asks what it is asked for: one without a fault holds, one that falls names its faults; one that there is not is named with those that there are."""

    async def loop() -> None:
        async with served(notes.root.parent) as client:
            assert "there is no gate 'luck'" in await refused(client, "gate", path=notes.root.name, only=["luck"])
            told = await answered(client, "gate", path=notes.root.name, only=["secrets", "tests"])
            state = {each["gate"]: each["state"] for each in told["gates"]}
            assert (state, told["holds"]) == ({"secrets": "held", "tests": "fell"}, False), told
            assert all(each["key"].startswith("suite/") for gate in told["gates"] for each in gate["faults"]), "its one test passes, and asks little"

    anyio.run(loop)


def test_fix_shows_diffs_and_writes_nothing_unless_it_is_told_to(notes: Prototype, served: Served) -> None:
    """`fix` tries the mend of the injection and answers its diff; the files stay as they are, and what is not mended comes with a brief."""

    async def loop() -> None:
        async with served(notes.root.parent) as client:
            before = notes.digest()
            fixed = await answered(client, "fix", path=notes.root.name, only=ONLY)
            assert fixed["written"] is False
            mends = {each["finding"]: each for each in fixed["mends"]}
            assert mends[INJECTION]["outcome"] == "kept"
            assert "+++ b/app.py" in mends[INJECTION]["diff"]
            assert mends[LIST]["brief"]["must_hold"].startswith("Page the answer")
            assert fixed["left"] == [LIST]
            assert notes.digest() == before
            assert "not a git tree" in await refused(client, "fix", path=notes.root.name, only=ONLY, dry_run=False)

    anyio.run(loop)
