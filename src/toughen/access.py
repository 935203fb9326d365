"""Owns the repairs of access: the guard that a sibling has, and the caller in the statement that saw another's row."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen import sql
from toughen.callers import Caller, callers
from toughen.codemod import (
    Draft,
    Module,
    UnmendableError,
    bind,
    bind_pieces,
    claimed,
    dynamic,
    guard,
    own_rows,
    owned,
    patch,
    sqltext,
)
from toughen.codemod import scope as scope_statement
from toughen.codemod.draft import word
from toughen.codemod.mechanics import after, before, parameter
from toughen.codemod.orm import loads
from toughen.codemod.refusals import refuse
from toughen.codemod.statements import executions, single_assignment
from toughen.handling import handlers, parsed
from toughen.model.finding import Suspicion
from toughen.model.patch import Patch, Unmended
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import FunctionNode
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.trace import Exchange, Statement
    from toughen.model.trial import Experiment

_SCOPE_BRIEF = "Load the row together with its owner (`... AND owner = caller`), answer as if it were not there where that finds nothing, and do so in every handler of this table."
_GUARD_NOTE = "The guard asks what its sibling asks; whether everybody who passes it may call this route is for you to decide."
_GUARD_BRIEF = "Decide who may call this route, and ask for it before its first statement: who is logged in, and in which role."


def steer(exchange: Exchange, table: str, experiment: Experiment, row: Mapping[str, object] | None) -> tuple[tuple[str, str], ...]:
    """What the mend needs: the statement that saw or changed the foreign row, and the column that names its owner."""
    table = table.lower()
    columns = dict(each.split(":", 1) for each in experiment.fact("owners").split(",") if ":" in each)
    hops = [each.split(":") for each in experiment.fact("parents").split(",") if each.startswith(f"{table}:")]
    key = str(next(iter(row.values()), "")) if row else ""
    reads = [each for each in exchange.statements if each.verb == "select" and table in each.reads and each.location and _saw(each, key)]
    writes = [each for each in exchange.statements if table in each.writes and each.location]
    statement: Statement | None = next(iter(reads or writes), None)
    column = columns.get(table, "")
    if statement is not None and table == experiment.fact("users"):
        column = next((name for where, name, how in sql.bindings(statement.text) if how == "eq" and (where or table) == table), "")
    place = f"{statement.location.file}:{statement.location.line}:{statement.location.function or ''}" if statement and statement.location else ""
    return (
        ("table", table), ("column", column), ("statement", statement.text[:600] if statement else ""), ("seen", place),
        ("through", ",".join(dict.fromkeys(":".join(each[:2]) for each in hops)) if not column else ""), ("users", experiment.fact("users")),
    )


def _saw(statement: Statement, key: str) -> bool:
    return not key or any(str(value) == key for row in statement.sample[:20] for value in row.values())


# -- values out of the text --------------------------------------------------------------------------------------------


def unbound(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Statements whose text takes in a value that `bind` would take out; not where it was made a number or its quotes were doubled."""
    project = parsed(sources)
    modules = list(project.values())
    routes: dict[int, str] = {}
    for handler in handlers(blueprint, sources):
        for place in handler.reach:
            routes.setdefault(id(place.node), handler.route.id)
    for file, module in project.items():
        for line, found in dynamic(module, modules):
            node = module.enclosing(found.call)
            values = [each for each in sqltext.read(module, found.text).atoms if isinstance(each, sqltext.Hole) and not _harmless(module, found.call, each.expression)]
            if values and isinstance(bind(module, line, style="?", project=modules), Draft):
                name = module.qualified(node) if node is not None else None
                told = ", ".join(dict.fromkeys(each.text for each in values))
                yield Suspicion(break_id, routes.get(id(node)), Location(file, line, name), f"{told} is put into the text of this statement instead of being bound")


def _harmless(module: Module, use: ast.AST, value: ast.expr) -> bool:
    """A constant, a number, or a text whose quotes are doubled; also through one local name."""
    if isinstance(value, ast.Name):
        found = single_assignment(module, use, value.id)
        value = found[1] if found is not None else value
    match value:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Name(id="int" | "float" | "len")):
            return True
        case ast.Call(func=ast.Attribute(attr="replace"), args=[ast.Constant(value="'"), ast.Constant(value="''")]):
            return True
    return False


