"""Owns the file of the tests: its head, the helpers that its tests call, and what is added to one that is there already."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.journey import Literal
from toughen.regressions import clients
from toughen.regressions.cast import PASSWORD_NAME, Cast
from toughen.regressions.known import UnwritableError
from toughen.regressions.source import Code, quoted, written
from toughen.syntax import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.model.identity import Identity
    from toughen.model.journey import Argument, Call
    from toughen.regressions.fixtures import Ground
    from toughen.regressions.known import Draft, Known

EMPTY = ""
_TITLE = '"""What {name} once got wrong, and no longer does: each test fails as soon as its repair is taken out."""'


def assembled(known: Known, ground: Ground, drafts: Sequence[Draft], existing: str = EMPTY) -> str:
    """The whole file; one that is there keeps every line, and gets the tests that it lacks."""
    there = taken(existing)
    new = [each for each in drafts if each.name not in there]
    if not new and existing:
        return existing
    uses: frozenset[str] = frozenset().union(*(each.uses for each in new))
    helpers = _helpers(known, ground, uses)
    if existing:
        lacking = [text.rstrip("\n") for name, text in helpers.items() if name not in there]
        return _extended(existing, ground, lacking, new)
    text, block = ground.text.rstrip("\n"), ground.block.rstrip("\n")
    for name in ("write", "read"):
        if name not in uses:
            text = re.sub(rf"\n\n\n@pytest\.fixture\ndef {name}\(.*?\n    return run\b", "", text, flags=re.DOTALL)
            block = re.sub(rf"\n\n    def {name}\(self.*?(?=\n\n    def |\Z)", "", block, flags=re.DOTALL)
    tests = [_method(each).rstrip("\n") if block else each.text.rstrip("\n") for each in new]
    whole = "\n".join((text, block, *helpers.values(), *tests))
    standard = [each for each in ground.standard if re.search(rf"\b{each.rpartition(' ')[2]}\b", whole)]
    third = [each for each in ground.imports if re.search(rf"\b{each.rpartition(' ')[2]}\b", whole)]
    head = [_TITLE.format(name=known.blueprint.name), "", *standard, *([""] if standard and third else []), *third]
    constants = [each.rstrip("\n") for name, each in helpers.items() if name.isupper()]
    functions = [each.rstrip("\n") for name, each in helpers.items() if not name.isupper()]
    first = "\n".join(head).rstrip("\n")
    if constants or text.startswith("ROOT"):
        first += "\n\n" + "\n".join((*constants, *([text] if text.startswith("ROOT") else [])))
    parts = [first, *([text] if text and not text.startswith("ROOT") else []), *functions]
    parts += ["\n\n".join((block, *tests))] if block else tests
    return "\n\n\n".join(parts) + "\n"


def _extended(existing: str, ground: Ground, helpers: Sequence[str], new: Sequence[Draft]) -> str:
    """A file that is there, with tests at its end; helpers of a class stand before it."""
    if not ground.block:
        return "\n\n\n".join((existing.rstrip("\n"), *helpers, *(each.text.rstrip("\n") for each in new))) + "\n"
    before, mark, after = existing.partition("\nclass HardenedTest(")
    if helpers:
        before = before.rstrip("\n") + "\n\n\n" + "\n\n\n".join(helpers) + "\n\n"
    return (before + mark + after).rstrip("\n") + "\n\n" + "\n\n".join(_method(each).rstrip("\n") for each in new) + "\n"


def _method(draft: Draft) -> str:
    """A test as the method of a class."""
    head, _, body = draft.text.partition("\n")
    given = re.search(r"\((.*)\)", head)
    names = given.group(1).split(", ") if given else []
    lines = body.rstrip("\n").split("\n")
    end = next(index for index, line in enumerate(lines) if line.rstrip().endswith('"""') and (index or line.count('"""') > 1))
    lines.insert(end + 1, f"    {', '.join(names)} = {', '.join(f'self.{each}' for each in names)}")
    return f"    def {draft.name}(self):\n" + "\n".join(f"    {each}" if each else "" for each in lines) + "\n"


def taken(text: str) -> set[str]:
    """Names that a file defines at its top; all that it can be asked where it does not parse."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return set(re.findall(r"^(?:def|class)\s+(\w+)|^(\w+)\s*=", text, re.MULTILINE)[0]) if text.strip() else set()
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    return found | {each.id for node in tree.body if isinstance(node, ast.Assign) for each in node.targets if isinstance(each, ast.Name)}


