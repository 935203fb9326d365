"""Owns the mend of calls to the world outside whose code goes on without an answer in some failures: it goes on so in all of them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.answers import attempts, caught_names, put_handler
from toughen.codemod.clients import ClientCall, client_of, spoken
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import alone, before, layout, remove, replace, use, wrap
from toughen.codemod.module import FUNCTIONS, Module, Span, UnmendableError, dotted, halt, names_in, own, scope_of
from toughen.codemod.refusals import is_route, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.codemod.module import FunctionNode

_LOWEST, _GOOD = 400, range(200, 300)
_BY_SYSTEM = frozenset({"TimeoutError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError", "OSError", "IOError", "socket.timeout", "socket.error", "asyncio.TimeoutError"})
"""What connections raise by themselves."""
_TELLING = frozenset({"error", "errors", "detail", "message", "msg", "reason"})
"""Fields by which an answer tells of an error."""
_AWAY = frozenset({"abort", "redirect", "RedirectResponse", "exit"})
_STATUS = frozenset({"status_code", "status", "code"})
_BROAD = frozenset({"Exception", "BaseException"})


@word
def fall_back(module: Module, line: int, *, malformed: bool = False, met: bool = False) -> Draft:
    """Let each failure of the call at `line` end where its code already goes on without an answer.

    Shapes: an `except` of some of the client's exceptions around the call, or around what looks at its answer, that gives or
    assigns a value (it catches the client's base exception then); a test of the answer's status whose failing side gives or
    assigns one, or leaves a value that was assigned before (the call gets an `except` with the same end). `malformed` says that
    an answer which is no JSON counts; `met` that callers know what to do with None. Refuses ends that raise, answer an error
    or redirect, and bare True, False and None: those are verdicts and not values.
    """
    call = next((each for each in spoken(module, line) if each.speaks), None) or halt(f"no call at {module.file}:{line} is of a client that is known")
    statement = module.statement(line)
    function = module.enclosing(statement) or halt(f"no function holds line {line} of {module.file}")
    met = met and not is_route(function)
    reasons: list[str] = []
    for shape in (_widened, _taken_in, _failing, _passing):
        try:
            return shape(module, statement, call, malformed=malformed, met=met)
        except UnmendableError as error:
            reasons.append(str(error))
    return halt(reasons[-1])


@word
def fall_back_around(module: Module, node: ast.AST, call: ClientCall, *, malformed: bool = False) -> Draft:
    """The same for what a function calls that makes the call outside: an `except` around `node` catches the client's base exception then."""
    return _widened(module, module.statement_of(node), call, malformed=malformed, met=False)


# -- an except that is there -------------------------------------------------------------------------------------------


def _widened(module: Module, statement: ast.stmt, call: ClientCall, *, malformed: bool, met: bool) -> Draft:
    for attempt in attempts(module, statement):
        for handler in attempt.handlers:
            if _is_narrow(module, handler, call):
                return _catching(module, attempt, handler, call, malformed=malformed, met=met)
            if caught_names(handler) & {*_elements(call.client.errors), *_BROAD}:
                halt(f"what {call.name} raises is caught around {module.file}:{statement.lineno} already")
    return halt(f"nothing around {module.file}:{statement.lineno} goes on without the answer")


def _taken_in(module: Module, statement: ast.stmt, call: ClientCall, *, malformed: bool, met: bool) -> Draft:
    """The call moves into the `try` behind it, which looks at its answer."""
    block, name = module.block(statement), _name(statement, call)
    index = block.index(statement)
    attempt = block[index + 1] if index + 1 < len(block) else None
    if not isinstance(attempt, ast.Try) or not name or not any(name in names_in(each) for each in attempt.body) or hasattr(statement, "body"):
        return halt("no try follows that looks at the answer")
    handler = next((each for each in attempt.handlers if _is_narrow(module, each, call)), None) or halt("the try behind the call catches nothing of its client")
    span = alone(module, statement)
    text = "\n".join(_text(module, statement)) + module.cut(Span(span.end, module.line_end(span.end))).rstrip()
    return remove(module, statement) + before(module, attempt.body[0], text) + _catching(module, attempt, handler, call, malformed=malformed, met=met)


def _is_narrow(module: Module, handler: ast.ExceptHandler, call: ClientCall) -> bool:
    """Whether a handler catches some of what a client raises, and not all of it."""
    names = _resolved(module, handler)
    return any(_is_of(call, each) for each in names) and not _covers(call, names)


def _covers(call: ClientCall, names: set[str]) -> bool:
    wanted = {each.rpartition(".")[2] for each in _elements(call.client.errors)}
    return bool({each.rpartition(".")[2] for each in names} & (wanted | _BROAD))


def _resolved(module: Module, handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    return {module.resolve(each) for each in (handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type])}


def _is_of(call: ClientCall, name: str) -> bool:
    root = call.name.partition(".")[0]
    return name in _BY_SYSTEM or name.partition(".")[0] in {root, *(each.partition(".")[0] for each in _elements(call.client.errors) if "." in each)}


def _elements(errors: str) -> list[str]:
    return errors.strip("()").split(", ")


def _catching(module: Module, attempt: ast.Try, handler: ast.ExceptHandler, call: ClientCall, *, malformed: bool, met: bool) -> Draft:
    """The handler for all that the client raises; one more of the same end behind it, where what it says is asked for more than others have."""
    later = attempt.handlers[attempt.handlers.index(handler) + 1 :]
    if any(_is_of(call, each) for one in later for each in _resolved(module, one) - _BROAD):
        halt("another handler behind it catches some of the client's exceptions")
    function = module.enclosing(attempt) or halt("the call stands outside of a function")
    asked = handler.name is not None and any(isinstance(each, ast.Attribute) and dotted(each.value) == handler.name for part in handler.body for each in ast.walk(part))
    body = [each for each in handler.body if not asked or handler.name not in names_in(each)]
    if not _goes_on(module, body, met=met) and not (_is_silent(body) and _kept(function, attempt, attempt.body)):
        halt(f"the handler at {module.file}:{handler.lineno} does not go on with a value")
    types = _types(module, call, handler, malformed=malformed, keep=not asked)
    if asked:
        at = module.line_end(module.span(handler).end)
        lines = "\n".join([f"except {types}:", *(f"    {line}" for each in body for line in _text(module, each))])
        return Draft(module, (Edit(at, at, module.newline + layout(module, lines, module.indent(handler))),)) + _needs(module, call, types)
    return replace(module, handler.type, types) + _needs(module, call, types) if handler.type is not None else halt("the handler catches everything")


def _types(module: Module, call: ClientCall, handler: ast.ExceptHandler | None, *, malformed: bool, keep: bool = True) -> str:
    """What is written behind `except`: the client's base exceptions, as the file writes them, and what the handler catches besides."""
    given = [] if handler is None or handler.type is None else handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    short = call.name.startswith("requests.") and not any(dotted(each).startswith("requests.exceptions.") for each in given) and "requests" in module.imports
    names = ["requests.RequestException"] if short and module.imports["requests"] == "requests" else _elements(call.client.errors)
    late = call.client.late
    if "." in late and late.partition(".")[0] != names[0].partition(".")[0]:
        names.append(late)
    if malformed and not call.name.startswith("requests."):
        names.append("ValueError")
    broad = "OSError" in names
    names += [text for each in given if keep and (text := module.segment(each)) not in names and (not _is_of(call, name := module.resolve(each)) or (name in _BY_SYSTEM and not broad))]
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _needs(module: Module, call: ClientCall, types: str) -> Draft:
    draft = Draft(module)
    for each in call.client.imports:
        root = each.split()[-1]
        if root in types and (root.partition(".")[0] not in module.imports or "." in root):
            draft += use(module, each)
    return draft


# -- a test of the answer's status -------------------------------------------------------------------------------------


def _failing(module: Module, statement: ast.stmt, call: ClientCall, *, malformed: bool, met: bool) -> Draft:
    """The side of a test that a failing answer takes gives a value, or assigns one."""
    function, test, name = _tested(module, statement, call)
    side = test.body if _tells(test.test, name) else test.orelse
    body = [each for each in side if name not in names_in(each)]
    if not _goes_on(module, body, met=met):
        halt("where the answer tells of an error, the code does not go on with a value")
    types = _types(module, call, None, malformed=malformed)
    tail = "\n".join([f"except {types}:", *(f"    {line}" for each in body for line in _text(module, each))])
    leaves = isinstance(body[-1], ast.Return)
    around = next(iter(attempts(module, statement)), None)
    broad = next((each for each in around.handlers if caught_names(each) & _BROAD), None) if around is not None else None
    if leaves and broad is not None and around is not None and any(test is each for part in around.body for each in ast.walk(part)):
        return put_handler(module, broad, tail) + _needs(module, call, types)
    if leaves and not malformed:
        return wrap(module, [statement], "try:", tail) + _needs(module, call, types)
    last: ast.stmt = test
    if leaves:
        reads = [each for each in scope_of(function) if isinstance(each, ast.Call) and dotted(each.func) == f"{name}.json"]
        last = module.statement_of(reads[-1]) if reads else test
    return wrap(module, _run(module, statement, last), "try:", tail) + _needs(module, call, types)


def _passing(module: Module, statement: ast.stmt, call: ClientCall, *, malformed: bool, met: bool) -> Draft:
    """Only a good answer is used: what was assigned before, or what follows, is there for the others."""
    function, test, name = _tested(module, statement, call)
    if _tells(test.test, name) or test.orelse:
        halt("no side of the test is left out")
    run = _run(module, statement, test)
    block = module.block(run[0])
    rest = block[block.index(run[-1]) + 1 :]
    if any(name in names_in(each) for each in rest):
        halt("the answer is used behind its test")
    ends = next((each for each in rest if isinstance(each, ast.Return)), None)
    whole = isinstance(test.body[-1], ast.Return) and ends is not None and _goes_on(module, [*rest[: rest.index(ends) + 1]], met=met)
    if not whole and not _kept(function, run[0], test.body):
        halt("nothing is there to go on with where the answer is not used")
    types = _types(module, call, None, malformed=malformed)
    return wrap(module, run, "try:", f"except {types}:\n    pass") + _needs(module, call, types)


def _tested(module: Module, statement: ast.stmt, call: ClientCall) -> tuple[FunctionNode, ast.If, str]:
    """(function, the test of the answer's status, the answer's name)."""
    function, name = module.enclosing(statement), _name(statement, call)
    if function is None or not name:
        return halt("the answer has no name")
    if any(_covers(call, _resolved(module, each)) for attempt in attempts(module, statement) for each in attempt.handlers if not _resolved(module, each) & _BROAD):
        halt(f"what {call.name} raises is caught around {module.file}:{statement.lineno} already")
    tests = [each for each in scope_of(function) if isinstance(each, ast.If) and each.lineno >= statement.lineno and _tells(each.test, name) is not None]
    return (function, tests[0], name) if tests else halt("the status of the answer is not looked at")


def _name(statement: ast.stmt, call: ClientCall) -> str:
    match statement:
        case ast.With(items=items) | ast.AsyncWith(items=items):
            return next((item.optional_vars.id for item in items if item.context_expr is call.node and isinstance(item.optional_vars, ast.Name)), "")
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call.node or (isinstance(value, ast.Await) and value.value is call.node):
            return name
    return ""


def _run(module: Module, first: ast.stmt, last: ast.stmt) -> list[ast.stmt]:
    """The statements of one block from that which holds the first to that which holds the last."""
    above = [last, *(each for each in module.ancestors(last) if isinstance(each, ast.stmt))]
    for start in (first, *(each for each in module.ancestors(first) if isinstance(each, ast.stmt))):
        if isinstance(start, FUNCTIONS):
            break
        block = module.block(start)
        end = next((each for each in above if any(each is one for one in block)), None)
        if end is not None:
            return block[block.index(start) : block.index(end) + 1]
    return halt("the call and the test of its answer stand in different blocks")


def _tells(test: ast.expr, name: str) -> bool | None:
    """Whether a test holds for answers that tell of an error (True) or for good ones (False); None where it asks for something else."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            held = _tells(inner, name)
            return None if held is None else not held
        case ast.BoolOp(op=op, values=values):
            wanted = isinstance(op, ast.Or)
            return wanted if any(_tells(each, name) is wanted for each in values) else None
        case ast.Attribute(value=ast.Name(id=held), attr=attribute) if held == name:
            return {"ok": False, "is_success": False, "is_error": True, "is_server_error": True}.get(attribute)
        case ast.Compare(left=ast.Attribute(value=ast.Name(id=held), attr=attribute), ops=[op], comparators=[value]) if held == name and attribute in _STATUS:
            return _compares(op, list(map(_number, value.elts if isinstance(value, ast.Tuple | ast.List | ast.Set) else [value])))
    return None


def _compares(op: ast.cmpop, numbers: Sequence[int | None]) -> bool | None:
    if not numbers or None in numbers:
        return None
    known = [each for each in numbers if each is not None]
    good, failed = all(each in _GOOD for each in known), all(each >= 500 for each in known)  # noqa: PLR2004 - a server's own failure
    match op:
        case ast.Eq() | ast.In():
            return False if good else True if failed else None
        case ast.NotEq() | ast.NotIn():
            return True if good else None
        case ast.GtE() | ast.Gt():
            return True if known[0] >= _GOOD.stop - 1 else None
        case ast.Lt() | ast.LtE():
            return False if known[0] >= _GOOD.stop - 1 else None
    return None


def _number(node: ast.expr) -> int | None:
    name = dotted(node)
    return 200 if name.endswith(("codes.ok", "codes.OK", "HTTPStatus.OK", "HTTP_200_OK")) else status_of(node)


# -- what goes on ------------------------------------------------------------------------------------------------------


def _goes_on(module: Module, body: Sequence[ast.stmt], *, met: bool) -> bool:
    """Whether statements end with a value that stands for the answer: returned, or assigned."""
    if not body or any(_gives_up(each) for part in body for each in ast.walk(part)):
        return False
    last = body[-1]
    if isinstance(last, ast.Return):
        nothing = last.value is None or (isinstance(last.value, ast.Constant) and last.value.value is None)
        return met if nothing else last.value is not None and not _is_verdict(last.value) and _keeps_still(module, last.value)
    given = [each for each in body if isinstance(each, ast.Assign | ast.AnnAssign) and each.value is not None]
    return bool(given) and all(each.value is not None and not _is_verdict(each.value) for each in given) and not any(isinstance(each, ast.Return) for part in body for each in ast.walk(part))


def _gives_up(node: ast.AST) -> bool:
    match node:
        case ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.Call(func=function):
            return dotted(function).rpartition(".")[2] in _AWAY
        case ast.Return(value=ast.expr() as value):
            return any(isinstance(each, ast.expr) and (status_of(each) or 0) >= _LOWEST for each in ast.walk(value))
    return False


def _keeps_still(module: Module, value: ast.expr) -> bool:
    """Whether an answer has no field that tells of an error."""
    for node in ast.walk(value):
        match node:
            case ast.Dict(keys=keys) if any(isinstance(key, ast.Constant) and str(key.value).lower() in _TELLING for key in keys):
                return False
            case ast.keyword(arg=str() as name) if name.lower() in _TELLING:
                return False
            case ast.Call() if client_of(module, node) is not None:
                return False
    return True


def _is_verdict(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, bool))


def _is_silent(body: Sequence[ast.stmt]) -> bool:
    return all(isinstance(each, ast.Pass) or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Call)) for each in body) and not any(_gives_up(each) for part in body for each in ast.walk(part))


def _kept(function: FunctionNode, first: ast.stmt, used: Sequence[ast.stmt]) -> bool:
    """Whether everything that the use of the answer assigns last was assigned a value before the call."""
    behind = {each.id for part in function.body for each in ast.walk(part) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each.lineno > (used[-1].end_lineno or 0)}
    given = set(_assigned(used)) & behind
    before_it = [each for each in scope_of(function) if isinstance(each, ast.Assign | ast.AnnAssign) and each.lineno < first.lineno and each.value is not None and not _is_verdict(each.value)]
    return bool(given) and given <= set(_assigned(before_it))


def _assigned(statements: Sequence[ast.stmt]) -> Iterator[str]:
    for part in statements:
        for each in ast.walk(part):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                yield each.id


def _text(module: Module, statement: ast.stmt) -> list[str]:
    """The lines of a statement, in steps of four spaces from column 0."""
    if module.inner_lines & set(range(statement.lineno + 1, (statement.end_lineno or statement.lineno) + 1)):
        halt("it holds a text of several lines")
    indent = module.indent(statement)
    return [line.removeprefix(indent).replace(module.unit, "    ") for line in module.segment(statement).replace("\r\n", "\n").split("\n")]


# -- callers -----------------------------------------------------------------------------------------------------------


def knows_nothing(module: Module, call: ast.Call) -> bool:
    """Whether a caller of a function that may give None goes on with something else, or answers that a service is down."""
    above: ast.AST | None = module.parent(call)
    if isinstance(above, ast.Await):
        above = module.parent(above)
    if isinstance(above, ast.BoolOp) and isinstance(above.op, ast.Or):
        return not _is_verdict(above.values[-1])
    if not isinstance(above, ast.Assign) or not dotted(above.targets[0]):
        return False
    name, block = dotted(above.targets[0]), module.block(above)
    for each in block[block.index(above) + 1 :]:
        if name not in names_in(each):
            continue
        side = _without(each, name)
        return bool(side) and not any(_blames(node) for part in side for node in ast.walk(part))
    return False


def _without(statement: ast.stmt, name: str) -> list[ast.stmt]:
    """The side of a test that is taken where a name means None."""
    match statement:
        case ast.If(test=ast.Compare(left=ast.Name(id=held), ops=[ast.Is()], comparators=[ast.Constant(value=None)]), body=body) if held == name:
            return body
        case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=held)), body=body) if held == name:
            return body
        case ast.If(test=ast.Compare(left=ast.Name(id=held), ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]) | ast.Name(id=held), orelse=side) if held == name:
            return side
    return []


def _blames(node: ast.AST) -> bool:
    """Whether a statement answers with a status that says something else than that a service is down."""
    if not isinstance(node, ast.Return | ast.Raise | ast.Expr):
        return False
    codes = [code for each in own(node) if isinstance(each, ast.expr) and (code := status_of(each)) is not None and code >= _LOWEST]
    raised = isinstance(node, ast.Raise) and not codes
    return raised or any(code not in {502, 503, 504} for code in codes)
