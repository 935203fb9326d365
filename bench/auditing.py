"""Owns how long an auditor waits: every cell of 221 routes and fifteen roles, against what the application itself can answer."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import scale
from bench.measure import Figure
from toughen.lab import environment
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 60.0
LIMIT = 900.0
_RAW = """
import asyncio, json, os, sys, time
os.environ["SECRET_KEY"] = "bench" * 8
sys.path.insert(0, ".")
from main import app

async def call(method, path, body=b"", token=""):
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"authorization", b"Bearer " + token.encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "", "method": method, "path": path,
             "raw_path": path.encode(), "query_string": b"", "headers": headers, "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 5), "state": {}}
    said = []
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}
    async def send(event):
        said.append(event)
    await app(scope, receive, send)
    return said[0]["status"], b"".join(each.get("body", b"") for each in said)

async def main():
    who = json.dumps({"email": "a@example.com", "password": "long-enough", "company": "Bench"}).encode()
    await call("POST", "/register", who)
    token = json.loads((await call("POST", "/login", who))[1])["access_token"]
    paths = [f"/{name}" for name in ("invoices", "orders", "quotes", "customers")] + ["/staff", "/me"]
    for path in paths:
        await call("GET", path, token=token)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 3:
        for path in paths:
            await call("GET", path, token=token)
            count += 1
    print(count / (time.perf_counter() - began))

asyncio.run(main())
"""
"""The application called in-process by its own interpreter: reads that are allowed, and one that is refused."""


def figures() -> Iterator[Figure]:
    """Seconds of the whole command with a cached environment, cells left untested, and cells a second beside the raw rate."""
    with tempfile.TemporaryDirectory(prefix="toughen-bench") as folder:
        root = Path(folder) / "business"
        scale.write(root)
        sources = read(root)
        blueprint = survey(sources)
        assert blueprint.entry is not None
        python = environment.provided(root, sources.texts, blueprint.entry).python
        report = Path(folder) / "report.json"
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "toughen", "audit", str(root), "--no-write", "--format", "json", "--output", str(report)],
            timeout=LIMIT, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        spent = time.perf_counter() - began
        assert done.returncode == 0, done.stderr[-2000:]
        told = json.loads(report.read_text(encoding="utf-8"))
        raw = subprocess.run([str(python), "-c", _RAW], cwd=root, timeout=LIMIT, check=True, capture_output=True, text=True)
    counts, asked = told["coverage"]["authorization"], told["timings"]["audit_s"]
    assert told["prototype"]["routes"] == scale.ROUTES, told["prototype"]
    yield Figure(f"audit, {scale.ROUTES} routes and {scale.ROLES} roles", spent, "s", at_most=BOUND, beside=f"{counts['cells']} cells, {counts['missing']} missing")
    yield Figure("audit, cells left untested", counts["untested"], "cells", at_most=0)
    rate = counts["cells"] / asked
    yield Figure("audit, cells a second", rate, "cells/s", beside=f"the application alone, one process: {float(raw.stdout):.0f} requests/s; the matrix took {asked:.1f} s")
