"""What hostile code can do inside the box: nothing that is seen outside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toughen.lab import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

OUTSIDE = Path(__file__).resolve().parents[2] / "pyproject.toml"
"""A file that no prototype has any business with."""


@pytest.fixture
def inside(tmp_path: Path) -> Callable[[str], str]:
    """Run code in a box; what it printed."""

    def run(code: str, seconds: float = 20) -> str:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        python = Path(sys.executable)
        box = sandbox.start(
            [[str(python), "-c", code]], work=work, cwd=work, python=python, environment=sandbox.scrubbed(work, {}), name="t"
        )
        try:
            box.process.wait(timeout=seconds)
        finally:
            level = box.level()
            box.close()
        if not level.startswith("full"):
            pytest.skip(f"this system's sandbox is weaker: {level}")
        return box.output()

    return run


def test_it_writes_only_in_its_own_folder(inside: Callable[[str], str], tmp_path: Path) -> None:
    """Writing beside its folder, in the shared temporary folder or in this project fails or is seen by nobody."""
    places = [tmp_path / "beside.txt", Path("/tmp") / f"toughen-{os.getpid()}.txt", OUTSIDE.with_name("escaped.txt"), Path.home() / "escaped"]
    said = inside(
        "open('mine.txt', 'w').write('x')\n"
        f"for place in {[str(each) for each in places]!r}:\n"
        "    try: open(place, 'w').write('x')\n"
        "    except OSError as error: print('refused', place)\n"
    )
    assert not [each for each in places if each.exists()], said
    assert (tmp_path / "work" / "mine.txt").read_text() == "x"


def test_it_reads_no_secrets(inside: Callable[[str], str], tmp_path: Path) -> None:
    """A key in a home folder, this project's files and the environment of toughen cannot be read."""
    key = tmp_path / "home" / ".ssh" / "id_ed25519"
    key.parent.mkdir(parents=True)
    key.write_text("SECRET-KEY")
    said = inside(
        f"for place in {[str(key), str(OUTSIDE), f'/proc/{os.getpid()}/environ']!r}:\n"
        "    try: print('READ', place, open(place).read()[:40])\n"
        "    except OSError as error: print('refused', type(error).__name__)\n"
        "import os; print(sorted(os.environ))\n"
    )
    assert "READ" not in said
    assert "SECRET-KEY" not in said
    assert "PATH" in said
    assert "PYTEST" not in said


def test_it_reaches_nobody(inside: Callable[[str], str]) -> None:
    """Neither the internet nor a service on this machine's loopback answers from inside; its own loopback works."""
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        service.listen()
        said = inside(
            "import socket\n"
            f"for address in [('192.0.2.1', 80), ('1.1.1.1', 443), ('127.0.0.1', {service.getsockname()[1]})]:\n"
            "    try: socket.create_connection(address, timeout=2); print('REACHED', address)\n"
            "    except OSError as error: print('refused', error)\n"
            "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
            "socket.create_connection(s.getsockname(), timeout=2); print('own loopback')\n"
        )
    assert "REACHED" not in said
    assert "own loopback" in said


def test_it_sees_no_other_process(inside: Callable[[str], str]) -> None:
    """It can signal neither toughen nor its parent's world: their process ids mean nothing inside."""
    with subprocess.Popen(["sleep", "60"]) as victim:
        inside(
            "import os, signal\n"
            f"for pid in [{victim.pid}, {os.getpid()}, os.getppid(), -1]:\n"
            "    try: os.kill(pid, signal.SIGKILL)\n"
            "    except OSError: pass\n"
        )
        assert victim.poll() is None
        victim.kill()


def test_nothing_outlives_the_box(tmp_path: Path) -> None:
    """Daemons that detach themselves twice are gone when the box is closed."""
    work = tmp_path / "work"
    work.mkdir()
    beat = work / "beat"
    python = Path(sys.executable)
    code = (
        "import os, time\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            while True: open('beat', 'a').write('x'); time.sleep(0.02)\n"
        "        os._exit(0)\n"
        "time.sleep(600)\n"
    )
    box = sandbox.start([[str(python), "-c", code]], work=work, cwd=work, python=python, environment=sandbox.scrubbed(work, {}), name="t")
    deadline = time.monotonic() + 10
    while not beat.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    box.close()
    assert beat.exists()
    size = beat.stat().st_size
    time.sleep(0.3)
    assert beat.stat().st_size == size


def test_the_box_goes_with_its_owner(tmp_path: Path) -> None:
    """When toughen itself is killed, the box ends too: the lifeline is a pipe."""
    work = tmp_path / "work"
    work.mkdir()
    code = (
        "import sys, time; from pathlib import Path; from toughen.lab import sandbox\n"
        f"work = Path({str(work)!r}); python = Path(sys.executable)\n"
        "inner = \"import time\\nwhile True: open('beat', 'a').write('x'); time.sleep(0.02)\"\n"
        "sandbox.start([[str(python), '-c', inner]], work=work, cwd=work, python=python, environment=sandbox.scrubbed(work, {}), name='t')\n"
        "time.sleep(600)\n"
    )
    beat = work / "beat"
    with subprocess.Popen([sys.executable, "-c", code]) as owner:
        deadline = time.monotonic() + 15
        while not beat.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        owner.kill()
    assert beat.exists()
    time.sleep(0.5)
    size = beat.stat().st_size
    time.sleep(0.3)
    assert beat.stat().st_size == size
