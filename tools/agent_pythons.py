"""Runs the agent's tests under every Python that the agent promises to run under and that this machine has, one line for each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from toughen.lab import interpreters

HOME = Path(__file__).parents[1]
UV = str(Path(sys.executable).with_name("uv"))
PROMISED = tuple(f"3.{minor}" for minor in range(9, 15))
PACKAGES = (
    "fastapi", "flask", "flask-sqlalchemy", "marshmallow", "python-multipart", "sqlalchemy[asyncio]",
    "asyncpg", "psycopg[binary]", "psycopg-pool", "psycopg2-binary",
    "aiomysql", "mysql-connector-python", "pymysql",
)  # fmt: skip
"""What the tests' prototypes import, without versions: each Python gets the newest that was made for it."""
PATIENCE = 900
"""Seconds for one Python's tests, on a machine that has other things to do."""


def found(version: str) -> str | None:
    """An interpreter of that version: one that the lab would find for a prototype, else one of uv's own."""
    known = interpreters.find(version)
    if known is None:
        asked = run(UV, "python", "find", "--no-project", "--managed-python", "--no-python-downloads", version)
        known = asked.stdout.strip() if asked.returncode == 0 else None
    return known


def run(*command: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's folder; one that takes too long has failed."""
    try:
        return subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no end after {seconds} seconds: {' '.join(command)}")


def environment(version: str, interpreter: str) -> Path:
    """The interpreter of an environment with the packages; raises RuntimeError with uv's words where it cannot be made."""
    place = HOME / ".venv-agents" / version
    python = place / "bin" / "python"
    steps = [(UV, "pip", "install", "--no-build", "--python", str(python), *PACKAGES)]
    if not python.exists() or run(str(python), "--version").returncode:
        steps.insert(0, (UV, "venv", "--clear", "--python", interpreter, str(place)))
    for step in steps:
        done = run(*step)
        if done.returncode:
            raise RuntimeError(done.stderr)
    return python


def tested(version: str, interpreter: str) -> bool:
    """Run the tests under one interpreter and print its line; whether they passed."""
    try:
        python = environment(version, interpreter)
    except RuntimeError as error:
        print(f"{version:8} no environment\n{error}", flush=True)
        return False
    exact = run(str(python), "-c", "import platform; print(platform.python_version())").stdout.strip()
    done = run(sys.executable, "-m", "pytest", "-q", "tests/lab/agent", "--agent-python", str(python), seconds=PATIENCE)
    closing = done.stdout.rstrip().rpartition("\n")[2]
    count = Counter({word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", closing)})
    failed = count["failed"] + count["error"]
    print(f"{exact:8} {count['passed']:4} passed {failed:4} failed {count['skipped']:4} skipped", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr, flush=True)
    return done.returncode == 0


def main() -> int:
    """Exit code 1 where one failed; a Python that this machine has not is told and fails nothing."""
    fine = True
    for version in PROMISED:
        interpreter = found(version)
        if interpreter is None:
            print(f"{version:8} not found on this machine", flush=True)
        else:
            fine = tested(version, interpreter) and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
