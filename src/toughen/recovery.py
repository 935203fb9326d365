"""Owns the repair of routes that a failing service takes down: what its client raises ends where the code goes on without it already, else it is answered as the file answers."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod import Draft, Module, UnmendableError
from toughen.codemod.answers import attempts, caught_names, put_handler, swallowing
from toughen.codemod.clients import line_of, spoken
from toughen.codemod.fallbacks import fall_back, fall_back_around, knows_nothing
from toughen.codemod.mechanics import after, before, replace, use, wrap
from toughen.codemod.module import bound_names, dotted, halt, names_in
from toughen.codemod.refusals import declined
from toughen.handling import called, calls_of, handlers, parsed
from toughen.model.patch import FileChange, Patch, Unmended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.clients import ClientCall
    from toughen.codemod.module import FunctionNode
    from toughen.handling import Handler, Place
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding

DOWN, LATE = "A service that this needs is not available", "A service that this needs did not answer in time"
_BAD_GATEWAY, _TIMED_OUT = 502, 504
_CHECKS = ("requests.", "httpx.", "aiohttp.")
"""Clients whose answers say on demand that they tell of an error."""
_GONE_ON = "What the code falls back on is its own: it is told to the client as an answer, so see that it may be used whenever the service is down."
_LOOKS = ("status_code", ".ok", "is_success", "raise_for_status", ".status")


def fallen_back(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], *, after: Patch | None = None, malformed: bool = False) -> Iterator[Patch]:
    """The call's failures where its code goes on without it in some of them already: in its own function, else around a call of that; with a test of the answer's status where none is.

    `after` is a patch that comes first, and with it.
    """
    evidence, first = finding.evidence, {each.file: each.after for each in after.changes} if after is not None else {}
    if evidence is None:
        return
    place, known = evidence.location, {**sources, **first}
    file, _, line = (evidence.fact("call") or (f"{place.file}:{place.line}" if place else "")).rpartition(":")
    module = parsed(known).get(file)
    handler = next((each for each in handlers(blueprint, known) if each.route.id == finding.route), None)
    if module is None or handler is None or not line.isdigit():
        return
    at = line_of(module, int(line), evidence.fact("function") or (place.function if place else None))
    for checked in (True, False):
        try:
            texts = _gone_on(module, at, handler, checked=checked, malformed=malformed)
        except (UnmendableError, RecursionError):
            continue
        changes = tuple(FileChange(name, sources.get(name, ""), text) for name, text in (first | texts).items() if text != sources.get(name))
        host = evidence.fact("host") or "the service"
        yield Patch(finding.id, changes, f"Go on without {host} in each of its failures, as the code does in some", " ".join([_GONE_ON, *([after.note] if after and after.note else [])]))


def _gone_on(module: Module, line: int, handler: Handler, *, checked: bool, malformed: bool) -> dict[str, str]:
    """The files in which a call's failures end where some of them end already; raises UnmendableError."""
    calls = spoken(module, line)
    call = next((each for each in calls if each.speaks), None) or halt(f"no call at {module.file}:{line} is of a client that is known")
    statement = module.statement(line)
    function = module.enclosing(statement) or halt(f"no function holds line {line} of {module.file}")
    name = module.qualified(function)
    if checked:
        if not call.name.startswith(_CHECKS) or any(each in module.segment(function) for each in _LOOKS):
            halt("the status of the answer is looked at")
        draft = _tested(module, statement, call, function)
        module, line = Module(module.file, draft.done()), line + _moved(module, draft, statement)
        call = next((each for each in spoken(module, line) if each.speaks), call)
    above = [(place, one) for place in handler.reach for one in calls_of(place.node) if (met := called(place, one, handler.project)) is not None and met.module.file == module.file and met.name == name]
    own = fall_back(module, line, malformed=malformed, met=bool(above) and all(knows_nothing(place.module, one) for place, one in above))
    if not isinstance(own, Unmended):
        return {module.file: own.done()}
    for place, one in above:
        # Where the caller stands in the same file, a test of the status may have moved it.
        home, node = (module, _moved_to(module, place, one)) if place.module.file == module.file else (place.module, one)
        draft_above = fall_back_around(home, node, call, malformed=malformed)
        if not isinstance(draft_above, Unmended):
            return {module.file: module.text} | {home.file: draft_above.done()}
    return halt(own.reason)


def _moved_to(module: Module, place: Place, call: ast.Call) -> ast.Call:
    """The same call of the same function in a later text of its file."""
    before, now = calls_of(place.node), calls_of(module.function(place.name))
    return now[next(index for index, each in enumerate(before) if each is call)]


