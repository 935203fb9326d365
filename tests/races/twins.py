"""Owns the twins: the same prototype once with races in its handlers and once without, for a stack of a framework and a driver."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Journey, Literal

from .dialects import STACKS as PLAIN
from .dialects import Stack
from .ormed import DJANGO

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BUGGY", "EXPECTED", "STACKS", "Stack", "Twin", "twin"]

STACKS = (*PLAIN, *DJANGO)
LOST, CHECKED, TWICE = "race/lost-update", "race/check-then-act", "race/duplicate-request"
EXPECTED = {"withdraw": LOST, "transfer": LOST, "buy": CHECKED, "sign_up": CHECKED, "book": CHECKED, "charge": TWICE}
"""The break of each buggy handler."""
BUGGY = dict.fromkeys(EXPECTED, "")
_REPAIRS = {
    # handler: (on SQLite, on a server)
    "withdraw": (("atomic", "immediate", "swapped"), ("atomic", "locked", "serializable", "swapped")),
    "transfer": (("immediate", "atomic"), ("ordered", "atomic")),
    "buy": (("immediate", "atomic"), ("locked", "serializable", "atomic")),
    "sign_up": (("unique", "unless", "immediate"), ("unique", "serializable", "unless")),
    "book": (("below", "immediate"), ("parent", "serializable")),
    "charge": (("unless", "immediate", "unique"), ("unique", "unless", "serializable")),
}
_BODIES = {
    "withdraw": {"account": 1, "amount": 30},
    "transfer": {"source": 1, "target": 2, "amount": 5},
    "refund": {"source": 2, "target": 1, "amount": 5},
    "buy": {"ticket": 1},
    "sign_up": {"name": "bob"},
    "book": {"guest": 1, "day": "monday"},
    "charge": {"amount": 20, "idempotency_key": "5f0c"},
}
_BEGINS = {"immediate": "immediate", "serializable": "serializable", "deferred": "deferred", "locked": "begin", "ordered": "begin", "parent": "begin", "atomic": "begin"}
"""How a repair's transaction begins; `begin` is as the driver does, but for one that begins none by itself."""
_ASK = "# somebody outside is asked"


@dataclass(frozen=True)
class Twin:
    """One prototype."""

    stack: Stack
    repairs: Mapping[str, str]
    """handler -> what keeps it right, "" where nothing does."""
    asks: bool = False
    """Whether a withdrawal asks somebody outside between its read and its write."""

    @property
    def source(self) -> str:
        """Its `main.py`."""
        uniques = {("sign_up", "users", "name"), ("charge", "payments", "idempotency_key")}
        wanted = tuple(sorted((table, column) for handler, table, column in uniques if self.repairs.get(handler) in {"unique", "unless"}))
        made = [self._handler(name, repair) for name, repair in self.repairs.items()]
        return "\n\n".join([self.stack.head(wanted), *made, self.stack.reading(("payments", "users", "bookings", "sales"))])

    @property
    def journeys(self) -> dict[str, Journey]:
        """An honest request to each of its routes."""
        made = {}
        for name in self.repairs:
            call = Call(f"POST /{name}", tuple(Argument(Place.JSON, (key,), Literal(value)) for key, value in _BODIES[name].items()), body="json")
            made[call.route] = Journey(call.route, (call,), 200, anonymous=True)
        return {**made, "GET /all": Journey("GET /all", (Call("GET /all"),), 200, anonymous=True)}

    def _handler(self, name: str, repair: str) -> str:
        how = _BEGINS.get(repair, "")
        make = {"withdraw": _withdraw, "transfer": _transfer, "refund": _transfer, "buy": _buy, "sign_up": _sign_up, "book": _book, "charge": _charge}[name]
        body = make(self.stack, repair, how)
        return self.stack.handler(name, body.replace(_ASK, self.stack.call_outside() if self.asks else "").replace("\n\n", "\n"), how)


def twin(stack: Stack, *, fixed: bool) -> Twin:
    """The buggy or the fixed prototype of a stack; over the stacks every repair has its turn."""
    if not fixed:
        return Twin(stack, BUGGY)
    same = [each.name for each in STACKS if each.server == stack.server]
    number = same.index(stack.name) if stack.name in same else zlib.crc32(stack.name.encode())
    return Twin(stack, {name: each[stack.postgres][number % len(each[stack.postgres])] for name, each in _REPAIRS.items()})


def _lines(*parts: str) -> str:
    return "\n".join(each for each in parts if each)


def _withdraw(stack: Stack, repair: str, how: str) -> str:
    """Take an amount from a balance that suffices."""
    amount, key = 'data["amount"]', 'data["account"]'
    done = _lines(stack.commit(how), 'return {"ok": True}')
    if repair == "atomic":
        return _lines(stack.take("hit", "accounts", "balance", amount, key, bounded=True), f"if not hit:\n    {stack.refuse(409)}", done)
    balance = stack.column("account", "accounts", "balance")
    read = stack.read("account", "accounts", "id", key, lock=repair == "locked")
    check = f"if account is None or {balance} < {amount}:\n    {stack.refuse(409)}"
    if repair == "swapped":
        return _lines(read, check, f"old = {balance}", stack.swap("hit", "accounts", "balance", "old", f"old - {amount}", key), f"if not hit:\n    {stack.refuse(409)}", done)
    return _lines(read, check, _ASK, stack.write("account", "accounts", "balance", f"{balance} - {amount}"), done)


