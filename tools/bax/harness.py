"""Runs BaxBench's own functional tests and exploits of one scenario against one solution, each in a fresh cell, without docker.

Run by an interpreter of 3.12 or newer that has what BaxBench imports: ``python harness.py SPEC.json``. BaxBench reaches into its containers
through the `docker` package alone; the module that stands in for it here does the same five things to a cell: put and get files, run a
command, tell how much memory is used, tell which processes run. BaxBench's files are imported as they are.
What differs from docker: memory is the sum of the processes' resident pages and of the files in the cell (docker adds the kernel's), the
system's programs are the machine's own, and nothing in a cell reaches any other host.
"""

from __future__ import annotations

import http.client
import importlib
import json
import logging
import multiprocessing
import os
import pkgutil
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import types
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

CELL = Path(__file__).with_name("cell.py")
MEMORY = 1 << 30
"""BaxBench gives its containers one GiB."""
DISK = 3 << 30
"""Room for what a bomb unpacks, above the one GiB that BaxBench calls too much."""
BOOT_SECONDS = 60.0
TEST_SECONDS = 60.0
_GLANCES, _GLANCE = 8, 0.05
TOLD = 1500
"""Letters kept of what the solution and the test printed."""
CRASHED = 703
"""BaxBench's own verdict, besides the exploit's, where the server has died of it and no exhaustion was found."""
EXHAUSTED = 400


class APIError(Exception):
    """What docker raises where a container has stopped or lacks a file."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What `exec_run` answers."""

    exit_code: int
    output: bytes

    def __iter__(self) -> Iterator[object]:
        """It is read as a pair, too."""
        return iter((self.exit_code, self.output))


class Environment(Protocol):
    """What is used here of BaxBench's description of a framework and its image."""

    workdir: str
    port: int
    entrypoint_cmd: str


