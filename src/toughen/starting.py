"""Owns the beginning of every run: the source is read, its environment is provided, and the prototype is booted on a throw-away copy."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toughen.events import Stage, silent
from toughen.lab import environment
from toughen.lab.mysql import lacking
from toughen.lab.opening import open_lab
from toughen.lab.servers import MYSQL
from toughen.lab.variables import dummies
from toughen.survey import Sources, join, read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.config import Config
    from toughen.events import Listener
    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint


@dataclass(frozen=True, slots=True)
class Start:
    """One project, and how it is to be started."""

    root: Path
    config: Config
    tell: Listener = silent

    def survey(self) -> tuple[Sources, Blueprint]:
        """What stands in the source. Raises SurveyError."""
        self.tell(Stage("survey", str(self.root.name)))
        sources = read(self.root, cache=environment.cache_folder() / "survey")
        return sources, survey(sources, app=self.config.app)

    @contextmanager
    def booted(self, sources: Sources, blueprint: Blueprint) -> Iterator[tuple[Lab, Blueprint]]:
        """The prototype in the lab, and the Blueprint with what only its process knows. Raises LabError."""
        assert blueprint.entry is not None
        self.tell(Stage("environment", f"for {blueprint.entry.target}"))
        built = environment.provided(self.root, sources.texts, blueprint.entry)
        texts, given = tuple(sources.texts.values()), dict(self.config.environment)
        made_up = dummies(blueprint, self.root, texts, given)
        if made_up.server == MYSQL and lacking():
            # SQLite stands in where the project can do with it.
            made_up = dummies(blueprint, self.root, texts, given, mysql=False)
        self.tell(Stage("boot", f"{blueprint.entry.target} on Python {built.version} ({built.origin})"))
        with open_lab(self.root, blueprint.entry, built, made_up.values, server=made_up.server) as lab:
            yield lab, replace(join(blueprint, lab.facts, sources), stand_in=made_up.stood_in)
