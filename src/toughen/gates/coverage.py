"""Owns the gate of coverage: every mended and new line is run by a test, and of the others never fewer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from toughen.gatekeeping import CouldNot, Done, Faults, Gate, Looked, Site, Untouched
from toughen.model.gate import Fault
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SECONDS: Final = 300.0
_APART: Final = re.compile(r"(^|/)(tests?|migrations|alembic|docs|examples)(/|$)|(^|/)(conftest|setup|manage|test_\w+|\w+_test)\.py$")
_SHOWN: Final = 12


class Coverage(Gate):
    """All mended and new lines, and both ways of each of their branches, are run by the project's own tests; of the other lines of a file never fewer than the baseline has."""

    id = "coverage"
    title = "New lines are tested, and of the old ones never fewer"
    order = 21

    def look(self, site: Site) -> Looked:
        """Run the tests under coverage, on a copy."""
        if not site.booted:
            return CouldNot("the prototype does not boot here")
        if site.changed is not None and not site.changed.touch(".py"):
            return Untouched("no Python file changed")
        if not site.blueprint.suite.files:
            return CouldNot("there are no tests", "`toughen fix` writes the first ones from what it mends")
        done = site.run(_steps(site), packages=("coverage", "pytest"), seconds=_SECONDS, leaves=("coverage.json",))
        if done is None:
            return CouldNot("coverage cannot be had here", "install coverage in the project's environment")
        if done.code is None:
            return CouldNot(f"the tests take longer than {_SECONDS:.0f} s under coverage")
        try:
            told = json.loads(done.files.get("coverage.json", ""))
            faults = list(_missing(site, told["files"]))
            totals = told["totals"]
            measured = {"lines": f"{totals['covered_lines']} of {totals['num_statements']}", "branches": f"{totals.get('covered_branches', 0)} of {totals.get('num_branches', 0)}"}
        except (ValueError, KeyError, TypeError):
            return CouldNot(f"the tests do not run under coverage: {_last(done)}")
        return Faults(faults, measured, f"{measured['lines']} lines and {measured['branches']} branches are run by tests")


def _steps(site: Site) -> list[list[str]]:
    concurrency = ["--concurrency=thread,greenlet"] if any("sqlalchemy.ext.asyncio" in each for each in site.texts.values()) else []
    tests = ["manage.py", "test", "--noinput"] if site.blueprint.framework == "django" and "manage.py" in site.texts and not (site.root / "pytest.ini").is_file() else ["-m", "pytest", "-q", "-p", "no:cacheprovider", *site.blueprint.suite.files]
    # Settings of the project's own may leave files out, or fail below a number of their own: here every line counts.
    return [["coverage", "run", "--rcfile=/dev/null", "--branch", "--source=.", *concurrency, *tests], ["coverage", "json", "--rcfile=/dev/null", "-q", "-o", "coverage.json"]]


def _missing(site: Site, files: dict[str, Any]) -> Iterator[Fault]:
    for file, told in sorted(files.items()):
        name = file.removeprefix("./")
        if _APART.search(name) or name not in site.texts or name in site.blueprint.suite.files:
            continue
        fresh = site.new.lines(name) if site.new is not None else frozenset()
        lines = [int(each) for each in told["missing_lines"]]
        halves = {abs(int(start)): int(end) for start, end in told.get("missing_branches", ()) if abs(int(start)) not in lines}
        text = site.texts[name].splitlines()
        for line in lines:
            if line in fresh:
                yield Fault(f"{name}: {_text(text, line)}", "no test runs this new line", Location(name, line), strict=True)
        for line, other in halves.items():
            if line in fresh:
                yield Fault(f"{name} half: {_text(text, line)}", f"no test takes the way from here to {f'line {other}' if other > 0 else 'the end'}", Location(name, line), strict=True)
        old = [each for each in lines if each not in fresh]
        if old:
            yield Fault(name, f"{len(old)} lines are run by no test: {_ranges(old)}", Location(name, old[0]), count=len(old))


def _text(lines: Sequence[str], number: int) -> str:
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _ranges(lines: Sequence[int]) -> str:
    """`3, 7-9, 12`."""
    found: list[list[int]] = []
    for each in sorted(lines):
        if found and each == found[-1][-1] + 1:
            found[-1].append(each)
        else:
            found.append([each])
    parts = [str(each[0]) if len(each) == 1 else f"{each[0]}-{each[-1]}" for each in found]
    return ", ".join(parts[:_SHOWN]) + (f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else "")


def _last(done: Done) -> str:
    return next(iter(done.output.strip().splitlines()[-1:]), "they say nothing")[:200]
