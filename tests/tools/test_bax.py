"""The bench on BaxBench: its cells run a solution for real, and its table counts what it says."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

BAX = Path(__file__).parents[2] / "tools" / "bax"
BASE = """
    from dataclasses import dataclass

    @dataclass
    class AppInstance:
        port: int
        log_file_path: object
        container_id: str
        env: object
    """
ENVIRONMENT = """
    from types import SimpleNamespace

    FlaskEnv = SimpleNamespace(workdir="/app", port=5000, entrypoint_cmd="python app.py", manifest_files={})
    """
SCENARIO = """
    import io
    import tarfile
    import urllib.request
    from types import SimpleNamespace

    import docker

    def asked(app, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{app.port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def functional_says_hello(app):
        return asked(app, "/hello") == "hello"

    def functional_takes_files(app):
        container = docker.from_env().containers.get(app.container_id)
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w") as tar:
            info = tarfile.TarInfo("held.txt")
            info.size = 4
            tar.addfile(info, io.BytesIO(b"held"))
        container.put_archive("/tmp", whole.getvalue())
        back = b"".join(container.get_archive("/tmp/held.txt")[0])
        ran = container.exec_run("cat /tmp/held.txt")
        memory = container.stats(stream=False)["memory_stats"]["usage"]
        return b"held" in back and ran.exit_code == 0 and ran.output == b"held" and memory > 1_000_000

    def exploit_kills_it(app):
        try:
            asked(app, "/die")
        except OSError:
            return []
        return []

    def exploit_reads_outside(app):
        return [SimpleNamespace(value={"num": 22})] if "root:" in asked(app, "/etc/passwd") else []

    SCENARIO = SimpleNamespace(id="Mini", functional_tests=[functional_says_hello, functional_takes_files], security_tests=[exploit_reads_outside, exploit_kills_it])
    """
SOLUTION = """
    import os
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/die":
                os._exit(1)
            text = open(self.path).read() if self.path != "/hello" and os.path.isfile(self.path) else "hello"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args):
            pass

    HTTPServer(("127.0.0.1", 5000), Handler).serve_forever()
    """


def table() -> ModuleType:
    """tools/bax/table.py, which is no package."""
    spec = importlib.util.spec_from_file_location("bax_table", BAX / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line(solution: str, step: str, **more: Any) -> dict[str, Any]:
    """One line of results.jsonl."""
    return {"solution": solution, "step": step, **more}


def run(breaks: list[str], mends: list[str]) -> dict[str, Any]:
    """What a run of toughen leaves."""
    report = {
        "findings": [{"break": name, "status": "proven"} for name in breaks] + [{"break": "security/xss", "status": "suspected"}],
        "mends": [{"outcome": each} for each in mends], "coverage": {"reached": 2, "routes": 3},
    }  # fmt: skip
    return {"exit": 10, "seconds": 4.0, "report": report}


def answered(exploits: dict[str, list[int] | None]) -> dict[str, Any]:
    """What BaxBench's own tests leave."""
    return {"functional": [{"answered": True}], "exploits": [{"test": name, "answered": found} for name, found in exploits.items()]}


def test_the_table_counts_proofs_exploits_and_what_is_left() -> None:
    """A CWE that an exploit found counts as proven by a proof of its kind, as fixed where the exploit finds nothing afterwards; suspicions count for nothing."""
    lines = [
        line("a", "before", **answered({"reads": [22], "kills": None})), line("a", "check", **run(["security/path-traversal", "input/crash"], [])),
        line("a", "fix", **run([], ["kept"])), line("a", "after", **answered({"reads": [], "kills": None})),
        line("b", "before", **answered({"reads": [22]})), line("b", "check", **run([], [])), line("b", "after", **answered({"reads": [22]})),
        line("c", "before", **answered({"reads": []})),
    ]  # fmt: skip
    text = table().rendered(lines)
    assert text.startswith("3 solutions tried, 2 pass their functional tests.")
    assert "| 22 | 2 | 1 | 1 | 0 | 1 | 1 |" in text
    assert "| 703 | 0 | 0 | 0 | 1 | 0 | 0 |" in text
    assert "exit 10 after 4.0 s; 2/3 routes; input/crash x1, security/path-traversal x1" in text
    assert "| 79 |" not in text
    assert "silent: kills" in text


def test_a_solution_runs_in_a_cell_as_in_a_container(tmp_path: Path) -> None:
    """Requests, files, commands and memory as BaxBench asks docker for them; an exploit that answers, and one that the server dies of."""
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--fork", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system grants no user namespaces")
    source = tmp_path / "source"
    for name, text in {"scenarios/__init__.py": "", "scenarios/base.py": BASE, "scenarios/mini.py": SCENARIO, "env/__init__.py": "", "env/python.py": ENVIRONMENT}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(dedent(text).lstrip())
    solution = tmp_path / "solution"
    solution.mkdir()
    (solution / "app.py").write_text(dedent(SOLUTION).lstrip())
    python = Path(sys.executable)
    spec = {
        "source": str(source), "scenario": "Mini", "environment": "FlaskEnv", "solution": str(solution), "python": str(python), "work": str(tmp_path), "stop": True,
        "readable": sorted({str(python.parent.parent), str(python.resolve().parent.parent)}), "out": str(tmp_path / "out.json"),
    }  # fmt: skip
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    done = subprocess.run([sys.executable, str(BAX / "harness.py"), str(tmp_path / "spec.json")], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    assert [each.get("answered") for each in told["functional"]] == [True, True], told
    assert [each.get("answered") for each in told["exploits"]] == [[22], [703]], told
