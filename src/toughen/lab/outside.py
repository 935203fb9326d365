"""Owns the lab's own folder: outside of all that is the prototype's, where a trial plants files and finds what came to lie there."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.model.journey import Marker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toughen.lab.requests import Resolver
    from toughen.model.trace import Exchange
    from toughen.model.trial import Planted, Trial

BESIDE = "beside/"
"""What the names of files begin with that lie in the lab's own folders in the prototype's copy."""
_MOST, _SHOWN = 50, 200
_STARTED = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn")
_PATIENCE, _GLANCE = 0.6, 0.05
"""Seconds that a command which was started and not waited for has to show itself."""


def uses_outside(trial: Trial) -> bool:
    """Whether a trial plants something outside, or names the folder in what it sends."""
    values = [each.value for call in trial.calls for each in call.arguments]
    return bool(trial.planted) or any(isinstance(each, Marker) and "{outside}" in each.shape for each in values)


@dataclass(slots=True)
class Outside:
    """A folder beside the world: the prototype may write to it, and has no reason to."""

    folder: Path
    project: Path
    """The prototype's copy."""
    _made: list[Path] = field(default_factory=list)
    """Folders of the lab's own in the prototype's copy."""

    def plant(self, files: Sequence[Planted], resolver: Resolver) -> None:
        """Clear the folder and lay the files; a name with a folder in it is refused by cutting it off."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        for each in files:
            place = self.folder if each.folder is None else self._beside(each, resolver)
            name = str(resolver.resolve(each.name, ())).replace("/", "_")
            if place is not None:
                (place / name).write_text(str(resolver.resolve(each.text, ())))

    def _beside(self, planted: Planted, resolver: Resolver) -> Path | None:
        """The folder that a file wants beside one of the prototype's, made; None where it would lie elsewhere, or is there already."""
        name = str(resolver.resolve(planted.folder, ())).replace("/", "_") if planted.folder is not None else ""
        place = (self.project / planted.beside).parent.resolve() / name
        if not name or not place.is_relative_to(self.project.resolve()) or not place.parent.is_dir():
            return None
        if place not in self._made:
            if place.exists():
                return None
            place.mkdir()
            self._made.append(place)
        return place

    def clear(self) -> None:
        """Take the lab's own folders out of the prototype's copy."""
        for each in self._made:
            shutil.rmtree(each, ignore_errors=True)
        self._made.clear()

    def found(self, exchange: Exchange | None) -> tuple[tuple[str, str], ...]:
        """(name, beginning of the text) of what lies there; waits a moment where a command with a canary was started and left nothing yet."""
        held = self._held()
        started = exchange is not None and any(each.event.startswith(_STARTED) for each in exchange.sightings)
        until = time.monotonic() + (_PATIENCE if started else 0.0)
        while not held and time.monotonic() < until:
            time.sleep(_GLANCE)
            held = self._held()
        return held

    def _held(self) -> tuple[tuple[str, str], ...]:
        listed: list[tuple[str, str]] = []
        for folder in (self.folder, *self._made):
            with contextlib.suppress(OSError):
                for each in sorted(folder.iterdir())[:_MOST]:
                    text = ""
                    if each.is_file() and not each.is_symlink():
                        with contextlib.suppress(OSError), each.open("rb") as file:
                            text = file.read(_SHOWN).decode("utf-8", "replace")
                    listed.append((each.name if folder == self.folder else f"{BESIDE}{each.name}", text))
        return tuple(listed)