class Container:
    """A cell, seen as docker's client shows a container. Its id is `<process of the cell>-<the solution's, inside>`."""

    def __init__(self, identity: str) -> None:
        """It knows nothing but its id: tests run in processes of their own."""
        self.id = identity
        self._cell, self._solution = identity.split("-")
        self._root = Path(f"/proc/{self._cell}/root")

    def alive(self) -> bool:
        """Whether the solution's first process runs."""
        try:
            return (self._root / "proc" / self._solution / "stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
        except (OSError, IndexError):
            return False

    def gone(self) -> bool:
        """Whether it has ended, or ends within a moment: who asked it hears of its death sooner than the system is done with it."""
        for _ in range(_GLANCES):
            if not self.alive():
                return True
            time.sleep(_GLANCE)
        return False

    def _enter(self, *command: str, given: bytes = b"") -> Ran:
        entered = ("nsenter", "--target", self._cell, "--user", "--mount", "--pid", "--net", "--ipc", "--root", "--wd", *command)
        done = subprocess.run(entered, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=inside())
        return Ran(done.returncode, done.stdout)

    def put_archive(self, path: str, data: bytes) -> bool:
        """Unpack a tar file in a folder."""
        done = self._enter("tar", "-x", "-f", "-", "-C", path, given=data)
        if done.exit_code:
            raise APIError(done.output.decode(errors="replace"))
        return True

    def get_archive(self, path: str) -> tuple[list[bytes], dict[str, str]]:
        """A file or folder as a tar file, without what is bound into the cell from outside."""
        folder, name = os.path.split(path.rstrip("/"))
        script = f"exec tar -c --one-file-system -f - -C {shlex.quote(folder or '/')} -- {shlex.quote(name or '.')} 2>/dev/null"
        done = self._enter("sh", "-c", script)
        if done.exit_code > 1:  # 1 is a file that changed meanwhile
            raise APIError(f"no {path} in the cell")
        return [done.output], {"name": name}

    def exec_run(self, command: str | list[str], **_options: object) -> Ran:
        """Run a command inside; a container that has stopped runs none."""
        if not self.alive():
            raise APIError("the container is not running")
        return self._enter(*(shlex.split(command) if isinstance(command, str) else command))

    def stats(self, **_options: object) -> dict[str, dict[str, int]]:
        """Bytes of memory; empty where the container has stopped, as docker answers."""
        if not self.alive():
            return {"memory_stats": {}}
        pages = 0
        for folder in (self._root / "proc").iterdir():
            if folder.name.isdigit() and folder.name != "1":
                with suppress(OSError, ValueError, IndexError):
                    pages += int((folder / "statm").read_text().split()[1])
        files = os.statvfs(self._root)
        held = (files.f_blocks - files.f_bfree) * files.f_frsize
        return {"memory_stats": {"usage": pages * os.sysconf("SC_PAGE_SIZE") + held}}


def stand_in() -> None:
    """Put a `docker` package among the modules before BaxBench asks for it."""
    names = ("docker", "docker.errors", "docker.models", "docker.models.containers")
    docker, errors, models, containers = (types.ModuleType(name) for name in names)
    client = types.SimpleNamespace(containers=types.SimpleNamespace(get=Container))
    errors.__dict__.update(APIError=APIError, NotFound=APIError, DockerException=APIError)
    containers.__dict__.update(Container=Container, ExecResult=Ran)
    models.__dict__.update(containers=containers)
    docker.__dict__.update(from_env=lambda: client, errors=errors, models=models)
    sys.modules.update(zip(names, (docker, errors, models, containers), strict=True))


def inside(python: str | None = None) -> dict[str, str]:
    """The environment in a cell: BaxBench's one variable, and where programs are."""
    places = [str(Path(python).parent)] if python else []
    path = ":".join([*places, "/opt/cell", "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"])
    return {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "APP_SECRET": "supers3cret", "PYTHONUNBUFFERED": "1"}


@contextmanager
def cell(spec: dict[str, Any], environment: Environment, folder: Path) -> Iterator[tuple[Container, int]]:
    """A running cell and its port on loopback; raises TimeoutError where the solution does not answer. It ends with the block."""
    folder.mkdir(parents=True)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.listen(64)
    (folder / "root").mkdir()
    words = {
        "solution": spec["solution"], "python": spec["python"], "readable": spec["readable"], "workdir": environment.workdir,
        "port": environment.port, "command": shlex.split(environment.entrypoint_cmd), "environment": inside(spec["python"]), "memory": MEMORY,
        "disk": DISK, "listener": listener.fileno(), "root": str(folder / "root"), "status": str(folder / "status"), "log": str(folder / "log"),
    }  # fmt: skip
    (folder / "spec.json").write_text(json.dumps(words))
    apart = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child")
    command = (*apart, sys.executable, "-I", str(CELL), str(folder / "spec.json"))
    lifeline, held = socket.socketpair()
    with held, (folder / "cell.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=held.fileno(), stdout=log, stderr=log, pass_fds=[listener.fileno()])
    try:
        port = listener.getsockname()[1]
        listener.close()
        yield Container(started(folder / "status", process)), port
    finally:
        process.kill()
        process.wait()
        lifeline.close()


def started(status: Path, process: subprocess.Popen[bytes]) -> str:
    """The id of a cell once it has started its solution."""
    limit = time.monotonic() + BOOT_SECONDS
    while not status.exists():
        if process.poll() is not None or time.monotonic() > limit:
            raise TimeoutError(f"no cell: {status.with_name('cell.log').read_text()[-2000:]}")
        time.sleep(0.02)
    told = json.loads(status.read_text())
    return f"{told['cell']}-{told['solution']}"


def answering(container: Container, port: int) -> bool:
    """Whether the solution answers any request within its time."""
    limit = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < limit and container.alive():
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            caller.request("GET", "/")
            caller.getresponse()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            return True
        finally:
            caller.close()
    return False


def call(test: Callable[[object], Any], instance: object, told: Connection) -> None:
    """Run a test in its own process and say what came of it."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        found = test(instance)
    except BaseException as error:  # noqa: BLE001  # a test may raise anything, and that is its result
        told.send(("raised", f"{type(error).__name__}: {error}"[:500]))
    else:
        told.send(("answered", found if isinstance(found, bool) or found is None else sorted(each.value["num"] for each in found)))
    told.close()
    os._exit(0)  # threads that a time-out has left behind would be waited for


def limited(test: Callable[[object], Any], instance: object) -> tuple[str, Any]:
    """What a test says, or that it took too long."""
    context = multiprocessing.get_context("fork")
    heard, told = context.Pipe(duplex=False)
    process = context.Process(target=call, args=(test, instance, told))
    process.start()
    told.close()
    try:
        return heard.recv() if heard.poll(TEST_SECONDS) else ("raised", "took too long")
    except EOFError:
        return "raised", "ended without a word"
    finally:
        process.kill()
        process.join()


def run(test: Callable[[object], Any], spec: dict[str, Any], environment: Environment, folder: Path) -> dict[str, Any]:
    """Run one test in one cell: what it answered, whether the solution died of it, and the end of what both printed."""
    result: dict[str, Any] = {"test": test.__name__}
    try:
        with cell(spec, environment, folder) as (container, port):
            if not answering(container, port):
                return {**result, "raised": "the server did not answer"}
            instance = importlib.import_module("scenarios.base").AppInstance(port=port, log_file_path=folder / "test.log", container_id=container.id, env=environment)
            kind, value = limited(test, instance)
            result |= {kind: value, "died": container.gone()}
    except (OSError, TimeoutError) as error:
        result["raised"] = str(error)[:500]
    finally:
        for key, name in (("printed", "log"), ("told", "test.log")):
            with suppress(OSError):
                result[key] = (folder / name).read_text(errors="replace")[-TOLD:]
        shutil.rmtree(folder, ignore_errors=True)
    return result


def every_scenario() -> dict[str, Any]:
    """BaxBench's scenarios by their id."""
    package = importlib.import_module("scenarios")
    modules = [importlib.import_module(f"scenarios.{module.name}") for module in pkgutil.iter_modules(package.__path__)]
    return {module.SCENARIO.id: module.SCENARIO for module in modules if hasattr(module, "SCENARIO")}


def main() -> int:
    """Write the results of every test, or what there is to test, to the file that the spec names."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    stand_in()
    sys.path.insert(0, spec["source"])
    if "describe" in spec:
        python = importlib.import_module("env.python")
        told = {"scenarios": sorted(every_scenario()), "environments": {name: getattr(python, name).manifest_files for name in spec["describe"]}}
        Path(spec["out"]).write_text(json.dumps(told))
        return 0
    scenario = every_scenario()[spec["scenario"]]
    environment = getattr(importlib.import_module("env.python"), spec["environment"])
    work = Path(tempfile.mkdtemp(dir=spec["work"]))
    results: dict[str, list[dict[str, Any]]] = {"functional": [], "exploits": []}
    try:
        for kind, tests in (("functional", scenario.functional_tests), ("exploits", scenario.security_tests)):
            for number, test in enumerate(tests):
                results[kind].append(run(test, spec, environment, work / f"{kind}{number}"))
            if kind == "functional" and spec["stop"] and not all(each.get("answered") is True for each in results[kind]):
                break
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for each in results["exploits"]:
        found = each.get("answered")
        if each.get("died") and EXHAUSTED not in (found or []):
            each["answered"] = sorted({*(found or []), CRASHED})
    Path(spec["out"]).write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
