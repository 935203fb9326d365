"""What is added to an environment is added to a copy: whoever else uses it never sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from toughen.lab.environment import Environment, Needs, beside, build, extend

if TYPE_CHECKING:
    from pathlib import Path


def _wheel(folder: Path, name: str, version: str, *, script: bool = False) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"version = {version!r}\n\n\ndef main():\n    import sys\n    print(sys.prefix)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n"} if script else {}),
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for place, text in files.items():
            wheel.writestr(place, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{place},,\n" for place in (*files, f"{info}/RECORD")))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of environments, and wheels that uv finds without any index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    _wheel(wheels, "oak", "1.0", script=True)
    _wheel(wheels, "oak", "2.0", script=True)
    _wheel(wheels, "elm", "1.0")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return tmp_path / "cache"


def _built(cache: Path, *requirements: str) -> Environment:
    return build(Needs("test", requirements=requirements or ("oak",)), cache=cache)


def _says(environment: Environment, code: str) -> str:
    done = subprocess.run([str(environment.python), "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]


def test_another_prototype_with_the_same_needs_gets_nothing_that_it_never_asked_for(cache: Path) -> None:
    """After one prototype was given `elm`, the next one with equal requirements has neither the package nor the note."""
    extended = extend(_built(cache), "elm")
    assert extended is not None
    assert _says(extended, "import elm, oak; print(elm.version, oak.version)") == "1.0 2.0"
    assert extended.notes == ("added elm, which the source needs and its requirements do not name",)
    again = _built(cache)
    assert again.cached
    assert again.notes == ()
    assert "No module named 'elm'" in _says(again, "import elm")


def test_an_older_release_is_taken_in_a_copy(cache: Path) -> None:
    """A step down to an older release leaves the one that the others have where it was, though both share files."""
    extended = extend(_built(cache), "oak<")
    assert extended is not None
    assert _says(extended, "import oak; print(oak.version)") == "1.0"
    assert extended.notes[0].startswith("took oak<2")
    assert _says(_built(cache), "import oak; print(oak.version)") == "2.0"


def test_what_was_added_once_is_found_again(cache: Path) -> None:
    """The next run of the same prototype gets the copy that is there, with its note, and installs nothing."""
    first = extend(_built(cache), "elm")
    assert first is not None
    made = (first.python.parent.parent / "complete.json").stat().st_ctime_ns
    began = time.monotonic()
    again = extend(_built(cache), "elm")
    assert again is not None
    assert again.python == first.python
    assert again.notes == first.notes
    assert (again.python.parent.parent / "complete.json").stat().st_ctime_ns == made
    assert time.monotonic() - began < 1
    # Both together are a copy of their own; and what is there already cannot be what is missing.
    both = extend(first, "oak<")
    assert both is not None
    assert [note.split(",")[0].split(":")[0] for note in both.notes] == ["added elm", "took oak<2"]
    assert _says(both, "import elm, oak; print(elm.version, oak.version)") == "1.0 1.0"
    assert extend(first, "elm") is None


def test_what_only_the_tests_need_is_no_need_of_the_source(cache: Path) -> None:
    """Packages beside the prototype's own are there, and nothing says that its source needs them."""
    wider = beside(_built(cache), ["elm"])
    assert wider is not None
    assert _says(wider, "import elm; print(elm.version)") == "1.0"
    assert wider.notes == ()
    extended = extend(_built(cache), "elm")
    assert extended is not None
    assert extended.python != wider.python


def test_scripts_of_a_copy_run_its_own_interpreter(cache: Path) -> None:
    """A command of the copy imports from the copy, not from what it was made of; and no file is left that speaks of another."""
    extended = extend(_built(cache), "elm")
    assert extended is not None
    home = extended.python.parent.parent
    done = subprocess.run([str(home / "bin" / "oak")], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == str(home)


def test_what_cannot_be_had_leaves_nothing(cache: Path) -> None:
    """A package that there is none of ends without an environment, and without a trace in the cache."""
    built = _built(cache)
    before = {each.name for each in (cache / "environments").iterdir() if each.is_dir()}
    assert extend(built, "ash") is None
    assert beside(built, ["elm", "ash"]) is None
    assert {each.name for each in (cache / "environments").iterdir() if each.is_dir()} == before


def _another(cache: Path, pause: str = "") -> subprocess.Popen[str]:
    """Another process that adds `elm`."""
    code = f"""
        import os, shutil, sys, time
        from pathlib import Path
        from toughen.lab import clones, environment
        {pause}
        built = environment.build(environment.Needs("test", requirements=("oak",)), cache=Path(sys.argv[1]))
        print(environment.extend(built, "elm").python)
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(cache)], stdout=subprocess.PIPE, text=True, env=dict(os.environ))


def test_two_at_once_get_one_whole_copy(cache: Path) -> None:
    """Processes and threads that add the same at the same time get the same environment, and it is whole."""
    _built(cache)
    others = [_another(cache), _another(cache)]
    with ThreadPoolExecutor(3) as threads:
        own = list(threads.map(lambda _: extend(_built(cache), "elm"), range(3)))
    told = {other.communicate(timeout=120)[0].strip() for other in others}
    assert told == {str(each.python) for each in own if each}
    assert None not in own
    assert _says(own[0] or _built(cache), "import elm; print(elm.version)") == "1.0"
    assert not list((cache / "environments").glob("*-[0-9]*"))


def test_an_interrupted_copy_is_made_anew(cache: Path) -> None:
    """A process that is killed between copying and installing leaves nothing that is taken for whole, nor litter after the next."""
    _built(cache)
    other = _another(cache, "clones._name_anew = lambda *told: (print('here', flush=True), time.sleep(60))")
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "here"
    other.send_signal(signal.SIGKILL)
    other.communicate(timeout=30)
    assert list((cache / "environments").glob("*-[0-9]*"))
    extended = extend(_built(cache), "elm")
    assert extended is not None
    assert _says(extended, "import elm; print(elm.version)") == "1.0"
    assert not list((cache / "environments").glob("*-[0-9]*"))
