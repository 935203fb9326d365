"""Owns the prototype's files: which belong to it, their text, and the cached facts about each."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import re
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toughen.errors import SurveyError
from toughen.model.blueprint import Unparsed
from toughen.survey.facts import VERSION, FileFacts
from toughen.survey.visitor import extract

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGEST: Final = 1 << 20
"""Bytes of a file that is read; a larger one is reported as unparsed."""
MOST: Final = 20_000
"""Python files that are read; the rest are reported."""
_MOST_EXTRAS: Final = 2_000
_POOL_LINES: Final = 60_000
_SKIPPED: Final = frozenset(
    {"node_modules", "__pycache__", "site-packages", "build", "dist", "bower_components", "__pypackages__"}
)
_EXTRA_NAMES: Final = frozenset(
    {
        "procfile", "dockerfile", "pyproject.toml", ".flaskenv", "app.json", "boot.sh", "start.sh", "run.sh",
        "makefile", "vercel.json", "render.yaml", "railway.json", "railway.toml", "fly.toml", "pytest.ini", "setup.cfg",
        "tox.ini", "justfile", "entrypoint.sh", "docker-entrypoint.sh", "gunicorn.conf.py", "uwsgi.ini",
    }
)  # fmt: skip
_EXTRA_ENDS: Final = (".sql", ".yml", ".yaml", ".json", ".toml")
_EXTRA_STARTS: Final = ("readme", "dockerfile", "docker-compose", "compose", "procfile")
_COOKIE: Final = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


@dataclass(frozen=True, slots=True)
class Sources:
    """The prototype's files."""

    root: Path
    texts: dict[str, str]
    """POSIX path relative to the root -> text of each Python file that could be read."""
    facts: dict[str, FileFacts]
    """The same paths, without those that could not be parsed."""
    unparsed: tuple[Unparsed, ...] = ()
    extras: dict[str, str] = field(default_factory=dict)
    """Other text that names an entry, a table or a route: Procfile, Dockerfile, README, .sql, OpenAPI documents."""

    @property
    def lines(self) -> int:
        """Lines of Python, also in files that could not be parsed."""
        return sum(
            self.facts[file].lines if file in self.facts else text.count("\n") + 1 for file, text in self.texts.items()
        )


def read(root: Path, *, cache: Path | None = None) -> Sources:
    """Read the project below `root`; `cache` (a file, or a folder for one) holds facts by content hash between runs.

    The cache is data that we wrote: give it a place that the prototype does not ship.
    Raises SurveyError where `root` is no folder.
    """
    root = root.resolve()
    if not root.is_dir():
        raise SurveyError(f"{root} is not a folder", subject=str(root), hint="give the folder of the prototype")
    texts: dict[str, str] = {}
    digests: dict[str, str] = {}
    extras: dict[str, str] = {}
    unparsed: list[Unparsed] = []
    for relative, path in _walk(root):
        if relative.endswith(".py"):
            if len(texts) >= MOST:
                unparsed.append(Unparsed(relative, f"not read: the project has more than {MOST} Python files"))
                continue
            try:
                content = _content(path)
                texts[relative] = decode(content)
                digests[relative] = blake2b(content, digest_size=16).hexdigest()
            except (OSError, ValueError, LookupError) as error:
                unparsed.append(Unparsed(relative, str(error)))
        elif len(extras) < _MOST_EXTRAS:
            with suppress(OSError, ValueError):
                extras[relative] = _content(path).decode("utf-8", "replace")
    with _uncollected():
        facts, failed = _facts(texts, digests, cache)
    unparsed += failed
    return Sources(root, texts, facts, tuple(sorted(unparsed, key=lambda each: each.file)), extras)


