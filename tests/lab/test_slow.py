"""Routes that take minutes, or for ever: a check ends within its budget, says why, leaves no process behind, and does not take a loop for a service that hangs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from textwrap import dedent

import pytest

from toughen import config
from toughen.pipeline import Run

NEVER = """
    import asyncio
    import hashlib
    import time
    from fastapi import FastAPI

    app = FastAPI()


    @app.get("/sleep")
    def sleep():
        time.sleep(120)
        return {"ok": True}


    @app.get("/nap")
    async def nap():
        await asyncio.sleep(120)
        return {"ok": True}


    @app.get("/heavy")
    def heavy():
        digest = b""
        for _ in range(2_000_000_000):
            digest = hashlib.sha256(digest).digest()
        return {"digest": digest.hex()}


    @app.get("/fine")
    def fine():
        return {"ok": True}
    """
ASKS = """
    import time
    import requests
    from flask import Flask, jsonify

    app = Flask(__name__)


    def ask():
        return requests.get("https://rates.example.com/v1", timeout=3).json()


    @app.get("/waits")
    def waits():
        return jsonify(requests.get("https://rates.example.com/v1").json())


    @app.get("/spins")
    def spins():
        try:
            return jsonify(ask())
        except requests.RequestException:
            while True:
                pass


    @app.get("/sleeps")
    def sleeps():
        try:
            return jsonify(ask())
        except requests.RequestException:
            time.sleep(120)
        return jsonify(error="not now"), 503


    @app.get("/insists")
    def insists():
        while True:
            try:
                return jsonify(ask())
            except requests.RequestException:
                continue


    @app.get("/gives-up")
    def gives_up():
        try:
            return jsonify(ask())
        except requests.RequestException:
            return jsonify(error="not now"), 503
    """


def children() -> set[str]:
    """Processes that this one started and that are there still, but those that have ended and wait to be reaped."""
    found = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        for number in listing.read_text().split():
            try:
                state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z":
                found.add(number)
    return found


def left(marker: str) -> list[str]:
    """Processes of anybody's whose environment tells of that marker."""
    found = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in each.read_bytes():
                found.append(each.parent.name)
        except OSError:
            continue
    return [each for each in found if each != str(os.getpid())]


@pytest.mark.long
def test_a_check_of_routes_that_never_end_ends(tmp_path: Path) -> None:
    """Three routes that take minutes cost ten seconds each, within the budget; they are told as such, the others are reached, and all processes are gone."""
    (tmp_path / "main.py").write_text(dedent(NEVER).lstrip("\n"))
    (tmp_path / "requirements.txt").write_text("fastapi\n")
    marker = f"slow-{time.monotonic_ns()}"
    (tmp_path / "toughen.toml").write_text(f'[environment]\nMARKER = "{marker}"\n')
    before, began = children(), time.monotonic()
    verdict = Run(tmp_path, config.read(tmp_path, only=("failure", "race"), budget=80)).check()
    assert time.monotonic() - began < 80
    assert [each.route for each in verdict.journeys] == ["GET /fine"]
    assert {each.route: each.reason.partition(";")[0] for each in verdict.unreached} == {f"GET /{name}": "never ended" for name in ("sleep", "nap", "heavy")}
    assert not verdict.findings
    assert children() <= before
    assert not left(marker)


@pytest.mark.long
def test_a_budget_is_kept_though_a_route_never_ends(tmp_path: Path) -> None:
    """What there is no time for is told as such: no verdict is made up."""
    (tmp_path / "main.py").write_text(dedent(NEVER).lstrip("\n"))
    (tmp_path / "requirements.txt").write_text("fastapi\n")
    began = time.monotonic()
    verdict = Run(tmp_path, config.read(tmp_path, only=("failure", "race"), budget=8)).check()
    # A request that is on its way when the budget ends comes to its own end.
    assert time.monotonic() - began < 45
    assert {each.route for each in verdict.unreached} | {each.route for each in verdict.journeys} == {f"GET /{name}" for name in ("sleep", "nap", "heavy", "fine")}
    assert not verdict.findings


@pytest.mark.long
def test_a_loop_is_not_taken_for_a_service_that_hangs(tmp_path: Path) -> None:
    """A call without a time-out hangs, and so does one that is made again and again; a loop or a sleep behind an error is left undecided; whoever gives up is not blamed."""
    (tmp_path / "main.py").write_text(dedent(ASKS).lstrip("\n"))
    (tmp_path / "requirements.txt").write_text("flask\nrequests\n")
    verdict = Run(tmp_path, config.read(tmp_path, only=("failure/hang",), budget=240)).check()
    assert {each.route for each in verdict.journeys} == {f"GET /{name}" for name in ("waits", "spins", "sleeps", "insists", "gives-up")}
    assert {each.route for each in verdict.findings if each.proof} == {"GET /waits", "GET /insists"}
    assert {each.route for each in verdict.inconclusive} == {"GET /spins", "GET /sleeps"}