def _helpers(known: Known, ground: Ground, uses: frozenset[str]) -> dict[str, str]:
    """Helpers that tests call, by name."""
    found: dict[str, str] = {}
    cast = Cast(known, ground.writable)
    if cast.forced and uses & {"person", "log_in"}:
        found |= _by_django(cast)
        uses -= {"person", "log_in"}
    if "person" in uses:
        found["PASSWORD"] = f"PASSWORD = {quoted(_strong(cast.password))}"
    if uses & {"person", "log_in"}:
        found["log_in"] = _log_in(known, cast, ground)
    if "person" in uses:
        found["signed_up"] = _signed_up(cast, ground)
    for name in sorted(each.removeprefix("raised:") for each in uses if each.startswith("raised:")):
        identity = known.identity(name)
        if identity is not None and cast.raising(identity) not in found:
            found[cast.raising(identity)] = _raised(cast, identity)
    if "assert_refused" in uses:
        shown = clients.text(ground.client, "answer")
        found["assert_refused"] = f'def assert_refused(answer):\n    """The request is turned away with a 4xx, and not by a crash."""\n    assert 400 <= answer.status_code < 500, f"{{answer.status_code}}: {{{shown}[:200]}}"\n'
    return found


def _by_django(cast: Cast) -> dict[str, str]:
    """Helpers that make people and log them in as Django's test client does; with the token that a log-in gives, where there is one."""
    carrying = next((each for each in cast.known.identities if each.header is not None and each.login is not None and each.token), None)
    lines = ["def log_in(client, name):", '    """Log somebody in: the browser that is his."""', "    browser = type(client)(raise_request_exception=False)", "    browser.force_login(get_user_model().objects.get(username=name))"]
    if carrying is not None and carrying.login is not None and carrying.header is not None:
        naming = cast.naming(carrying)
        values = {id(each): Code("name") if each in naming else Code("PASSWORD") if each.path and PASSWORD_NAME.search(str(each.path[-1])) else each.value.value if isinstance(each.value, Literal) else "" for each in carrying.login.arguments}
        lines += [f"    {each}" for each in clients.request(clients.DJANGO, carrying.login, lambda each: values[id(each)], client="browser", before="answer = ")]
        header, prefix = carrying.header
        token = clients.read(clients.DJANGO, "answer", carrying.token).replace('"', "'")
        lines.append(f'    browser.defaults["HTTP_{header.upper().replace("-", "_")}"] = f"{prefix}{{{token}}}"')
    lines.append("    return browser")
    return {
        "PASSWORD": 'PASSWORD = "Str0ng!passw0rd"', "log_in": "\n".join(lines) + "\n",
        "signed_up": 'def signed_up(client, name):\n    """A user, and the browser in which he is logged in."""\n    get_user_model().objects.create_user(name, f"{name}@example.com", PASSWORD)\n    return log_in(client, name)\n',
    }


def _strong(password: str) -> str:
    """The password that was accepted, in words of its own where the lab chose it."""
    return "Str0ng!passw0rd" if password.startswith("Tg7!") else password


def _named(argument: Argument, person: dict[str, str]) -> object:
    """A sign-up's or log-in's value for whoever is called `name`."""
    if not isinstance(argument.value, Literal):
        raise UnwritableError("its sign-up takes a value from elsewhere")
    plain = argument.value.value
    if argument.path and PASSWORD_NAME.search(str(argument.path[-1])):
        return Code("PASSWORD")
    if isinstance(plain, str) and plain in person:
        return Code(person[plain])
    return plain