def recovered(finding: Finding, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The call caught; with a test of the answer's status where the source has none, and then with one in any case."""
    evidence = finding.evidence
    file, _, line = (evidence.fact("call") if evidence else "").rpartition(":")
    host = evidence.fact("host") if evidence else "the service"
    brief = f"Catch what the call of {host} raises, and answer 502 (504 when its time is over), or go on without it."
    module = parsed(sources).get(file)
    if module is None or not line.isdigit():
        yield Unmended("the proof names no call in the project's own code", brief)
        return
    reasons: list[str] = []
    at = line_of(module, int(line), evidence.location.function if evidence and evidence.location else None)
    # A service that refuses what it was asked (404) is not down: where the route lives with such an answer, it goes on to.
    answered = evidence is None or not evidence.fact("kinds") or "error" in evidence.fact("kinds").split(",")
    for checked in (None, True, False) if answered else (False,):
        try:
            text = _caught(module, at, checked=checked)
        except (UnmendableError, RecursionError) as error:
            reasons.append(str(error))
            continue
        if text != module.text:
            what = f"Answer 502 when {host} fails" if text.count("except ") > module.text.count("except ") else f"Take an error that {host} answers for one"
            yield Patch(finding.id, (FileChange(file, module.text, text),), what)
    yield Unmended(reasons[0] if reasons else "no repair is known for this shape of code", brief)


def _caught(module: Module, line: int, *, checked: bool | None) -> str:
    """The file with the call at a line caught, and its answer's status tested (None: where nothing looks at it); raises UnmendableError."""
    calls = spoken(module, line) or halt(f"no call at {module.file}:{line} is of a client that is known")
    call = next((each for each in calls if each.speaks), calls[0])
    statement = module.statement(line)
    function = module.enclosing(statement) or halt(f"no function holds line {line} of {module.file}")
    name = module.qualified(function)
    handled = _is_handled(module, statement, call)
    if checked is not False and call.name.startswith(_CHECKS) and (checked or not any(each in module.segment(function) for each in _LOOKS)):
        draft = _tested(module, statement, call, function)
        module, line = Module(module.file, draft.done()), line + _moved(module, draft, statement)
    elif handled:
        halt(f"{call.client.errors} is caught around {module.file}:{line} already")
    return module.text if handled else _answered(module, line, call, name)


def _moved(module: Module, draft: Draft, statement: ast.stmt) -> int:
    """How many lines further down a statement lies after a draft."""
    start = module.span(statement).start
    return sum(edit.text.count("\n") for edit in draft.edits if edit.end <= start)


def _is_handled(module: Module, statement: ast.stmt, call: ClientCall) -> bool:
    wanted = call.client.errors.strip("()").split(", ")[0].rpartition(".")[2]
    names = {name.rpartition(".")[2] for attempt in attempts(module, statement) for handler in attempt.handlers for name in caught_names(handler)}
    return bool({wanted, "Exception", "BaseException"} & names)


def _tested(module: Module, statement: ast.stmt, call: ClientCall, function: FunctionNode) -> Draft:
    """Have an answer that tells of an error raise: behind the call, or in the block that holds its answer."""
    match statement:
        case ast.With(items=items) | ast.AsyncWith(items=items):
            held = next((item.optional_vars for item in items if item.context_expr is call.node and isinstance(item.optional_vars, ast.Name)), None)
            if held is None or not isinstance(held, ast.Name):
                halt("the answer has no name")
            return before(module, statement.body[0], f"{held.id}.raise_for_status()")
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call.node or (isinstance(value, ast.Await) and value.value is call.node):
            return after(module, statement, f"{name}.raise_for_status()")
    taken = {*bound_names(function.body), *(each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)), *names_in(module.tree)}
    name = next((each for each in ("response", "reply", "upstream") if each not in taken), "") or halt("the answer has no name, and none is free")
    parent = module.parent(call.node)
    node = parent if isinstance(parent, ast.Await) else call.node
    if hasattr(statement, "body"):
        halt(f"the statement at {module.file}:{statement.lineno} is a compound one")
    return before(module, statement, f"{name} = {_flat(module.segment(node))}\n{name}.raise_for_status()") + replace(module, node, name)


def _flat(text: str) -> str:
    return text if "\n" not in text else halt("the call is written over several lines inside of another expression")


def _answered(module: Module, line: int, call: ClientCall, function: str) -> str:
    statement = module.statement(line)
    home = module.function(function)
    down, late = (declined(module, home, status, text) for status, text in ((_BAD_GATEWAY, DOWN), (_TIMED_OUT, LATE)))
    tail = f"except {call.client.late}:\n{late.indented}\n" if call.client.late else ""
    tail += f"except {call.client.errors}:\n{down.indented}"
    block = module.block(statement)
    first = next(index for index, each in enumerate(block) if each is statement)
    broad = swallowing(module, statement) if down.raises else None
    if broad is not None and any(each is broad for attempt in attempts(module, statement) for each in attempt.handlers):
        draft = put_handler(module, broad, tail)
    else:
        draft = wrap(module, block[_start(block, first, call, module) : _end(block, first, call) + 1], "try:", tail)
    for needed in _imports(module, call, tail):
        draft += use(module, needed)
    return (draft + down.needs(module)).done()


def _start(block: list[ast.stmt], first: int, call: ClientCall, module: Module) -> int:
    """The call itself, where it and the test of its answer were put in front of the statement."""
    for index in range(first - 1, max(first - 3, -1), -1):
        if any(isinstance(each, ast.Call) and module.resolve(each.func) == call.name for each in ast.walk(block[index])):
            return index
        if "raise_for_status" not in ast.dump(block[index]):
            break
    return first


def _end(block: list[ast.stmt], first: int, call: ClientCall) -> int:
    """The last statement that belongs to the call: the test of its status, and whatever a connection that was made is used for."""
    match block[first]:
        case ast.Assign(targets=[target]) if dotted(target):
            name = dotted(target).partition(".")[0]
        case _:
            return first
    last = first
    for index, each in enumerate(block[first + 1 :], first + 1):
        tests = isinstance(each, ast.Expr) and "raise_for_status" in ast.dump(each)
        used = call.name.startswith(("smtplib.", "http.client.", "socket.")) and any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(each))
        if used or (tests and index == last + 1):
            last = index
    return last


def _imports(module: Module, call: ClientCall, tail: str) -> list[str]:
    """What the names of the exceptions need, and the file does not import already."""
    bound = set(module.imports)
    return [each for each in call.client.imports if each.split()[-1].partition(".")[0] in tail and (each.split()[-1].partition(".")[0] not in bound or "." in each.split()[-1])]


