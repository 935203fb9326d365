"""Owns the repairs that race rules share: an UPDATE with its condition, a lock, one write transaction, or a unique key's answer."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from toughen import sql, syntax, uniqueness
from toughen.codemod import (
    Module,
    claim,
    claim_saved,
    claim_sql,
    exhausted,
    hold,
    lock,
    lock_saved,
    lock_sql,
    once,
    serial,
    settle,
    step,
    step_saved,
    taken,
    whole,
)
from toughen.codemod.states import assigned
from toughen.entrusting import conditional
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.thirds import THREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toughen.codemod import Draft
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding

    _Word = Callable[[Module, int], Draft | Unmended]

_SET = re.compile(r"^.*?\bSET\b(.*?)(?:\bWHERE\b.*)?$", re.IGNORECASE)
_DJANGO = re.compile(r"^(?:from|import) (?:django|rest_framework)\b", re.MULTILINE)
_STATE = re.compile(r"(\w+)\s*=\s*('[^']*'|\d+|TRUE|FALSE|NULL)(?=\s*(?:,|$))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a proof says that the race happens."""

    file: str
    function: str
    line: int
    """Line of the write, as the driver saw it."""
    table: str
    column: str
    statement: str
    written: tuple[str, ...]
    """Columns that it writes, lower case."""
    read: int
    """Line of the read that the write rests on; 0 where it is unknown or lies in another file."""
    database: str

    @property
    def verb(self) -> str:
        """insert, update, delete."""
        return self.statement.lstrip()[:6].lower()


