"""Owns the prototype's Python environment: an existing one, or one built by uv from whatever the project says it needs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.errors import EnvironmentFailedError
from toughen.lab import interpreters
from toughen.lab.building import install
from toughen.lab.caching import cache_folder, locked, uv
from toughen.lab.clones import MARKER, clone, notes_of
from toughen.lab.distributions import distribution_of, supported
from toughen.lab.needs import Needs, folders_above, needs, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from toughen.model.blueprint import Entry

_SHOWN = 1500
_ATTEMPTS = 16
_METHOD = "5"
"""Raised where the same needs would be built in another way: what was built before is not used any more."""
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NEED = re.compile(rf"{_NAME}(\[[A-Za-z0-9._,-]+\])?(<[\d.]*)?")
_GONE = {"imp", "asyncore", "asynchat", "smtpd", "cgi", "cgitb", "crypt", "imghdr", "nntplib", "pipes", "sndhdr", "telnetlib"}
"""Modules that a later standard library no longer has (PEP 594)."""

__all__ = ["Environment", "Needs", "build", "cache_folder", "existing", "extend", "missing", "needs"]


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter that can import what the prototype imports."""

    python: Path
    version: str
    """`3.11`."""
    origin: str
    """What it was made from, in words."""
    cached: bool
    notes: tuple[str, ...] = ()
    own: bool = True
    """False for the user's own environment, which is never installed into."""
    wanted: Needs | None = None
    """What it was built for; None where it was found."""


def provided(root: Path, texts: Mapping[str, str], entry: Entry) -> Environment:
    """The project's own environment, else one that is built for it. Raises EnvironmentFailedError."""
    home = PurePosixPath(entry.file).parent.as_posix()
    return existing(root, entry.framework, home=home) or build(needs(root, texts, entry.framework, home=home))


def anew(tree: Path, root: Path, texts: Mapping[str, str], entry: Entry, raised: Sequence[str]) -> Environment:
    """The environment that a changed tree of a project says it needs, with packages as of the project's own day but for the `raised` ones.

    Raises EnvironmentFailedError where it cannot be had as the tree says.
    """
    home = PurePosixPath(entry.file).parent.as_posix()
    before = needs(root, texts, entry.framework, home=home)
    built = build(replace(needs(tree, texts, entry.framework, home=home), as_of=before.as_of, later=tuple(raised)))
    known = set() if existing(root, entry.framework, home=home) else set(build(before).notes)
    lost = [each for each in built.notes if each not in known and (" took " in f" {each}" or each.startswith("left out")) and "the day of the last commit" not in each]
    if lost:
        raise EnvironmentFailedError(lost[0], subject=built)
    return built


def existing(root: Path, framework: str, *, home: str = "") -> Environment | None:
    """The project's own virtual environment, if it can import the framework; `home` is the folder of its entry."""
    for place in (folder / name for folder in folders_above(root, home) for name in (".venv", "venv", "env")):
        python = place / "bin" / "python"
        if not (place / "pyvenv.cfg").is_file() or not python.exists():
            continue
        probe = f"import sys, {framework}; print('%d.%d' % sys.version_info[:2])"
        try:
            done = subprocess.run(
                [str(python), "-I", "-c", probe], capture_output=True, text=True, timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and supported(done.stdout.strip()):
            return Environment(python, done.stdout.strip(), f"the project's own {place.relative_to(root).as_posix()}", cached=True, own=False)
    return None


def build(wanted: Needs, *, cache: Path | None = None) -> Environment:
    """Build (or find in the cache) the environment for these needs.

    Raises EnvironmentFailedError with uv's own words when nothing can be installed.
    """
    folder = (cache or cache_folder()) / "environments"
    notes = list(wanted.notes)
    version, note = interpreters.choose(wanted.python, wanted.as_of)
    if note:
        notes.append(note)
    return _built(folder, version, wanted, notes)


def _built(folder: Path, version: str, wanted: Needs, notes: list[str]) -> Environment:
    digest = hashlib.blake2b(digest_size=12)
    for part in (_METHOD, version, wanted.as_of or "", *wanted.later, *wanted.requirements, *wanted.constraints, *wanted.locked, *(p.read_text(errors="replace") for p in wanted.files)):
        digest.update(part.encode() + b"\0")
    place = folder / digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f"{digest.hexdigest()}.lock"):
        marker = place / MARKER
        python = place / "bin" / "python"
        if marker.is_file() and python.exists():
            extra, cached = notes_of(place), True
        else:
            try:
                extra, cached = _install(place, python, version, wanted), False
            except _NewerPythonError as error:
                return _built(folder, error.version, wanted, [*notes, f"Python {error.version}: {error.reason}"])
            marker.write_text(json.dumps({"notes": extra}))
    return Environment(python, version, wanted.origin, cached=cached, notes=(*notes, *extra), wanted=wanted)