def bound(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], brief: str) -> Iterator[Patch | Unmended]:
    """The value bound at the statement of the proof; where its text is a parameter, where a caller builds it."""
    evidence = finding.evidence
    place = evidence.location if evidence else None
    project = parsed(sources)
    if place is None or place.file not in project:
        yield Unmended("the statement is not in the project's own source", brief)
        return
    reasons: list[str] = []
    for module, line in _built(project, place, finding, blueprint):
        draft = bind(module, line, project=list(project.values()))
        if isinstance(draft, Unmended) and isinstance(stepped := bind_pieces(module, line, project=list(project.values())), Draft):
            draft = stepped
        made = patch(finding.id, f"Bind the values of the statement behind {finding.route}", draft)
        if isinstance(made, Patch):
            yield made
        else:
            reasons.append(made.reason)
    yield Unmended(reasons[0] if reasons else "the statement is not where it was", brief)


def _built(project: Mapping[str, Module], place: Location, finding: Finding, blueprint: Blueprint) -> Iterator[tuple[Module, int]]:
    """Where the statement's text may be built: its own line, its function's other lines, the handler's."""
    modules = list(project.values())
    home = project[place.file]
    spots: list[tuple[Module, int]] = []
    try:
        node = home.function(place.function, place.line) if place.function else None
    except UnmendableError:
        node = None
    lines = [line for line, _ in dynamic(home, modules)]
    if node is None or home.first_line(node) <= place.line <= (node.end_lineno or 0):
        spots.append((home, place.line))
    if node is not None:
        spots += [(home, line) for line in sorted(lines, key=lambda line: abs(line - place.line)) if home.first_line(node) <= line <= (node.end_lineno or 0)]
    route = blueprint.route(finding.route or "")
    handler = project.get(route.handler.file) if route else None
    if route is not None and handler is not None and route.handler.function:
        try:
            own = handler.function(route.handler.function, route.handler.line)
            spots += [(handler, line) for line, _ in dynamic(handler, modules) if own.lineno <= line <= (own.end_lineno or 0)]
        except UnmendableError:
            pass
    yield from dict.fromkeys(spots)


# -- the owner in the statement ----------------------------------------------------------------------------------------