def site_of(finding: Finding, blueprint: Blueprint) -> Site | None:
    """The site that the evidence names, None where it names none."""
    evidence = finding.evidence
    place = evidence.location if evidence else None
    if evidence is None or place is None or not place.file or not place.function:
        return None
    read_file, _, read_line = evidence.fact("read").rpartition(":")
    return Site(
        place.file, place.function, place.line, evidence.fact("table"), evidence.fact("column"),
        evidence.fact("statement"), sql.written_columns(evidence.fact("statement")), int(read_line) if read_file == place.file and read_line.isdigit() else 0,
        blueprint.database or "sqlite",
    )


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Repairs of one race, the smallest and most trusted first."""
    site = site_of(finding, blueprint)
    if site is None or site.file not in sources:
        yield Unmended("the proof names no statement of the project's own code", _BRIEF)
        return
    text = sources[site.file]
    reasons: list[str] = []
    if finding.evidence is not None and finding.evidence.fact(THREE):
        draft = exhausted(Module(site.file, text), site.line)
        if not isinstance(draft, Unmended):
            yield Patch(finding.id, (FileChange(site.file, text, draft.done()),), "Refuse where every attempt was lost", " ".join(draft.notes))
    for entrusted in conditional(finding, blueprint, sources, site.statement, _conditions) if site.verb == "update" else ():
        if isinstance(entrusted, Unmended):
            reasons.append(entrusted.reason)
        else:
            yield entrusted
    keyed = list(uniqueness.mends(finding, blueprint, sources)) if site.verb == "insert" else []
    reasons += [each.reason for each in keyed if isinstance(each, Unmended)]
    first = [each for each in keyed if isinstance(each, Patch)]
    if site.database != "sqlite":
        yield from first
    for summary, words in _variants(site, text):
        outcome = _applied(site.file, text, words)
        if isinstance(outcome, Unmended):
            reasons.append(outcome.reason)
            continue
        after, notes = outcome
        yield Patch(finding.id, (FileChange(site.file, text, after),), summary, notes)
    if site.database == "sqlite":
        # A key changes the table for good; where the database has one writer at a time, waiting is less.
        yield from first
    if site.verb == "insert" and not reasons:
        reasons.insert(0, f"nothing in the database forbids the second row of {site.table}; a unique key needs a migration and a word about rows that are there")
    yield Unmended(reasons[0] if reasons else "no repair is known for this shape of code", _BRIEF)


def joined(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """What a request changes in one transaction: its earlier commits go."""
    site = site_of(finding, blueprint)
    if site is None or site.file not in sources:
        yield Unmended("the proof names no statement of the project's own code", _ONE)
        return
    text = sources[site.file]
    outcome = _applied(site.file, text, [lambda module: (whole if _DJANGO.search(text) else once)(module, site.function)])
    if isinstance(outcome, Unmended):
        yield Unmended(outcome.reason, _ONE)
        return
    after, notes = outcome
    yield Patch(finding.id, (FileChange(site.file, text, after),), "Commit once, when all of it is done", notes)


_ONE = "What must hold afterwards: what belongs together is committed together, once, at the end; a request that is cut off before leaves nothing."
_BRIEF = (
    "What must hold afterwards: the check and the change are one step for the database. Either one UPDATE with the condition "
    "in its WHERE and a test of the rows it hit, or a lock on the row before it is read, or a unique key and an answer to its violation."
)


def _applied(file: str, text: str, words: list[Callable[[Module], Draft | Unmended]]) -> tuple[str, str] | Unmended:
    """The text after all words, each on the result of the one before; a word that refuses is passed over while another fits."""
    notes: list[str] = []
    refused: Unmended | None = None
    after = text
    for word in words:
        draft = word(Module(file, after))
        if isinstance(draft, Unmended):
            refused = refused or draft
            continue
        after = draft.done()
        notes.extend(each for each in draft.notes if each not in notes)
    if after == text:
        return refused or Unmended("nothing to change")
    return after, " ".join(each if each.endswith(".") else f"{each}." for each in notes)


def _variants(site: Site, text: str) -> Iterator[tuple[str, list[Callable[[Module], Draft | Unmended]]]]:
    steps = _steps(text, site)
    if steps:
        yield (
            f"Check and change {site.table}.{steps[0][1]} in one UPDATE",
            [_claim_or_step(site, column) for _, column in steps],
        )
    if steps and _DJANGO.search(text):
        yield f"Check and change {site.table}.{steps[0][1]} in one UPDATE", [_claim_or_step(site, column, claim_saved, step_saved) for _, column in steps]
    if site.verb == "insert":
        yield "Answer a violated unique key as the check does", [lambda module: taken(module, site.line)]
    condition = _condition(text, site)
    if condition is not None:
        column, amount = condition
        yield f"Put the check of {column} into the UPDATE", [lambda module: claim_sql(module, site.line, f"{column} >= ?", [amount])]
    for column, words in _states(text, site):
        yield f"Bring {site.table} to that {column} only once", words
        if not isinstance(once(Module(site.file, text), site.function), Unmended):
            yield f"Commit once, and bring {site.table} to that {column} only once", [lambda module: once(module, site.function), *words]
    yield "Read and write in one write transaction", [lambda module: serial(module, site.function)]
    if site.database != "sqlite" and _DJANGO.search(text):
        for line in dict.fromkeys([site.read, *_reads(text, site)]):
            if line and not isinstance(lock_saved(Module(site.file, text), line), Unmended):
                yield f"Lock the row of {site.table} before it is read", [lambda module, line=line: lock_saved(module, line)]  # type: ignore[misc]
    for line in dict.fromkeys([site.read, *_reads(text, site)]):
        if line:
            yield f"Lock the row of {site.table} before it is read", [partial(_locked, line=line, database=site.database)]
            break
    for row in _rows(text, site):
        yield f"Lock {row} and read it again before it is changed", [partial(_held, function=site.function, row=row, database=site.database)]
        break


def _states(text: str, site: Site) -> Iterator[tuple[str, list[Callable[[Module], Draft | Unmended]]]]:
    """Columns that the write brings to a state which stands in the source, with the word that asks for another one before."""
    function = _function(text, site.function)
    if function is None or site.verb != "update":
        return
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Attribute(attr=column)], value=ast.Constant() | ast.Attribute()) if column.lower() in site.written:
                yield column, [partial(_settled, function=site.function, column=column)]
            case ast.Constant(value=str() as sent) if site.line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                for column, value in _STATE.findall(_SET.sub(r"\1", " ".join(sent.split()))):
                    yield column, [partial(_settled_sql, line=site.line, condition=f"{column} {other_than(value)}")]


def _conditions(statement: str, values: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What must still hold for an UPDATE: enough of what it takes from, another state than the one it brings."""
    taken_from = _taken_from(statement)
    if taken_from is not None and taken_from[1] < len(values):
        yield f"{taken_from[0]} >= ?", (values[taken_from[1]],)
    for column, value in _STATE.findall(_SET.sub(r"\1", statement)):
        yield f"{column} {other_than(value)}", ()


def _taken_from(statement: str) -> tuple[str, int] | None:
    """(column, number of the value) of `SET balance = balance - ?`."""
    match = re.search(r"\bSET\b(.*?)\b(\w+)\s*=\s*\2\s*-\s*(?:\?|%s)", statement, re.IGNORECASE | re.DOTALL)
    return (match.group(2), len(re.findall(r"\?|%s", match.group(1)))) if match else None