def _transfer(stack: Stack, repair: str, how: str) -> str:
    """Move an amount from one account to another."""
    amount, done = 'data["amount"]', _lines(stack.commit(how), 'return {"ok": True}')
    if repair == "atomic":
        return _lines(
            stack.take("hit", "accounts", "balance", amount, 'data["source"]', bounded=True), f"if not hit:\n    {stack.refuse(409)}",
            stack.take("hit", "accounts", "balance", f"-{amount}", 'data["target"]', bounded=False), done,
        )  # fmt: skip
    ordered, lock = repair == "ordered", repair in {"ordered", "locked"}
    first, second = ('min(data["source"], data["target"])', 'max(data["source"], data["target"])') if ordered else ('data["source"]', 'data["target"]')
    read = _lines(stack.read("source", "accounts", "id", first, lock=lock), stack.read("target", "accounts", "id", second, lock=lock))
    swapped = 'if data["source"] > data["target"]:\n    source, target = target, source' if ordered else ""
    balance, other = stack.column("source", "accounts", "balance"), stack.column("target", "accounts", "balance")
    check = f"if {balance} < {amount}:\n    {stack.refuse(409)}"
    return _lines(read, swapped, check, stack.write("source", "accounts", "balance", f"{balance} - {amount}"), stack.write("target", "accounts", "balance", f"{other} + {amount}"), done)


def _buy(stack: Stack, repair: str, how: str) -> str:
    """Sell one of the tickets that remain."""
    key, done = 'data["ticket"]', _lines(stack.add("sales", ticket='data["ticket"]'), stack.commit(how), 'return {"ok": True}')
    taken = stack.take("hit", "tickets", "remaining", "1", key, bounded=repair == "atomic")
    if repair == "atomic":
        return _lines(taken, f"if not hit:\n    {stack.refuse(409)}", done)
    check = f"if ticket is None or {stack.column('ticket', 'tickets', 'remaining')} < 1:\n    {stack.refuse(409)}"
    return _lines(stack.read("ticket", "tickets", "id", key, lock=repair == "locked"), check, taken, done)


def _sign_up(stack: Stack, repair: str, how: str) -> str:
    """Give a name away once."""
    done = _lines(stack.commit(how), 'return {"ok": True}')
    if repair == "unless":
        return _lines(stack.add_unless_there("made", "users", name='data["name"]'), f"if not made:\n    {stack.refuse(409)}", done)
    read = _lines(stack.read("user", "users", "name", 'data["name"]'), f"if user is not None:\n    {stack.refuse(409)}")
    made = _lines(stack.add("users", name='data["name"]'), stack.commit(how))
    if repair == "unique":
        return _lines(read, f"try:\n{indent(made, '    ')}\nexcept {stack.clash}:\n    {stack.rollback()}\n    {stack.refuse(409)}", 'return {"ok": True}')
    return _lines(read, made, 'return {"ok": True}')


def _book(stack: Stack, repair: str, how: str) -> str:
    """Let a guest have three bookings."""
    done = _lines(stack.commit(how), 'return {"ok": True}')
    if repair == "below":
        return _lines(stack.add_below("made", 3), f"if not made:\n    {stack.refuse(409)}", done)
    parent = stack.read("guest", "guests", "id", 'data["guest"]', lock=True) if repair == "parent" else ""
    counted = stack.count("held", "bookings", "guest", 'data["guest"]')
    return _lines(parent, counted, f"if held >= 3:\n    {stack.refuse(409)}", stack.add("bookings", guest='data["guest"]', day='data["day"]'), done)


def _charge(stack: Stack, repair: str, how: str) -> str:
    """Charge once for a key."""
    key = 'data["idempotency_key"]'
    answer = f'return {{"charged": {stack.column("earlier", "payments", "amount")}}}'
    found = stack.read("earlier", "payments", "idempotency_key", key)
    values = {"amount": 'data["amount"]', "idempotency_key": key}
    fresh = 'return {"charged": data["amount"]}'
    if repair == "unless":
        return _lines(stack.add_unless_there("made", "payments", **values), stack.commit(how), found, answer)
    read = _lines(found, f"if earlier is not None:\n    {answer}")
    made = _lines(stack.add("payments", **values), stack.commit(how))
    if repair == "unique":
        after = _lines(stack.rollback(), found, answer)
        return _lines(read, f"try:\n{indent(made, '    ')}\nexcept {stack.clash}:\n{indent(after, '    ')}", fresh)
    return _lines(read, made, fresh)