def scope(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The caller in the WHERE, or compared after the load; where the statement lies in a helper, after the helper's call."""
    evidence, route = finding.evidence, blueprint.route(finding.route or "")
    if evidence is None or route is None:
        return
    file, line, function = (*evidence.fact("seen").split(":", 2), "", "")[:3]
    table, column, ways = evidence.fact("table"), evidence.fact("column"), [""]
    if evidence.fact("through"):
        ways, column, reason = _hops(blueprint, evidence.fact("through").split(","), evidence.fact("users"))
        if reason:
            yield Unmended(reason, _SCOPE_BRIEF)
            return
    if not column:
        yield Unmended(f"no column of {table or 'what it reads'} names an owner", _SCOPE_BRIEF)
        return
    reasons: list[str] = []
    modules = parsed(sources)
    project = list(modules.values())
    for home, node, at in _places(modules, route, (file, int(line) if line.isdigit() else 0, function), finding, table, blueprint):
        for caller in callers(home, node, at, column, project, _person(blueprint, evidence.fact("users"), column if table == evidence.fact("users") else "")):
            for through in ways:
                for draft in _scoped(Site(home, node, at, column, _key(blueprint, table), through), caller, project):
                    made = patch(finding.id, f"Limit {table} to its owner in {finding.route}", draft)
                    if isinstance(made, Patch):
                        yield made
                    else:
                        reasons.append(made.reason)
    yield Unmended(reasons[0] if reasons else f"no expression for the caller's {column} was found where {table} is read", _SCOPE_BRIEF)


def _person(blueprint: Blueprint, users: str, column: str) -> tuple[str, str]:
    """The model of the users, and the attribute that a column of theirs, or one that names them, stands for."""
    known = blueprint.table(users)
    return ((known.model or "").rpartition(".")[2], column or _key(blueprint, users)) if known else ("", "")


def _key(blueprint: Blueprint, table: str) -> str:
    known = blueprint.table(table)
    return next((each.name for each in known.columns if each.primary_key), "id") if known else "id"


def _hops(blueprint: Blueprint, ways: list[str], users: str) -> tuple[list[str], str, str]:
    """Conditions like `from_account_id IN (SELECT id FROM accounts WHERE {})`, the first way alone before all, and the parent's owner column."""
    found: list[str] = []
    owner = ""
    for way in ways:
        table, _, column = way.partition(":")
        known = blueprint.table(table)
        kind = known.column(column) if known else None
        if kind is None or kind.references is None:
            return [], "", f"{table}.{column} declares no foreign key to follow"
        parent = blueprint.table(kind.references[0])
        owner = next((each.name for each in parent.columns if each.references and each.references[0].lower() == users), "") if parent else ""
        if not owner:
            return [], "", f"{kind.references[0]} declares no foreign key to its owner"
        found.append(f"{column} IN (SELECT {kind.references[1]} FROM {kind.references[0]} WHERE {{}})")  # noqa: S608 - text for the user's code, never executed here
    return list(dict.fromkeys([found[0], f"({' OR '.join(found)})" if len(found) > 1 else found[0]])), owner, ""


def _places(
    project: Mapping[str, Module], route: Route, seen: tuple[str, int, str], finding: Finding, table: str, blueprint: Blueprint
) -> Iterator[tuple[Module, FunctionNode, int]]:
    """Where the statement stands now; where that is a helper, the handler's call of it comes first."""
    file, line, function = seen
    handler = project.get(route.handler.file)
    own: FunctionNode | None = None
    if handler is not None and route.handler.function:
        try:
            own = handler.function(route.handler.function, route.handler.line)
        except UnmendableError:
            own = None
    home = project.get(file)
    if home is None:
        return
    moved = line + (route.handler.line - finding.location.line if file == route.handler.file and finding.location.file == file else 0)
    try:
        node = home.function(function, moved)
    except UnmendableError:
        return
    if own is not None and handler is not None and node is not own:
        called = node.name
        for item in ast.walk(own):
            if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call) and isinstance(item.value.func, ast.Name | ast.Attribute):
                name = item.value.func.id if isinstance(item.value.func, ast.Name) else item.value.func.attr
                if name == called:
                    yield handler, own, item.lineno
    model = (known.model or "") if (known := blueprint.table(table)) else ""
    lines = _statements(home, node, table, model, list(project.values()))
    if lines:
        yield home, node, min(lines, key=lambda number: abs(number - moved))


def _statements(module: Module, function: FunctionNode, table: str, model: str, project: list[Module]) -> list[int]:
    """Lines of a function at which the table is read or written."""
    found = []
    for item in ast.walk(function):
        if not isinstance(item, ast.stmt) or item is function:
            continue
        raw = any(table in module.segment(each.text).lower() for each in executions(module, item, project))
        if raw or any(each.model.rpartition(".")[2] == model for each in loads(module, item) if model):
            found.append(item.lineno)
    return found


@dataclass(frozen=True, slots=True)
class Site:
    """One statement that shall be limited to its owner."""

    home: Module
    node: FunctionNode
    line: int
    column: str
    key: str
    through: str


def _scoped(site: Site, caller: Caller, project: list[Module]) -> Iterator[Draft | Unmended]:
    """Variants at one place: in the statement (with an answer where a write hit nothing), then after the load."""
    home, line = site.home, site.line
    direct = scope_statement(home, line, site.column, caller.text, key=site.key, through=site.through, project=project)
    ready = _prepared(home, site.node, line, caller)
    if isinstance(direct, Draft) and isinstance(ready, Draft):
        checked = _answered(home, site.node, line)
        yield _joined(home, ready, direct, checked) if isinstance(checked, Draft) else _joined(home, ready, direct)
    later = owned(home, line, site.column, caller.text) if not site.through else Unmended("the owner is two tables away from the row that was loaded")
    if isinstance(later, Draft) and isinstance(ready, Draft):
        yield _joined(home, ready, later)
    if not isinstance(direct, Draft) and not site.through and isinstance(ready, Draft):
        # The statement asks for one whom the client names, or gives a list.
        for beside in (claimed(home, line, site.column, caller.text, project=project), own_rows(home, line, site.column, caller.text, project=project)):
            if isinstance(beside, Draft):
                yield _joined(home, ready, beside)
    for each in (direct, later, ready):
        if isinstance(each, Unmended):
            yield each


