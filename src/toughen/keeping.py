"""Owns where a prototype keeps passwords: which arguments of a call are new ones, and what the source does to them before they are stored."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.carried import handed
from toughen.codemod.module import dotted, scope_of
from toughen.handling import Place, called, calls_of, sought
from toughen.model.blueprint import Place as Where
from toughen.touches import rows
from toughen.twists import literal, named, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.codemod.module import FunctionNode, Module
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint, Table
    from toughen.model.finding import Suspicion
    from toughen.model.journey import Argument, Call
    from toughen.rule import Target

_WORD = r"(password|passwd|passphrase|passcode|pwd|psw|pass|senha|contrase(n|ñ)a|passwort|kennwort|mot_?de_?passe|wachtwoord|parola|haslo|heslo)"
_FRONT = r"new|user|usr|account|login|plain|plaintext|clear|raw|confirm|repeat|retype|again|my|input|entered|provided|given|submitted|unhashed|old|current|former|existing|previous"
_BEHIND = r"new|old|current|confirm|confirmation|repeat|again|plain|text|raw|in|str|\d"
NAME = re.compile(rf"^(({_FRONT})_?)*{_WORD}(_?({_BEHIND}))*$|^pw\d?$", re.IGNORECASE)
"""What a password itself is called, and nothing that only belongs to one (`password_hint`) or opens another door (`smtp_password`)."""
_FORMER = re.compile(r"old|current|existing|previous|former", re.IGNORECASE)
_AGAIN = re.compile(r"new|confirm|repeat|again|retype|2$", re.IGNORECASE)
COLUMN = re.compile(
    rf"^(?!.*(reset|token|hint|salt|change|expir|_at$|attempt|length|question))(.*(_|^)({_WORD})(_|\d|$).*|.*(password|passwd|passphrase).*|(pw|hash|hashed|digest)(_.*)?|pw_?hash)$", re.IGNORECASE
)
"""Columns that passwords are kept in."""
FAST = re.compile(r"\b(md5|sha1|sha224|sha256|sha384|sha512|sha3_\d+|blake2[bs]|b64encode|urlsafe_b64encode|b32encode|hexlify)\b")
"""What is quick to try, or no digest at all."""
SLOW = re.compile(r"bcrypt|argon2|scrypt|pbkdf2|generate_password_hash|CryptContext|pwd_context|PasswordHash|make_password|hashpw|crypt_context|PasswordType", re.IGNORECASE)
"""What is made for passwords."""
SENT = re.compile(r"^(data|body|payload|form|form_data|request|req|args|params|json|content|credentials|creds|info|input|schema|obj_in|user_in|login|\w*_(data|in|form|request|create|update|credentials))$", re.IGNORECASE)
"""What holds a request's values, as it is called."""
_DEEPEST = 4
_SALTS, _SHORTEST, _LONGEST = 40, 3, 64
_SUGAR = {"strip", "get_secret_value", "data", "rstrip", "lstrip"}


def fresh(call: Call) -> tuple[Argument, ...]:
    """The arguments in which a call carries the password that shall be stored, with its repetition; not the one that it replaces."""
    found = [each for each in call.arguments if each.place in {Where.JSON, Where.FORM, Where.QUERY} and NAME.match(named(each)) and isinstance(literal(each), str)]
    new = [each for each in found if not _FORMER.search(named(each))]
    if len({literal(each) for each in new}) > 1:
        # `password` beside `new_password` is the one that goes.
        new = [each for each in new if _AGAIN.search(named(each))] or new
    return tuple(each for each in new if literal(each) == literal(new[0]))


def tables_of(target: Target) -> frozenset[str]:
    """The tables that hold the people who log in."""
    known = users(target.blueprint)
    return frozenset({each.table.lower() for each in target.identities if each.table} | ({known.name.lower()} if known is not None else set()))


def fixed(modules: Sequence[Module]) -> tuple[str, ...]:
    """Short texts that stand in the source where something is digested: a salt that is the same for everybody is one of them."""
    found: dict[str, None] = {}
    for module in modules:
        constants = {
            target.id: each.value.value for each in module.tree.body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str | bytes)
            for target in each.targets if isinstance(target, ast.Name)
        }  # fmt: skip
        for node in (each for each in module.functions if FAST.search(module.segment(each))):
            for each in ast.walk(node):
                value = each.value if isinstance(each, ast.Constant) else constants.get(each.id) if isinstance(each, ast.Name) else None
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                if isinstance(text, str) and _SHORTEST <= len(text) <= _LONGEST and "\n" not in text:
                    found[text] = None
    return tuple(found)[:_SALTS]


