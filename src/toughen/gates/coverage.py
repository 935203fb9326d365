"""Owns the gate of coverage: every mended and new line is run by a test, and of the others never fewer."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any, Final

from toughen.gatekeeping import DOWN, CouldNot, Done, Faults, Gate, Looked, Site, Untouched
from toughen.lab.agent import addopts
from toughen.model.gate import Fault
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.model.mutant import SuiteRun

_SECONDS: Final = 300.0
_LEAST: Final = 30.0
_TIMES: Final = 10.0
_RAN: Final = (0, 1)
"""Exit codes of tests that ran, whether they passed or not."""
_USAGE: Final = 4
"""pytest knows an option not: of a plugin's that is not here."""
_APART_FOR: Final = {"hung", "died"}
"""What takes the other tests with it."""
_APART: Final = re.compile(r"(^|/)(tests?|migrations|alembic|docs|examples)(/|$)|(^|/)(conftest|setup|manage|wsgi|asgi|test_\w+|\w+_test)\.py$")
"""What no test is meant to run: what belongs to tests and tools, and what a server starts."""
_SHOWN: Final = 12
_BY_HAND: Final = "`coverage run --branch --source=. -m pytest` shows it by itself"


class Coverage(Gate):
    """All mended and new lines, and both ways of each of their branches, are run by the project's own tests; of the other lines of a file never fewer than the baseline has."""

    id = "coverage"
    title = "New lines are tested, and of the old ones never fewer"
    order = 21

    def look(self, site: Site) -> Looked:
        """Run the tests under coverage, on a copy."""
        if not site.booted:
            return DOWN
        if site.changed is not None and not site.changed.touch(".py"):
            return Untouched("no Python file changed")
        if not site.blueprint.suite.files:
            return CouldNot("there are no tests", "`toughen fix` writes the first ones from what it mends")
        known = site.tests()
        if not known.passed:
            return CouldNot(f"no test passes{f': {known.problem}' if known.problem else ''}", "see the gate of tests")
        folder = _manager(site)
        apart, done = sorted(each.id for each in known.tests if each.outcome in _APART_FOR), None
        for options in (addopts.without(str(site.root), site.blueprint.suite.files), ["-o", "addopts="]):
            done = site.run(_steps(site, folder, [*options, *(f"--deselect={each}" for each in apart)]), packages=("coverage", "pytest"), seconds=_seconds(known), leaves=("coverage.json",), folder=folder or "")
            if done is None or done.codes[0] != _USAGE:
                break
        if done is None:
            return CouldNot("coverage cannot be had here", "install coverage in the project's environment")
        if done.code is None:
            return CouldNot(f"the tests do not end within {_seconds(known):.0f} s under coverage: a thread or a process that they started may go on", "pytest --durations=10 tells which are slow")
        if done.codes[0] not in _RAN:
            return CouldNot(f"the tests do not run under coverage: {_last(done)}", _BY_HAND)
        try:
            told = json.loads(done.files.get("coverage.json", ""))
            faults = list(_missing(site, {f"{folder}/{name}" if folder else name: each for name, each in told["files"].items()}))
            totals = told["totals"]
            measured = {"lines": f"{totals['covered_lines']} of {totals['num_statements']}", "branches": f"{totals.get('covered_branches', 0)} of {totals.get('num_branches', 0)}"}
        except (ValueError, KeyError, TypeError, AttributeError):
            return CouldNot(f"the tests ran, and coverage cannot tell of it: {_last(done)}", "do they write into the project's folder, or end their process? " + _BY_HAND)
        return Faults(faults, measured, f"{measured['lines']} lines and {measured['branches']} branches are run by tests")


def _seconds(known: SuiteRun) -> float:
    """Longest time that they may take: several times as long as without."""
    return min(_SECONDS, _LEAST + _TIMES * sum(each.seconds for each in known.tests))


def _manager(site: Site) -> str | None:
    """The folder of the `manage.py` whose runner is that of the project's tests; None where pytest runs them."""
    if site.blueprint.framework != "django" or any("pytest" in each for each in (*_configuration(site), *(site.texts.get(file, "") for file in site.blueprint.suite.files))):
        return None
    found = min((each for each in site.texts if each.rpartition("/")[2] == "manage.py"), key=len, default=None)
    return found.rpartition("/")[0] if found is not None else None


def _configuration(site: Site) -> Iterator[str]:
    for name in ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini"):
        if (site.root / name).is_file():
            yield (site.root / name).read_text(encoding="utf-8", errors="replace")


def _steps(site: Site, manager: str | None, others: Sequence[str]) -> list[list[str]]:
    concurrency = ["--concurrency=thread,greenlet"] if any("sqlalchemy.ext.asyncio" in each for each in site.texts.values()) else []
    options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", *others]
    tests = ["manage.py", "test", "--noinput"] if manager is not None else ["-m", "pytest", *options, *site.blueprint.suite.files]
    # Settings of the project's own may leave files out, or fail below a number of their own: here every line counts.
    return [["coverage", "run", "--rcfile=/dev/null", "--branch", "--source=.", *concurrency, *tests], ["coverage", "json", "--rcfile=/dev/null", "-o", "coverage.json"]]


def _missing(site: Site, files: dict[str, Any]) -> Iterator[Fault]:
    for file, told in sorted(files.items()):
        name = file.removeprefix("./")
        if _APART.search(name) or name not in site.texts or name in site.blueprint.suite.files:
            continue
        fresh = site.new.lines(name) if site.new is not None else frozenset()
        beyond, text = _beyond(site.texts[name]), site.texts[name].splitlines()
        lines = [int(each) for each in told["missing_lines"] if int(each) not in beyond]
        halves = {abs(int(start)): int(end) for start, end in told.get("missing_branches", ()) if abs(int(start)) not in {*lines, *beyond}}
        for line in lines:
            if line in fresh:
                yield Fault(f"{name}: {_text(text, line)}", "no test runs this new line", Location(name, line), strict=True)
        for line, other in halves.items():
            if line in fresh:
                yield Fault(f"{name} half: {_text(text, line)}", f"no test takes the way from here to {f'line {other}' if other > 0 else 'the end'}", Location(name, line), strict=True)
        old = [each for each in lines if each not in fresh]
        if old:
            yield Fault(name, f"{len(old)} {'line is' if len(old) == 1 else 'lines are'} run by no test: {_ranges(old)}", Location(name, old[0]), count=len(old))


def _beyond(text: str) -> frozenset[int]:
    """Lines that no test can run: of a file that is started as a program, for checkers of types alone, and bodies that only say that there is none."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    found: set[int] = set()
    for node in nodes:
        match node:
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))) | ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                found |= {node.lineno, *range(node.lineno, (node.body[-1].end_lineno or node.lineno) + 1)}
            case ast.FunctionDef(body=[*_, ast.Expr(value=ast.Constant(value=value)) as last]) | ast.AsyncFunctionDef(body=[*_, ast.Expr(value=ast.Constant(value=value)) as last]) if value is ... :
                found.add(last.lineno)
            case ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))):
                found.add(node.lineno)
    return frozenset(found)


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