@word
def _joined(module: Module, *drafts: Draft) -> Draft:
    whole = Draft(module)
    for each in drafts:
        whole += each
    return whole


def _prepared(module: Module, function: FunctionNode, line: int, caller: Caller) -> Draft | Unmended:
    """What the caller's expression needs in this function: a parameter, a statement in front."""
    try:
        draft = Draft(module)
        if caller.parameter:
            draft += parameter(module, function, caller.parameter)
        if caller.setup:
            draft += before(module, module.statement(line), "\n".join(caller.setup))
    except UnmendableError as error:
        return Unmended(error.message)
    return draft


@word
def _answered(module: Module, function: FunctionNode, line: int) -> Draft:
    """A write that hit no row is answered as not found: `changed = conn.execute(...)`, `if changed.rowcount == 0`."""
    statement = module.statement(line)
    from toughen.codemod.draft import Edit
    from toughen.codemod.module import halt

    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call) or not isinstance(statement.value.func, ast.Attribute):
        return halt("no write whose count is at hand")
    if statement.value.func.attr != "execute" or "rowcount" in module.segment(function):
        return halt("the count is asked for already")
    text = module.segment(statement).upper()
    if "UPDATE" not in text and "DELETE" not in text:
        return halt("no write")
    receiver = module.segment(statement.value.func.value)
    named_cursor = "cur" in receiver.lower() and receiver.isidentifier()
    name = receiver if named_cursor else "changed"
    start = module.span(statement).start
    refusal = refuse(module, function, 404, "Not found")
    lines = f"if {name}.rowcount == 0:\n" + "\n".join("    " + each for each in refusal.text.split("\n"))
    draft = after(module, statement, lines) + refusal.needs(module)
    return draft if named_cursor else Draft(module, (Edit(start, start, "changed = "),)) + draft


# -- the sibling's guard -----------------------------------------------------------------------------------------------


def guarded(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The guard of each sibling that was seen to refuse a stranger, those with the most common guard first."""
    evidence, route = finding.evidence, blueprint.route(finding.route or "")
    if evidence is None or route is None or route.handler.file not in sources or not route.handler.function:
        yield Unmended("the handler of this route is not in the project's own source", _GUARD_BRIEF)
        return
    reasons: list[str] = []
    tried: set[str] = set()
    for name in [each for each in evidence.fact("siblings").split(",") if each]:
        sibling = blueprint.route(name)
        if sibling is None or not sibling.handler.function or sibling.handler.file not in sources:
            continue
        try:
            module = Module(route.handler.file, sources[route.handler.file])
            home = None if sibling.handler.file == module.file else Module(sibling.handler.file, sources[sibling.handler.file])
        except UnmendableError as error:
            yield Unmended(error.message, _GUARD_BRIEF)
            return
        names = tuple(dict.fromkeys(each.name for each in sibling.guards if each.kind != "scheme"))
        draft = guard(module, route.handler.function, sibling.handler.function, line=route.handler.line, source=home, names=names)
        if isinstance(draft, Unmended) and names:
            draft = guard(module, route.handler.function, sibling.handler.function, line=route.handler.line, source=home)
        made = patch(finding.id, f"Guard {finding.route} as {name} is guarded", draft, note=_GUARD_NOTE)
        if isinstance(made, Unmended):
            reasons.append(made.reason)
        elif made.changes[0].after not in tried:
            tried.add(made.changes[0].after)
            yield made
    if not tried:
        yield Unmended(reasons[0] if reasons else "no route of its kind is guarded: there is nothing to copy", _GUARD_BRIEF)
