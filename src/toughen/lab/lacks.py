"""Owns what a prototype's environment turned out to lack, remembered between runs for as long as its source is the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.lab import environment as environments
from toughen.lab.caching import cache_folder
from toughen.lab.copying import texts

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.lab.environment import Environment

_LONGEST = 4_000


@dataclass(slots=True)
class Lacks:
    """Needs as `environments.missing` words them, in the order in which they were met."""

    file: Path
    known: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, project: Path, environment: Environment) -> Lacks:
        """What earlier runs met with the same source in the same environment; nothing where they left no note that can be read."""
        digest = hashlib.sha256(str(environment.python).encode())
        for name, text in sorted(texts(project).items()):
            digest.update(f"\0{name}\0{text}".encode("utf-8", "replace"))
        file = cache_folder() / "lacks" / f"{digest.hexdigest()[:24]}.json"
        known: object = []
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(file.read_text(encoding="utf-8")[:_LONGEST])
        return cls(file, [each for each in known if isinstance(each, str)] if isinstance(known, list) else [])

    def supplied(self, environment: Environment) -> Environment:
        """The environment with all that earlier runs met."""
        for need in self.known:
            extended = environments.extend(environment, need)
            if extended is None:
                break
            self.met.append(need)
            environment = extended
        return environment

    def keep(self) -> None:
        """Note what this run met, for the next one."""
        if self.met == self.known:
            return
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            draft = self.file.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(self.met), encoding="utf-8")
            draft.replace(self.file)