# -- what the source does to a password --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """How a value that is stored or compared is made of a password."""

    place: Place
    node: ast.expr
    """The expression that makes it."""
    plain: ast.expr
    """The password itself within it."""
    digest: str = ""
    """The quick digest, "" where the password goes as it is."""

    @property
    def how(self) -> str:
        """In words that end a sentence."""
        return f"as a plain digest ({self.digest})" if self.digest else "as it was sent"


@dataclass(frozen=True, slots=True)
class Stored:
    """A password on its way into its column."""

    table: str
    column: str
    line: int
    at: Place
    """The function that writes it."""
    made: Made


def plain(node: ast.expr, names: frozenset[str] = frozenset()) -> bool:
    """Whether an expression is a password as its own name says, or one of these names."""
    match node:
        case ast.Name(id=name):
            return bool(NAME.match(name)) or name in names
        case ast.Attribute(value=value, attr=attr):
            return bool(NAME.match(attr)) or (attr in _SUGAR and plain(value, names))
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            return bool(NAME.match(key))
        case ast.Call(func=ast.Attribute(attr="get" | "pop" | "getvalue"), args=[ast.Constant(value=str() as key), *_]):
            return bool(NAME.match(key))
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _SUGAR:
            return plain(value, names)
        case ast.BoolOp(op=ast.Or(), values=[value, *_]) | ast.Call(func=ast.Name(id="str"), args=[value]):
            return plain(value, names)
    return False


def made(place: Place, value: ast.expr, project: tuple[Module, ...], names: frozenset[str] = frozenset(), depth: int = 0) -> Made | None:
    """How a value is made of a password, through local names; None where it is hashed well, or cannot be told."""
    if depth > _DEEPEST or SLOW.search(ast.unparse(value)):
        return None
    if isinstance(value, ast.Name | ast.Attribute) and (bound := _bound(place, value)):
        found = made(place, bound[-1], project, names, depth + 1)
        if found is not None and found.digest:
            return found
        return Made(place, value, value) if found is not None or plain(bound[-1], names) else None
    if plain(value, names):
        return Made(place, value, value)
    digest = _digest(place, value, project)
    inner = next((each for each in ast.walk(value) if isinstance(each, ast.expr) and plain(each, names)), None)
    return Made(place, value, inner, digest) if digest and inner is not None else None


def _bound(place: Place, value: ast.Name | ast.Attribute) -> list[ast.expr]:
    """What a name or attribute was assigned in front of its use, in order."""
    name = dotted(value)
    return [
        each.value for each in sorted((each for each in scope_of(place.node) if isinstance(each, ast.Assign | ast.AnnAssign)), key=lambda each: each.lineno)
        if each.value is not None and each.lineno < value.lineno and any(dotted(target) == name for target in (each.targets if isinstance(each, ast.Assign) else [each.target]))
    ]


def _digest(place: Place, value: ast.expr, project: tuple[Module, ...], depth: int = 0) -> str:
    """The quick digest by which an expression is made, also in the project's own functions; "" for none."""
    if found := FAST.search(ast.unparse(value)):
        return found.group(1)
    for call in (each for each in ast.walk(value) if isinstance(each, ast.Call)):
        inner = called(place, call, project)
        body = inner.module.segment(inner.node) if inner is not None else ""
        if inner is None or SLOW.search(body):
            continue
        if found := FAST.search(body):
            return found.group(1)
        for each in calls_of(inner.node) if depth < 1 else ():
            if name := _digest(inner, each, project, depth + 1):
                return name
    return ""


# -- where it is stored ------------------------------------------------------------------------------------------------