def missing(said: str) -> str | None:
    """What a failed import asks for: a package to add, or, with `<` behind it, an older release of one (or of `python`)."""
    if match := re.search(r"pip install ['\"]?(?:-\S+ )*([A-Za-z0-9][\w.\-]*(?:\[[\w,.\-]+\])?)", said):
        return match.group(1)
    if match := re.search(r"\b([a-z][\w.\-]*) (?:must be|is not|needs to be) installed|\b[Ii]nstall ['\"`]([\w.\-]+)['\"`] (?:for|to)\b", said):
        return distribution_of(match.group(1) or match.group(2))
    if re.search(r"pydantic\.errors\.Pydantic(Import|User)Error|moved to the `pydantic-settings` package", said):
        return "pydantic<"
    if match := re.search(r"No module named ['\"]([A-Za-z_]\w*)", said):
        return "python<" if match.group(1) in _GONE else distribution_of(match.group(1))
    if "initialization of _psycopg raised unreported exception" in said:
        # Releases of psycopg2 before 2.9 on Pythons from 3.10 on.
        return "python<"
    if re.search(r"ValueError: '\w+' is not a valid parameter name", said):
        # Models with a field called `not` (JSON Schema's) cannot be made by older releases of pydantic on later Pythons.
        return "python<"
    if match := re.search(r"cannot import name '\w+' from '(\w+)[\w.]*' \((\S+)\)", said):
        if re.search(r"/lib/python3\.\d+/(?!(site|dist)-packages)", match.group(2)):
            return "python<"
        return _plain(match.group(1)) + "<" if "-packages/" in match.group(2) else None
    if match := re.search(r"module '(\w+)[\w.]*' has no attribute", said):
        return "python<" if match.group(1) in sys.stdlib_module_names else _plain(match.group(1)) + "<"
    if "'LocalStack' object has no attribute '__ident_func__'" in said:
        # Flask-SQLAlchemy before 2.5 wants Werkzeug before 2.
        return "Werkzeug<"
    if match := re.search(r"'(Flask|FastAPI)' object has no attribute", said):
        return f"{match.group(1)}<"
    return None


def _plain(module: str) -> str:
    return re.split(r"[\[<]", distribution_of(module))[0]


def extend(environment: Environment, need: str) -> Environment | None:
    """A copy of the environment with what `missing` said that it lacks; None where that is not possible."""
    if not environment.own or not _NEED.fullmatch(need):
        return None
    if need == "python<":
        return _on_older_python(environment)

    def fill(place: Path) -> str | None:
        made = replace(environment, python=place / "bin" / "python")
        note = _step_down(made, need[:-1]) if need.endswith("<") else _added(made, need)
        return None if note in environment.notes else note

    copied = clone(environment.python.parent.parent, ("extended", need), fill)
    if copied is None:
        # No release of it that the others know runs here: perhaps on the Python of its year.
        return _on_older_python(environment) if need.endswith("<") else None
    place, note = copied
    return None if note in environment.notes else replace(environment, python=place / "bin" / "python", notes=(*environment.notes, note))


def beside(environment: Environment, packages: Sequence[str]) -> Environment | None:
    """The environment with further packages that the source does not need; what others use stays as it is. None where that is not possible."""
    if not environment.own or not packages or not all(_NEED.fullmatch(each) for each in packages):
        return None

    def fill(place: Path) -> str | None:
        made = replace(environment, python=place / "bin" / "python")
        return "" if all(_added(made, package) for package in packages) else None

    copied = clone(environment.python.parent.parent, sorted(packages), fill)
    return replace(environment, python=copied[0] / "bin" / "python") if copied else None


def _added(environment: Environment, package: str) -> str | None:
    day = environment.wanted.as_of if environment.wanted else None
    dated = ["--exclude-newer", day] if day else []
    # What is there already stays as it is, where that can be.
    held = ["-c", str(_frozen(environment))]
    ways: tuple[list[str], ...] = ([*dated, *held], held, dated, [])
    done = any(install("--python", str(environment.python), *way, package) is None for way in ways)
    return f"added {package}, which the source needs and its requirements do not name" if done else None


