"""Owns the lines of one test: requests, the values that they send, and the rows and people that they need first."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from toughen.model.journey import Argument, Copies, Extract, Literal, Long, Marker, Stored, Tampered
from toughen.regressions import clients
from toughen.regressions.known import UnwritableError
from toughen.regressions.source import Code, named, singular, word, written
from toughen.regressions.telling import Absent, Answered, Equal, Headed, Refusal, Unstored, leaves

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.model.blueprint import Json
    from toughen.model.identity import Identity
    from toughen.model.journey import Call, Grant, Value
    from toughen.model.trial import Trial
    from toughen.regressions.cast import Cast
    from toughen.regressions.known import Known
    from toughen.regressions.telling import Check

_LOOP = 5
"""Requests alike from which on they are written as a loop."""
CANARY = re.compile(r"tgn[0-9a-f]{8}|planted")
FORGED = "garbage"


@dataclass
class Body:
    """The lines of a test in the making."""

    known: Known
    kind: str
    cast: Cast
    making: bool
    """Whether rows that honest requests refer to are made first, rather than taken as there."""
    lines: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: {"client", "write", "PASSWORD", "person", "log_in"})
    people: dict[str, str] = field(default_factory=dict)
    asking: set[str] = field(default_factory=set)
    """Who sends a request himself."""
    ids: dict[str, str] = field(default_factory=dict)
    made: dict[tuple[str, Json], Code] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    """Tables that a row is being made for."""
    uses: set[str] = field(default_factory=set)
    answers: dict[int, str] = field(default_factory=dict)
    sent: list[Call] = field(default_factory=list)
    markers: dict[str, str] = field(default_factory=dict)
    lab_markers: dict[str, str] = field(default_factory=dict)
    """What the lab sent in the place of each Marker."""
    indent: int = 4
    varied: tuple[Argument, Code] | None = None
    """The value that a loop gives."""

    # -- requests -----------------------------------------------------------------------------------------------------

    def _steps(self, calls: Sequence[Call], trial: Trial | None, *others: Trial) -> None:
        """What is asked beforehand, for a trial and others that share it; many alike are a loop."""
        index = 0
        while index < len(calls):
            alike = list(takewhile(lambda each: each.route == calls[index].route and each.identity == calls[index].identity and len(each.arguments) == len(calls[index].arguments), calls[index:]))  # noqa: B023
            if len(alike) >= _LOOP:
                self._loop(alike)
                self.sent += alike
                index += len(alike)
                continue
            number = len(self.sent)
            self._send(calls[index], needed=trial is None or any(self._wanted(each, number) for each in (trial, *others)))
            index += 1
            for grant in self._grants(trial, number + 1) if trial is not None else ():
                self._grant(grant)

    @staticmethod
    def _wanted(trial: Trial, number: int) -> bool:
        return any(isinstance(each.value, Extract) and each.value.step == number for call in trial.calls for each in call.arguments)

    def _loop(self, alike: Sequence[Call]) -> None:
        first = alike[0]
        varying = [each for each in first.arguments if any((other := call.argument(each.place, each.path)) is None or other.value != each.value for call in alike)]
        self.lines.append(f"for number in range({len(alike)}):")
        self.indent = 8

        def value(argument: Argument) -> object:
            return Code('f"Wr0ng-guess-{number}"') if argument in varying else self._value(argument)

        client, headers = self._sender(first)
        self.lines += [f"    {each}" for each in clients.request(self.kind, first, value, client=client, headers=headers, indent=8)]
        self.indent = 4

    def _send(self, call: Call, *, needed: bool, name: str = "", expects: int = 200) -> str:
        """One request; the variable of its answer where that is needed."""
        values = {id(each): self.varied[1] if self.varied is not None and (each.place, each.path) == (self.varied[0].place, self.varied[0].path) else self._value(each) for each in call.arguments if each.path != ("csrfmiddlewaretoken",) or self.kind != clients.DJANGO}
        if call.raw_body is not None:
            call = replace(call, raw_body=self.cast.spelled(call.raw_body))
        client, headers = self._sender(call)
        variable = (name or named(self._resource(call), self.taken)) if needed or name else ""
        lines = clients.request(self.kind, call, lambda each: values[id(each)], client=client, headers=headers, before=f"{variable} = " if variable else "", expects=expects, indent=self.indent)
        self.lines += lines
        if variable:
            self.answers[len(self.sent)] = variable
        self.sent.append(call)
        return variable

    def _asked(self, call: Call, checks: Sequence[Check], *, name: str = "") -> str:
        """One request and what its answer must be."""
        expects = next((each.status for each in checks if isinstance(each, Answered)), 200)
        variable = self._send(call, needed=True, name=name or ("refused" if isinstance(checks[0], Refusal) else "answer"), expects=expects)
        for check in checks:
            self.lines += self._check(check, variable)
        return variable

    def _check(self, check: Check, answer: str) -> list[str]:
        match check:
            case Refusal():
                self.uses.add("assert_refused")
                return [f"assert_refused({answer})"]
            case Answered(status):
                return [f"assert {answer}.status_code == {status}"]
            case Absent(text, marker):
                shown = self.markers.get(marker) if marker else written(text)
                if shown is None:
                    raise UnwritableError("what the answer must not hold was written by the lab")
                return [f"assert {shown} not in {clients.text(self.kind, answer)}"]
            case Equal(pointer, value):
                return [f"assert {clients.read(self.kind, answer, pointer)} != {written(self.cast.readable(value))}"]
            case Unstored(table, column, value, (name, held)):
                if not self.cast.writable:
                    raise UnwritableError("what differs is seen in the database only, and the tests have no way to read a row")
                self.uses.add("read")
                was = next((shown for marker, shown in self.markers.items() if (canary := self.lab_markers.get(marker)) and canary in str(value)), None) or written(self.cast.readable(value))
                return [f'assert read("SELECT {column} FROM {table} WHERE {name} = ?", {written(self.cast.readable(held))}) != {was}']  # noqa: S608 - text of the tests
            case Headed("set-cookie", _, holds):
                return [f'assert "{each}" in {answer}.headers["Set-Cookie"].lower()' for each in holds[1:]]
            case Headed(name, None):
                return [f'assert "{name}" not in {answer}.headers']
            case Headed(name, value):
                return [f'assert {answer}.headers.get("{name}") == {written(value)}']

    def _sender(self, call: Call) -> tuple[str, str]:
        """(client, expression of the headers) of whoever sends a call."""
        if call.inside:
            raise UnwritableError("it is asked from the machine itself")
        if call.identity is None:
            return "client", ""
        if call.identity == FORGED:
            if self.cast.by_cookie:
                raise UnwritableError("a made-up cookie is sent")
            header = next((each.header for each in self.known.identities if each.header), ("Authorization", "Bearer "))
            return "client", written({header[0]: f"{header[1]}nobody's"})
        identity = self.known.identity(call.identity)
        if identity is None:
            raise UnwritableError(f"nobody knows {call.identity}")
        self._introduce(identity)
        self.asking.add(call.identity)
        variable = self.people[call.identity]
        return (variable, "") if self.cast.by_cookie else ("client", variable)

    @staticmethod
    def _resource(call: Call) -> str:
        parts = [each for each in call.route.partition(" ")[2].split("/") if each and not each.startswith("{") and each not in {"api", "v1", "v2"}]
        return singular(parts[-1]) if parts else "answer"

    # -- values -------------------------------------------------------------------------------------------------------

    def _value(self, argument: Argument) -> object:
        value: Value = argument.value
        name = str(argument.path[-1]) if argument.path else ""
        match value:
            case Literal(plain):
                return self._literal(argument, name, plain)
            case Extract(step, pointer):
                if step not in self.answers:
                    raise UnwritableError("it needs an answer that is not kept")
                return Code(clients.read(self.kind, self.answers[step], pointer))
            case Marker(of, shape):
                return self._marker(of, shape)
            case Long(_, size):
                return "x" * size
            case Copies(times, parts, numbered):
                element = clients.nested([(path, self._value(Argument(argument.place, path, each))) for path, each in parts])
                if numbered:
                    raise UnwritableError("a long list whose elements differ")
                return Code(f"[{written(element)}] * {times}")
            case Stored(table, column, _):
                for call in reversed(self.sent):
                    for each in call.arguments:
                        if each.path and str(each.path[-1]).lower() == column.lower():
                            return self._value(each)
                raise UnwritableError(f"it needs {table}.{column} as the database holds it")
            case Tampered():
                raise UnwritableError("it sends a token that is signed otherwise")
        raise AssertionError(value)

    def _marker(self, name: str, shape: str) -> str:
        plain = {"text": f"canary-{word(name)}", "email": f"canary-{word(name)}@example.com", "digits": "1357924680"}.get(shape)
        if plain is None:
            if shape.startswith("base64:") or "{outside}" in shape:
                raise UnwritableError("what it sends names a place of the lab's")
            stem = {"owned": "what the owner wrote", "injected": "canary"}.get(name, f"what somebody else wrote as {name.removeprefix('written')}" if name.startswith("written") else "canary")
            plain = shape.replace("tgn{}", stem).replace("{}", "canary").replace("{a}", "10007").replace("{b}", "10009")
            if re.search(r"^\w+\{\}$", shape) and not shape.startswith("tgn"):
                plain = shape.replace("{}", "7c1e")
        self.markers[name] = written("100160063" if "{a}" in shape else plain)
        return plain

    def _literal(self, argument: Argument, name: str, plain: Json) -> object:
        if (both := self.cast.basic(argument)) is not None:
            whose = self.cast.whose(both[0])
            if whose is not None and self.cast.entering(whose) == "signup":
                self._introduce(whose)
                self.uses.add("person")
            return self.cast.readable(both[0]), self.cast.readable(both[1])
        if isinstance(plain, str) and re.search(r"eyJ[\w-]{8,}\.", plain):
            raise UnwritableError("it sends a token that the lab forged for its own users")
        if isinstance(plain, str) and CANARY.search(plain):
            raise UnwritableError("it sends a canary of the lab's")
        person = self.cast.person_of(name, plain) if self._may_name(argument, name) else None
        if person is not None and (isinstance(plain, int) or len(str(plain)) > 8):  # noqa: PLR2004
            return self._id_of(person)
        whose = self.cast.whose(plain)
        if whose is not None and self.cast.entering(whose) == "signup":
            self._introduce(whose)
        if self.cast.signing and self.cast.password and plain == self.cast.password:
            self.uses.add("person")
        if self.making and (made := self._made(argument, name, plain)) is not None:
            return made
        return self.cast.readable(plain)

    def _may_name(self, argument: Argument, name: str) -> bool:
        """Whether a value may be somebody's key: by its own name, or as the last thing of a path of people."""
        if argument.place.value == "path" and word(name) in {"id", "pk"}:
            return False
        return bool(re.search(r"id$|uid$|by$|^(to|from|owner|author|user|recipient|sender|receiver)$", name, re.IGNORECASE))

    def _id_of(self, person: Identity) -> Code:
        if self.cast.id_pointer() is None:
            raise UnwritableError(f"no route tells {person.name} his own id")
        self._introduce(person)
        if person.name not in self.ids:
            self.ids[person.name] = named(f"{self.people[person.name]}_id", self.taken)
        return Code(self.ids[person.name])

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _made(self, argument: Argument, name: str, plain: Json) -> Code | None:
        """The key of a row like the one that is referred to, made through a route first; None where no route is known to."""
        if isinstance(plain, bool | float | dict | list) or plain is None or not re.search(r"(^|_)(id|pk|uuid|slug|key|number)$|Id$", name):
            return None
        table = self._table(argument, name)
        return self._row(table, plain) if table is not None else None

    def _row(self, table: str, plain: Json) -> Code | None:
        """The key of a row of that table in the place of the one that the lab knew; None where no route is known to make one."""
        if (table, plain) in self.made or table in self.opened:
            return self.made.get((table, plain))
        if not any(plain in each.values() or str(plain) in map(str, each.values()) for each in self.known.rows.get(table, ())):
            return None
        for route, journey in self.known.journeys.items():
            trace = self.known.honest.get(route)
            if trace is None or not trace.exchanges or not route.startswith("POST ") or any(each.place.value == "path" for each in journey.call.arguments):
                continue
            rows = [each.after for each in trace.final_changes if each.kind == "inserted" and each.table.lower() == table]
            columns = self.known.blueprint.table(table)
            key = next((each.name for each in columns.columns if each.primary_key), None) if columns else None
            answer = trace.last.response.json if trace.last.response else None
            pointer = next((at for row in rows for at, value in leaves(answer) if key and value == row.get(key) and at and str(at[-1]).lower().endswith("id")), None)
            if pointer is None or any(self._refers(each, table) for each in journey.call.arguments):
                continue
            calls, grants = journey.calls, journey.grants
            kept, sent = self.answers, self.sent
            self.answers, self.sent = {}, []
            self.opened.add(table)
            for grant in grants:
                if not CANARY.search(str(grant.value)):
                    self._grant(grant)
            for number, call in enumerate(calls):
                self._send(call, needed=number == len(calls) - 1 or any(isinstance(each.value, Extract) and each.value.step == number for later in calls for each in later.arguments))
            self.made[table, plain] = Code(clients.read(self.kind, self.answers[len(calls) - 1], pointer))
            self.answers, self.sent = kept, sent
            self.opened.discard(table)
            return self.made[table, plain]
        return None

    def _key(self, name: str) -> str | None:
        table = self.known.blueprint.table(name)
        return next((each.name.lower() for each in table.columns if each.primary_key), None) if table is not None else None

    def _table(self, argument: Argument, name: str) -> str | None:
        """The table whose key a value is, by its name: `product_id`; an `id` in a path is that of what stands before it."""
        stem = word(re.sub(r"(_?id|_?pk|Id)$", "", name))
        if not stem or stem in {"id", "pk"}:
            if argument.place.value != "path":
                return None
            stem = self._before(argument)
        tables = {each.name.lower() for each in self.known.blueprint.tables}
        return next((each for each in tables if each == stem or singular(each) == singular(stem) or singular(each).endswith(f"_{singular(stem)}")), None)

    def _before(self, argument: Argument) -> str:
        for call in (*(journey.call for journey in self.known.journeys.values()), *self.sent):
            if argument in call.arguments:
                parts = call.route.partition(" ")[2].split("/")
                place = next((index for index, each in enumerate(parts) if each.startswith("{" + str(argument.path[-1]))), 0)
                if place > 0:
                    return singular(word(parts[place - 1]))
        return ""

    def _refers(self, argument: Argument, table: str) -> bool:
        name = str(argument.path[-1]) if argument.path else ""
        return bool(re.search(r"id$", name, re.IGNORECASE)) and self._table(argument, name) == table

    def _grants(self, trial: Trial, done: int) -> Iterator[Grant]:
        """What is written before so many calls are done; what only marks a row is left out."""
        yield from (each for each in trial.grants if each.after == done and not CANARY.search(str(each.value)))

    def _grant(self, grant: Grant) -> None:
        if not self.cast.writable:
            raise UnwritableError(f"it needs {grant.table}.{grant.column} written, and the tests have no way to write a row")
        clauses, values = [], [written(self.cast.readable(grant.value))]
        for column, value in grant.where:
            person = next((each for each in self.known.identities if each.table and each.table.lower() == grant.table.lower() and self.cast.key(each) == column and each.row.get(column) == value), None)
            if person is not None and person.how == "signup":
                self._introduce(person)
                clauses.append(f"{self.cast.naming_column(person)} = ?")
                values.append(written(self.cast.readable(person.row[self.cast.naming_column(person)])))
            else:
                clauses.append(f"{column} = ?")
                made = self._row(grant.table.lower(), value) if self.making and column.lower() == self._key(grant.table) else None
                values.append(written(made or self.cast.readable(value)))
        self.uses.add("write")
        where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        self.lines.append(f'write("UPDATE {grant.table} SET {grant.column} = ?{where}", {", ".join(values)})')  # noqa: S608 - text of the tests

    def _introduce(self, person: Identity) -> None:
        self.cast.entering(person)
        if person.name not in self.people:
            self.people[person.name] = named(self.cast.variable(person), self.taken)