def other_than(value: str) -> str:
    """The condition that a column holds something else than this value."""
    return "IS NOT NULL" if value.upper() == "NULL" else f"<> {value}"


def _settled(module: Module, function: str, column: str) -> Draft | Unmended:
    """The first place of a function that brings a column to a state, in a text that earlier words may have changed."""
    refused = Unmended(f"no place where {column} is written is known")
    for line in assigned(module.text, function, column):
        draft = settle(module, line)
        if not isinstance(draft, Unmended):
            return draft
        refused = draft
    return refused


def _settled_sql(module: Module, line: int, condition: str) -> Draft | Unmended:
    return claim_sql(module, line, condition)


def _claim_or_step(site: Site, column: str, checked: _Word = claim, plain: _Word = step) -> Callable[[Module], Draft | Unmended]:
    """The function's next step of a column that is still computed in Python, in a text that earlier words have changed."""
    def word(module: Module) -> Draft | Unmended:
        function = _function(module.text, site.function)
        lines = [line for line, name in _in(function) if name == column] if function is not None else []
        waiting = [line for line in lines if not isinstance(plain(module, line), Unmended)]
        if not waiting:
            return Unmended(f"no step of {column} is left")
        draft = checked(module, waiting[0])
        return plain(module, waiting[0]) if isinstance(draft, Unmended) else draft

    return word


def _held(module: Module, function: str, row: str, database: str) -> Draft | Unmended:
    return hold(module, function, row, database)


def _locked(module: Module, line: int, database: str) -> Draft | Unmended:
    draft = lock(module, line, database)
    return lock_sql(module, line) if isinstance(draft, Unmended) and database != "sqlite" else draft


def _function(text: str, name: str) -> ast.AST | None:
    tree = syntax.tree(text)
    if tree is None:
        return None
    above, _, wanted = name.rpartition(".")
    # Several classes of views have a `post`.
    within = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == above.rpartition(".")[2]]
    return next((node for root in [*within, tree] for node in ast.walk(root) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == wanted), None)


def _steps(text: str, site: Site) -> list[tuple[int, str]]:
    """(line, column) of each change of a number on an object in the site's function."""
    function = _function(text, site.function)
    return [] if function is None else [(line, name) for line, name in _in(function) if not site.column or name == site.column]


def _in(root: ast.AST) -> Iterator[tuple[int, str]]:
    found = []
    for node in ast.walk(root):
        match node:
            case ast.AugAssign(target=ast.Attribute(attr=name), op=ast.Add() | ast.Sub()):
                found.append((node.lineno, name))
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=ast.BinOp(op=ast.Add() | ast.Sub())):
                found.append((node.lineno, name))
    yield from sorted(found)


def _condition(text: str, site: Site) -> tuple[str, str] | None:
    """(column, amount) of a raw `SET balance = balance - ?` at the site's line: what must still be there, and how much."""
    function = _function(text, site.function)
    for node in ast.walk(function) if function is not None else ():
        if not isinstance(node, ast.Call) or not node.args or not node.lineno <= site.line <= (node.end_lineno or node.lineno):
            continue
        first = node.args[0]
        if not isinstance(first, ast.Constant) or not isinstance(first.value, str) or len(node.args) < 2:  # noqa: PLR2004
            continue
        found, values = _taken_from(first.value), node.args[1]
        if found is not None and isinstance(values, ast.Tuple | ast.List) and found[1] < len(values.elts):
            return found[0], ast.unparse(values.elts[found[1]])
    return None


def _reads(text: str, site: Site) -> list[int]:
    """Lines of queries in the function, the first first."""
    function = _function(text, site.function)
    query = re.compile(r"\.(query|get|execute|scalar|scalars|filter|filter_by)\b")
    nodes = ast.walk(function) if function is not None else ()
    return sorted(node.lineno for node in nodes if isinstance(node, ast.Assign) and query.search(ast.unparse(node.value)))


def _rows(text: str, site: Site) -> list[str]:
    """Names of parameters on whose attributes the function changes a number."""
    function = _function(text, site.function)
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    parameters = {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}
    found: dict[str, None] = {}
    for node in ast.walk(function):
        target = node.target if isinstance(node, ast.AugAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id in parameters:
            found[target.value.id] = None
    return list(found)