def _frozen(environment: Environment) -> Path:
    """A constraints file with what is installed."""
    place = environment.python.parent.parent / "frozen.txt"
    code = "import importlib.metadata as m; print('\\n'.join(f'{d.metadata[\"Name\"]}=={d.version}' for d in m.distributions()))"
    try:
        done = subprocess.run([str(environment.python), "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        done = None
    place.write_text(done.stdout if done is not None and done.returncode == 0 else "")
    return place


def _on_older_python(environment: Environment) -> Environment | None:
    """The same packages on an older interpreter: the standard library has dropped what they import."""
    version = interpreters.older(environment.version)
    if version is None or environment.wanted is None:
        return None
    notes = [*environment.wanted.notes, f"Python {version}: its packages do not import on {environment.version}"]
    try:
        return _built(environment.python.parent.parent.parent, version, environment.wanted, notes)
    except EnvironmentFailedError:
        return None


def _step_down(environment: Environment, package: str) -> str | None:
    """Take an older release of a package which the others of its year do not know yet: the major one before, else the minor one."""
    place, wanted = environment.python.parent.parent, environment.wanted
    found = _version(environment, package)
    if found is None or wanted is None:
        return None
    major, minor = found
    for bound in (f"<{major}", f"<{major}.{minor}") if minor else (f"<{major}",):
        files = [part for file in wanted.files if file.is_file() for part in ("-r", str(file))]
        told = ["-r", str(place / "requirements.txt"), "-c", str(place / "constraints.txt"), "--overrides", str(place / "overrides.txt")]
        if install("--python", str(environment.python), *files, *told, f"{package}{bound}") is None:
            return f"took {package}{bound}: later releases lack what the others import"
    return None


def _version(environment: Environment, package: str) -> tuple[int, int] | None:
    """(major, minor) of a package that is installed."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    try:
        done = subprocess.run([str(environment.python), "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"(\d+)(?:\.(\d+))?", done.stdout)
    return (int(match.group(1)), int(match.group(2) or 0)) if match else None


def _install(place: Path, python: Path, version: str, wanted: Needs) -> list[str]:
    """Install the needs as pinned, else without what fails; returns what had to be given up."""
    notes: list[str] = []
    shutil.rmtree(place, ignore_errors=True)
    failed = uv("venv", "--python", interpreters.find(version) or version, str(place))
    if failed is not None:
        message = f"no Python {version} to build the environment with"
        raise EnvironmentFailedError(message, subject=version, hint=failed[-_SHOWN:])
    limits, overrides = place / "constraints.txt", place / "overrides.txt"
    locked = wanted.locked
    limits.write_text("\n".join([*wanted.constraints, *locked]))
    lines = list(wanted.requirements)
    replaced: dict[str, str] = {}
    pins = [line for file in wanted.files for line in _plain_lines(text_of(file)) if "==" in line]
    insist = False
    dated = ["--exclude-newer", wanted.as_of] if wanted.as_of else []
    files = [part for file in wanted.files for part in ("-r", str(file))]
    for _ in range(_ATTEMPTS):
        listed = place / "requirements.txt"
        listed.write_text("\n".join(lines))
        overrides.write_text("\n".join([*replaced.values(), *(line for line in pins if insist and _named(line) not in replaced)]))
        undated = _undated(replaced, wanted.later) if dated else []
        failed = install("--python", str(python), *files, "-r", str(listed), "-c", str(limits), "--overrides", str(overrides), *dated, *undated)
        if failed is None:
            said = ["its pins contradict each other: took each as it stands"] if insist else []
            return [*notes, *said, *([f"packages as of {wanted.as_of}, the day of the last commit"] if dated else [])]
        if (built := _unbuilt(failed)) is not None and built[0] not in replaced:
            # What cannot be compiled here any more: the next release that comes ready-made for this Python.
            name, pinned = built
            replaced[name] = _ready_made(python, name, pinned) or name
            notes.append(f"took {replaced[name]} for {name}=={pinned}, which does not build on Python {version}")
            continue
        _demand_newer(version, failed)
        if locked:
            locked = ()
            limits.write_text("\n".join(wanted.constraints))
            notes.append(f"what its lock file names does not install on Python {version} ({_reason(failed)}): took what its requirements allow")
            continue
        if pins and not insist and "No solution found" in failed:
            # Pins that contradict each other were installed one by one, as older installers did.
            insist = True
            continue
        if dated:
            dated, insist = [], False
            notes.append(f"packages as of {wanted.as_of}, the day of the last commit, do not install on Python {version}: took current ones")
            continue
        unknown = _unknown(failed)
        if unknown is None and (clash := _wanting(failed)) is not None and clash[0] not in replaced:
            replaced[clash[0]] = clash[0]
            notes.append(f"took another release of {clash[0]} than the one pinned: {clash[1]}")
            continue
        if files:
            # Pins from another year may not build here: the same packages, without their pins.
            pins = []
            listing = [line for file in wanted.files for line in _plain_lines(text_of(file))]
            files = []
        else:
            listing = lines
        kept = [line for line in listing if unknown is None or _named(line) != unknown.lower()]
        if listing is lines and len(kept) == len(lines):
            break
        lines = kept if unknown is not None else [match.group(0) for line in kept if (match := re.match(rf"{_NAME}(\[[^\]]*\])?", line))]
        notes.append(f"left out {unknown}: no such package" if unknown else f"the pinned versions do not install on Python {version}; took current ones ({_reason(failed)})")
    shutil.rmtree(place, ignore_errors=True)
    message = f"its packages could not be installed (from {wanted.origin})"
    raise EnvironmentFailedError(message, subject=wanted, hint=(failed or "")[-_SHOWN:])


def _undated(replaced: Iterable[str], later: Iterable[str]) -> list[str]:
    """Options that let packages be of a later day than the others: what stands in for one that does not build must come ready-made."""
    ready = [part for name in replaced for part in ("--only-binary", name)]
    return [*ready, *(part for name in (*replaced, *later) for part in ("--exclude-newer-package", f"{name}=2100-01-01"))]


class _NewerPythonError(Exception):
    """A pin wants a later Python than the one that was chosen, and this machine has it."""

    def __init__(self, version: str, reason: str) -> None:
        super().__init__(reason)
        self.version, self.reason = version, reason


def _demand_newer(version: str, failed: str) -> None:
    """Raise _NewerPythonError where that is what it failed for."""
    wanted = re.search(rf"({_NAME}==\S+) depends on Python>=3\.(\d+)", " ".join(failed.split()))
    if wanted and int(wanted.group(2)) > int(version.partition(".")[2]) and interpreters.find(f"3.{wanted.group(2)}"):
        raise _NewerPythonError(f"3.{wanted.group(2)}", f"{wanted.group(1)} needs it")


def _named(line: str) -> str:
    return re.split(r"[<>=!~\[ ;]", line)[0].lower()


def _plain_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if re.match(rf"\s*{_NAME}", line)]


def _unknown(failed: str) -> str | None:
    """The package that there is none of."""
    lost = re.search(r"Because ([A-Za-z0-9._-]+) was not found|`?([A-Za-z0-9._-]+)`? was not found in the package registry", failed)
    return (lost[1] or lost[2]) if lost else None


def _unbuilt(failed: str) -> tuple[str, str] | None:
    """(name, version) of the package that uv could not build from its source."""
    match = re.search(rf"(?:Failed to build|Failed to download and build) `?({_NAME})==([^`\s]+)", failed)
    return (match.group(1).lower(), match.group(2)) if match else None


def _ready_made(python: Path, name: str, pinned: str) -> str | None:
    """The lowest release from the pinned one on that has a wheel for this interpreter, as a requirement."""
    asked = python.parent.parent / "asked.txt"
    asked.write_text(f"{name}>={pinned}")
    answer = python.parent.parent / "answer.txt"
    if uv("pip", "compile", "--python", str(python), "--only-binary", name, "--resolution", "lowest", "--no-deps", "-o", str(answer), str(asked)) is not None:
        return None
    match = re.search(rf"^{re.escape(name)}==\S+", answer.read_text(), re.MULTILINE | re.IGNORECASE)
    return match.group(0) if match else None


def _wanting(failed: str) -> tuple[str, str] | None:
    """(name, why) of a pin that has no release for this Python or platform."""
    flat = " ".join(failed.split())
    match = re.search(rf"Because (?:there is no version of )?({_NAME})==\S+ (has no (?:usable )?wheels[^,.]*|does not satisfy Python[^,.]*|depends on Python[^,.]*)?", flat)
    return (match.group(1).lower(), match.group(2) or "there is no such version") if match and (match.group(2) or "there is no version of" in match.group(0)) else None


def _reason(text: str) -> str:
    lines = [line.strip(" ╰─▶\N{MULTIPLICATION SIGN}") for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "no reason given")[:160]
