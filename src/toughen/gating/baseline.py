"""Owns `toughen-baseline.json`: the faults that a project had when it took up the gate, which may only become fewer."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from toughen import repository, store
from toughen.errors import ConfigurationError
from toughen.model.gate import Fault
from toughen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE: Final = "toughen-baseline.json"
SCHEMA: Final = 1
_LARGEST: Final = 32 << 20
_ANEW: Final = "delete it and write it anew with `toughen gate --write-baseline`: the commit shows what that lets in"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is let through because it was there before."""

    since: str = ""
    """The commit at which it was written: what came later is new. Empty without git."""
    faults: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Gate -> key -> how many."""
    toughen: str = __version__

    def split(self, gate: str, faults: Iterable[Fault], doubtful: Iterable[Fault] = ()) -> tuple[list[Fault], list[Fault], int]:
        """(what is new, what is known, how many are gone) of a gate's faults; strict ones are always new, and doubtful ones are not gone."""
        known = self.faults.get(gate, {})
        now: Counter[str] = Counter()
        new: list[Fault] = []
        old: list[Fault] = []
        for each in faults:
            if each.strict:
                new.append(each)
                continue
            now[each.key] += each.count
            (old if now[each.key] <= known.get(each.key, 0) or _doubts(each, known) else new).append(each)
        unclear = {each.key for each in doubtful} | {key for each in old for key in _doubts(each, known)}
        return new, old, sum(max(0, count - now[key]) for key, count in known.items() if key not in unclear)


def _doubts(fault: Fault, known: Mapping[str, int]) -> set[str]:
    """The keys of a baseline that stand for a fault which it did not know yet."""
    return set() if fault.key in known else {key for key in fault.alike if key in known}


def read(root: Path) -> Baseline | None:
    """The baseline of a project; None where there is none. Raises ConfigurationError."""
    file = root / FILE
    try:
        if file.stat().st_size > _LARGEST:
            raise ConfigurationError(f"{FILE} is too large to be a baseline", subject=file)
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{FILE} cannot be read: {error}", subject=file) from error
    return parsed(text, FILE)


def parsed(text: str, name: str) -> Baseline:
    """A baseline as it was written. Raises ConfigurationError that says where it is none."""
    try:
        whole: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not JSON: {error}", subject=name, hint=_ANEW) from error
    if not isinstance(whole, dict) or "schema" not in whole:
        raise ConfigurationError(f"{name} is no baseline: it has no `schema`", subject=name, hint=_ANEW)
    if whole["schema"] != SCHEMA:
        raise ConfigurationError(f"{name} has schema {whole['schema']!r}, of toughen {whole.get('toughen', '?')}; this is toughen {__version__}, which reads schema {SCHEMA}", subject=name, hint=f"use that release, or {_ANEW}")
    gates = whole.get("gates")
    if not isinstance(gates, dict) or not all(isinstance(each, dict) for each in gates.values()):
        raise ConfigurationError(f"{name}: `gates` must be an object of objects", subject=name, hint=_ANEW)
    for gate, faults in gates.items():
        for key, count in faults.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise ConfigurationError(f"{name}: {gate}: {key!r} must be a number from 1 on, not {count!r}", subject=name)
    since = whole.get("since", "")
    return Baseline(since if isinstance(since, str) else "", gates, str(whole.get("toughen", "")))


def written(root: Path, faults: Mapping[str, Iterable[Fault]], before: Baseline | None) -> Baseline:
    """Write what is there now; where there was a baseline, only what it lets through already. Raises OSError."""
    found: dict[str, dict[str, int]] = {gate: dict(each) for gate, each in before.faults.items()} if before else {}
    for gate, now in faults.items():
        counted: Counter[str] = Counter()
        known = before.faults.get(gate, {}) if before is not None else None
        for each in now:
            if not each.strict:
                counted[each.key] += each.count
                # What lets it through stays for as long as it is there.
                counted.update(_doubts(each, known or {}))
        found[gate] = {key: count if known is None else min(count, known[key]) for key, count in sorted(counted.items()) if known is None or key in known}
    since = before.since if before is not None else repository.resolved(root, "HEAD")
    made = Baseline(since, {gate: each for gate, each in sorted(found.items()) if each})
    text = json.dumps({"schema": SCHEMA, "toughen": made.toughen, "since": made.since, "gates": made.faults}, indent=1, ensure_ascii=False)
    store.write(root / FILE, f"{text}\n".encode("utf-8", "replace"))
    return made


def risen(root: Path, now: Baseline, commit: str) -> list[Fault]:
    """What the baseline lets through and the one of that commit did not: somebody raised it."""
    text = repository.content(root, commit, FILE).decode("utf-8", "replace") if commit else ""
    if not text:
        return []
    try:
        then = parsed(text, f"{FILE} of {commit[:12]}")
    except ConfigurationError:
        return []
    return [
        Fault(f"{gate} {key}", f"the baseline lets {count} of {gate}'s {key!r} through, and {then.faults.get(gate, {}).get(key, 0)} before")
        for gate, each in now.faults.items() for key, count in each.items() if count > then.faults.get(gate, {}).get(key, 0)
    ]