def _log_in(known: Known, cast: Cast, ground: Ground) -> str:
    """The helper by which somebody comes in."""
    identity = next(each for each in known.identities if each.login is not None)
    login = identity.login
    assert login is not None
    signing = cast.signing
    naming = cast.naming(identity)
    values: dict[int, object] = {}
    for each in login.arguments:
        if each in naming and isinstance(each.value, Literal):
            values[id(each)] = Code('f"{name}@example.com"') if "@" in str(each.value.value) and signing else Code("name")
        elif each.path and PASSWORD_NAME.search(str(each.path[-1])):
            values[id(each)] = Code("password")
        elif cast.basic(each) is not None:
            values[id(each)] = (Code("name"), Code("password"))
        elif isinstance(each.value, Literal):
            values[id(each)] = each.value.value
    signature = "client, name, password=PASSWORD" if signing else "client, name, password"
    lines = [f"def log_in({signature}):"]
    if cast.by_cookie:
        fresh = {clients.FLASK: "client.application.test_client()", clients.DJANGO: "type(client)()"}.get(ground.client, "type(client)(client.app, raise_server_exceptions=False)")
        lines += ['    """Log somebody in: the browser that is his."""', f"    browser = {fresh}"]
        lines += [f"    {each}" for each in clients.request(ground.client, login, lambda each: values[id(each)], client="browser")]
        lines += ["    return browser"]
    else:
        header, prefix = identity.header or ("Authorization", "Bearer ")
        lines += ['    """Log somebody in: the headers of the requests that are his."""']
        lines += [f"    {each}" for each in clients.request(ground.client, login, lambda each: values[id(each)], client="client", before="answer = ")]
        token = clients.read(ground.client, "answer", identity.token)
        lines += [f'    return {{{quoted(header)}: f"{prefix}{{{token}}}"}}'.replace('["', "['").replace('"]', "']") if prefix else f"    return {{{quoted(header)}: {token}}}"]
    return "\n".join(lines) + "\n"


def _raised(cast: Cast, identity: Identity) -> str:
    """The helper by which somebody gets a role that no route gives."""
    column = cast.naming_column(identity)
    given = cast.raised(identity)
    named = 'f"{name}@example.com"' if "@" in str(identity.row[column]) else "name"
    lines = [f"def {cast.raising(identity)}(client, write, name):", f'    """Sign somebody up as {identity.kind}, which no route makes anybody, and log him in."""', "    signed_up(client, name)"]
    lines.append(f'    write("UPDATE {identity.table} SET {", ".join(f"{each} = ?" for each in given)} WHERE {column} = ?", {", ".join(written(each) for each in given.values())}, {named})')  # noqa: S608 - text of the tests
    lines.append("    return log_in(client, name)")
    return "\n".join(lines) + "\n"


def _signed_up(cast: Cast, ground: Ground) -> str:
    """The helper by which somebody signs up, and comes in."""
    journey = cast.signup
    if journey is None or len(journey.calls) != 1:
        raise UnwritableError("signing up takes more than one request")
    call: Call = journey.call
    person = {}
    for each in call.arguments:
        if isinstance(each.value, Literal) and isinstance(each.value.value, str):
            plain = each.value.value
            if re.match(r"^[\w.+-]+@[\w.-]+$", plain):
                person[plain] = 'f"{name}@example.com"'
            elif re.match(r"^tg(\d+\w*|[a-z]+\d+)$", plain) and each.place in {Place.JSON, Place.FORM}:
                person[plain] = "name"
    lines = ["def signed_up(client, name):", '    """Sign somebody up, and log him in."""']
    lines += [f"    {each}" for each in clients.request(ground.client, call, lambda each: _named(each, person), client="client")]
    lines += ["    return log_in(client, name)"]
    return "\n".join(lines) + "\n"