def unhashed(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Routes that store a password as it was sent, or under a digest that is quick to try."""
    table = users(blueprint)

    def look(handler: Handler) -> Iterator[Suspicion]:
        for each in stored(handler, table) if table is not None else ():
            yield handler.suspicion(break_id, each.line, f"the password goes into {each.table}.{each.column} {each.made.how}", each.at)
            return

    return sought(blueprint, sources, look)


def stored(handler: Handler, table: Table) -> Iterator[Stored]:
    """The passwords that a handler, the functions that it calls, and the methods of the users' class store without a slow hash."""
    model = (table.model or "").rpartition(".")[2]
    methods = _methods(handler.project, model)
    touched = {id(each.place.node): each.writes for each in rows(handler)}
    reach = list(handler.reach)
    for name in {name for place in reach for name in _asked(place, model)} & methods.keys():
        reach += methods[name]
    makes = any(_own(place, table) for place in methods.get("__init__", ()))
    hashes = any(SLOW.search(module.segment(node)) for module in handler.project for node in module.classes() if node.name == model)
    for place in reach:
        own = place.module.parent(place.node)
        if isinstance(own, ast.ClassDef) and own.name == model:
            found = [(column, value) for column, value in _own(place, table)]
        else:
            written = [each for each in touched[id(place.node)] if each.table == table.name.lower() and COLUMN.search(each.column) and table.column(each.column)]
            found = [(each.column, each.value) for each in written if not (makes and _constructs(place, each.value, model))]
            found += [each for each in _set(place, table) if all(each[1] is not value for _, value in found)]
        for column, value in found:
            for each in _traced(place, value, reach, handler.project, model):
                if each.digest or not hashes:
                    yield Stored(table.name.lower(), column, each.node.lineno, each.place, each)


def _methods(project: tuple[Module, ...], model: str) -> dict[str, list[Place]]:
    """Methods of the users' class, by name; a property's setter under the property's."""
    found: dict[str, list[Place]] = {}
    for module in project:
        for node in module.classes() if model else ():
            for each in node.body if node.name == model else ():
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.setdefault(each.name, []).append(Place(module, each))
    return found


def _asked(place: Place, model: str) -> Iterator[str]:
    """Names of methods that a function may call on a user, of properties that it sets, and `__init__` where it makes one."""
    for node in scope_of(place.node):
        match node:
            case ast.Call(func=func) if dotted(func).rpartition(".")[2] == model:
                yield "__init__"
                yield from (each.arg for each in node.keywords if each.arg)
            case ast.Call(func=ast.Attribute(attr=attr)):
                yield attr
            case ast.Assign(targets=[ast.Attribute(attr=attr)]):
                yield attr


def _own(place: Place, table: Table) -> Iterator[tuple[str, ast.expr]]:
    """What a method of the users' class puts into a column of passwords."""
    for node in scope_of(place.node):
        match node:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)], value=value) if COLUMN.search(attr) and table.column(attr):
                yield attr.lower(), value


def _set(place: Place, table: Table) -> Iterator[tuple[str, ast.expr]]:
    """What a function puts into a column of passwords of something that no query of its own has loaded (`current_user`)."""
    annotated = {each.arg for each in ast.walk(place.node.args) if isinstance(each, ast.arg) and each.annotation is not None}
    for node in scope_of(place.node):
        match node:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=name), attr=attr)], value=value) if COLUMN.search(attr) and table.column(attr):
                if name not in {"self", *annotated} and not SENT.match(name):
                    yield attr.lower(), value


def _constructs(place: Place, value: ast.expr, model: str) -> bool:
    above = place.module.parent(value)
    call = place.module.parent(above) if isinstance(above, ast.keyword) else None
    return isinstance(call, ast.Call) and dotted(call.func).rpartition(".")[2] == model


def _traced(place: Place, value: ast.expr, reach: Sequence[Place], project: tuple[Module, ...], model: str) -> Iterator[Made]:
    """How a stored value is made: where a caller hands it over, by what the callers make of it."""
    parameters = frozenset(each.arg for each in ast.walk(place.node.args) if isinstance(each, ast.arg))
    known = isinstance(place.module.parent(place.node), ast.ClassDef) or NAME.match(place.node.name.removeprefix("set_").removeprefix("update_").removeprefix("hash_"))
    own = made(place, value, project, parameters - {"self", "cls", "db", "session"} if known else frozenset())
    name = value.id if isinstance(value, ast.Name) else ""
    if name not in parameters or (own is not None and own.digest):
        if own is not None:
            yield own
        return
    given = list(handovers(place, name, reach, project, model))
    for caller, argument in given:
        found = made(caller, argument, project)
        if found is not None and found.digest:
            yield found
        elif found is not None:
            yield own or Made(place, value, value)
    if not given and own is not None:
        yield own


def handovers(place: Place, name: str, reach: Sequence[Place], project: tuple[Module, ...], model: str = "") -> Iterator[tuple[Place, ast.expr]]:
    """(caller, argument) for each call that hands a value to a parameter of a function."""
    for caller in reach:
        for call in calls_of(caller.node):
            if is_call_of(caller, call, place, project, model):
                yield from ((caller, argument) for parameter, argument in handed(place.node, call) if parameter == name)


def is_call_of(caller: Place, call: ast.Call, place: Place, project: tuple[Module, ...], model: str = "") -> bool:
    """Whether a call means that function: by name, as a method of a user, or as the making of one."""
    node: FunctionNode = place.node
    own = place.module.parent(node)
    if isinstance(own, ast.ClassDef) and own.name == model:
        if node.name == "__init__":
            return dotted(call.func).rpartition(".")[2] == model
        return isinstance(call.func, ast.Attribute) and call.func.attr == node.name
    inner = called(caller, call, project)
    return inner is not None and inner.node is node