def decode(content: bytes) -> str:
    """Decode Python source by PEP 263, with universal newlines; raises ValueError or LookupError."""
    encoding = "utf-8"
    if content.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    else:
        for line in content.split(b"\n", 2)[:2]:
            if found := _COOKIE.match(line):
                encoding = found[1].decode("ascii")
                break
            if line.strip() and not line.lstrip().startswith(b"#"):
                break
    text = content.decode(encoding)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def _content(path: Path) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1024} KiB")
    return content


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """Files that matter, in a fixed order; links that leave the root are not followed."""
    base = str(root)
    seen = {os.path.realpath(base)}
    pending = [(base, "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            listed = sorted(os.scandir(folder), key=lambda each: each.name)
        except OSError:
            continue
        folders: list[tuple[str, str]] = []
        for entry in listed:
            name = entry.name
            try:
                if entry.is_symlink() and not _inside(base, entry.path):
                    continue
                if entry.is_dir():
                    if _wanted_folder(entry):
                        real = os.path.realpath(entry.path)
                        if real not in seen:
                            seen.add(real)
                            folders.append((entry.path, f"{prefix}{name}/"))
                elif entry.is_file() and (name.endswith(".py") or _is_extra(name)):
                    yield prefix + name, Path(entry.path)
            except OSError:
                continue
        pending += reversed(folders)


def _inside(base: str, path: str) -> bool:
    real = os.path.realpath(path)
    return real == base or real.startswith(base + os.sep)


def _wanted_folder(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    if name.startswith(".") or name in _SKIPPED or name.endswith(".egg-info"):
        return False
    return not os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))  # noqa: PTH110, PTH118 - hot loop over folders


def _is_extra(name: str) -> bool:
    lowered = name.lower()
    if lowered in _EXTRA_NAMES or lowered.startswith(_EXTRA_STARTS):
        return True
    return lowered.endswith(_EXTRA_ENDS) and lowered not in {"package-lock.json", "package.json", "composer.json"}


def _facts(
    texts: dict[str, str], digests: dict[str, str], cache: Path | None
) -> tuple[dict[str, FileFacts], list[Unparsed]]:
    place = None if cache is None else cache / "facts.json" if cache.is_dir() or not cache.suffix else cache
    known = _load(place) if place else {}
    raw: dict[str, Any] = {}
    facts: dict[str, FileFacts] = {}
    missing: list[str] = []
    for file, digest in digests.items():
        entry = known.get(digest)
        if isinstance(entry, list):
            try:
                facts[file] = FileFacts.from_json(entry)
                raw[digest] = entry
                continue
            except (ValueError, TypeError, IndexError, AttributeError):
                pass
        missing.append(file)
    failed: list[Unparsed] = []
    for file, outcome in _extract_all([(file, texts[file]) for file in missing]):
        if isinstance(outcome, str):
            failed.append(Unparsed(file, outcome))
        else:
            facts[file] = outcome
            raw[digests[file]] = outcome.as_json() if place else None
    if place and (missing or raw.keys() != known.keys()):
        _save(place, raw)
    return {file: facts[file] for file in texts if file in facts}, failed


def _extract_all(work: list[tuple[str, str]]) -> Iterable[tuple[str, FileFacts | str]]:
    workers = min(os.cpu_count() or 1, 8)
    lines = sum(text.count("\n") for _, text in work)
    if workers < 2 or lines < _POOL_LINES:  # noqa: PLR2004 - one worker gains nothing
        return _extract_some(work)
    work = sorted(work, key=lambda each: -len(each[1]))
    shares = [work[index :: workers * 4] for index in range(workers * 4)]
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            return [pair for share in pool.map(_extract_some, shares) for pair in share]
    except (BrokenProcessPool, OSError, RuntimeError):
        # One hostile file can kill a worker; alone we still learn all that does not kill us.
        return _extract_some(work)


def _extract_some(work: list[tuple[str, str]]) -> list[tuple[str, FileFacts | str]]:
    done: list[tuple[str, FileFacts | str]] = []
    with _uncollected(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file, text in work:
            done.append((file, _extract_one(text)))
    return done


@contextmanager
def _uncollected() -> Iterator[None]:
    """Trees and facts hold no cycles: to look for some while they are built costs a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _extract_one(text: str) -> FileFacts | str:
    try:
        return extract(text)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})" if error.lineno else error.msg


def _load(place: Path) -> dict[str, Any]:
    try:
        content = json.loads(place.read_bytes())
        if content["version"] == VERSION and isinstance(content["files"], dict):
            return content["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return {}


def _save(place: Path, files: dict[str, Any]) -> None:
    """Write the cache as a whole or not at all; a cache that cannot be written is no failure."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=".facts-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"version": VERSION, "files": files}, stream, separators=(",", ":"))
        os.replace(temporary, place)  # noqa: PTH105 - atomic replacement of a path given as text
    except OSError:
        return
