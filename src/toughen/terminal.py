"""Owns the terminal: settings from the command line, progress on standard error, reports on standard output or in a file, and what stays of a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from rich.console import Console

from toughen import config, store
from toughen.conclude import remembered
from toughen.errors import ConfigurationError
from toughen.events import Event, Found, Stage, Step
from toughen.model.finding import Severity, Status
from toughen.report.formats import FORMATS, listed
from toughen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toughen.events import Listener
    from toughen.model.verdict import Verdict
    from toughen.report.formats import Renderer

PROVEN: Final = 10
GATE: Final = 11
CLEAN: Final = 0
FAILED: Final = 1
"""Exit codes, beside those that errors carry."""
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def settings(path: Path, *, form: str, **overrides: object) -> config.Config:
    """The settings of a project, with what the command line says on top. Raises ConfigurationError."""
    if not path.is_dir():
        raise ConfigurationError(f"{path} is not a folder", subject=path, hint="name the folder that holds the prototype")
    if form not in FORMATS:
        raise ConfigurationError(f"--format must be {listed()}, not {form!r}", subject=form)
    only = overrides.pop("only", None)
    return config.read(path.resolve(), only=tuple(only) if only else None, **overrides)  # type: ignore[arg-type]


def progress() -> Listener:
    """What is told on standard error while a run works."""

    def tell(event: Event) -> None:
        match event:
            case Stage(name, detail):
                errors.print(f"{name:<12}{detail}", style="bold", markup=False)
            case Step(text):
                if errors.is_terminal:
                    errors.print(f"            {text}", style="dim", markup=False)
            case Found(finding, seconds):
                errors.print(f"  proven {seconds:6.1f} s  {finding.id}: {finding.message}", style="red", markup=False)

    return tell


def told(verdict: Verdict, form: str, output: Path | None, formats: Mapping[str, Renderer] = FORMATS) -> None:
    """Render a Verdict, to a file where one is named."""
    put(formats[form](verdict, __version__), output)


def keep(root: Path, verdict: Verdict, verb: str, only: tuple[str, ...]) -> Verdict:
    """Keep the report of what was executed for `toughen report`; the Verdict with the history of runs."""
    try:
        return remembered(root, verdict, __version__, verb, only)
    except OSError as error:
        errors.print(f"the report is not kept for `toughen report`: {error}", markup=False)
        return verdict


def put(text: str, output: Path | None) -> None:
    """Write a text to standard output, or whole or not at all to a file."""
    if output is None:
        sys.stdout.write(text)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        store.write(output, text.encode("utf-8", "replace"))


def code(verdict: Verdict, threshold: str) -> int:
    """The exit code of a check."""
    least = list(Severity).index(Severity(threshold))
    if any(each.status is Status.PROVEN and list(Severity).index(each.severity) >= least for each in verdict.findings):
        return PROVEN
    return CLEAN if verdict.booted or "static survey only" in verdict.notes else 3
