"""Owns race/duplicate-request."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import deferring, knowing, outboxes, repeats, settlements, sql, timeline, untold
from toughen.atomicity import mends
from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Patch, Unmended
from toughen.oracle import state, succeeded, telling_write
from toughen.pairs import steer, told
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples import desk, parcels
from toughen.samples.resends import (
    CANCELLED,
    CANCELS,
    CHARGED,
    LOANS,
    NOTES,
    NOTIFIED,
    ONLY_MEMORY,
    PAYMENTS,
    REFUNDS,
    REMEMBERED,
    TAGS,
    UNIQUE,
)
from toughen.specimens import SESSION_NEEDS
from toughen.timeline import row_facts
from toughen.twists import UNSEEN, answer, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.trace import RowChange, Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_KNOWN = (
    "What must hold afterwards: a request with a key that was seen before is answered as the first one was, and does nothing. Keep the key in a unique column, written in the "
    "transaction of the effect, and answer its violation with what the first request made."
)
_ALL = (
    "What must hold afterwards: every worker knows the keys of all, also after a restart. Keep them in a table with a unique column, written in the transaction of the effect, "
    "with the answer beside them."
)
_TELLS = (
    "What must hold afterwards: sent again, he can tell that it is the same. Write and commit the row first (as pending), tell him with an idempotency key that is made of its "
    "number, and note the outcome then."
)


class DuplicateRequest(Rule):
    """The same request, sent again because its answer got lost, is done a second time.

    Who pays: the customer who is charged twice for one order. Clients, browsers and the servers between them send
    again what they heard no answer to, and people click twice.

    Shown: a request that carries an idempotency key has two effects: sent again in turn, to another worker, or at once; or
    one that in turn does nothing the second time (it is known again by a key of its own) is done twice
    at once; or it tells somebody outside to charge or to send, is killed before its rows are committed, and tells him once
    more when it is sent again, with no key by which he could know; or it names a row, brings it to its last state
    (cancelled, approved, refunded) and moves a number by what stands in that row, and does so once more though the row is in
    that state already. A request without a key that is meant twice (two notes, two
    transfers) is no break. Where the second is refused in turn, it is race/check-then-act that tells of it; where one
    half of the rows is left, failure/partial-write.

    Example: `if db.query(Payment).filter_by(key=key).first(): return it`, with no unique constraint on the key.
    Instead: a unique column for the key, in the transaction of the effect, and an answer to its violation; what is
    told to others after the commit, or with a key that is made of the row.

    References: CWE-837, CWE-362; RFC 9110 9.2.2; draft-ietf-httpapi-idempotency-key-header.
    """

    id = "race/duplicate-request"
    title = "A request that is sent again is done twice"
    severity = Severity.HIGH
    cwe = (837, 362)
    order = 62
    single = True
    waits = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Keys that no unique column keeps; calls outside before the commit."""
        yield from repeats.suspected(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Sent again in turn, to another worker, at once, and after a kill."""
        if route.method != "GET":
            yield from repeats.twice(target, route, journey)
            yield from repeats.cut_off(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Once where it is known again, and twice here."""
        control = traces["control"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        match experiment.fact("how"):
            case "killed":
                return self._killed(experiment, traces)
            case "turn":
                return self._turn(experiment, traces)
            case "worker":
                return self._worker(experiment, traces)
            case "answers":
                return self._answers(experiment, traces)
            case "settled":
                return self._settled(traces)
        return self._once(experiment, traces)

    def _turn(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        one, two, known = traces["control"], traces["twice"], _known(experiment)
        extra = repeats.again(one, two, known)
        if not succeeded(two.last) or not extra or repeats.held_back(one, two, known):
            return Fails()
        if any(each.key for each in two.last.outgoing):
            return Unclear("the key is handed on to somebody outside, who may know by it")
        return Holds(self._evidence(experiment, two, extra, "sent again with the same key, it is done again"))

    def _worker(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        one, known = traces["control"], _known(experiment)
        if repeats.again(one, traces["twice"], known):
            return Fails()
        two = traces["elsewhere"]
        extra = repeats.again(one, two, known)
        kept = all(sum(each.table == change.table and each.kind == change.kind for each in two.changes) > 1 for change in extra if change.kind == "inserted")
        if not succeeded(two.last) or not extra or not kept:
            return Fails()
        return Holds(self._evidence(experiment, two, extra, "sent again to another worker, it is done again: the first one alone remembers it"))

    def _answers(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Where no rows tell: what is made anew for each request (a number, a time) or marks an answer as repeated comes back in one process, and not in two."""
        one, two = traces["twice"], traces["elsewhere"]
        fresh = _bodies(one)[-2] != _bodies(two)[-2]
        before, now = _bodies(one)[-2:], _bodies(two)[-2:]
        told_apart = len(set(before)) == 1 and ((fresh and len(set(now)) > 1) or bool(_marks(one) - _marks(two)))
        if not told_apart or not all(map(succeeded, (*one.exchanges[-2:], *two.exchanges[-2:]))):
            return Fails()
        facts: dict[str, Json] = {"request": shown(two.last), "key": experiment.fact("key"), "one process": [*before], "two": [*now]}
        message = "sent again with the same key to another worker, it is done again: the first one alone remembers it"
        return Holds(Evidence(message, {name: value[:300] if isinstance(value, str) else value for name, value in facts.items()}, None, (("how", "answers"), ("key", experiment.fact("key")))))

    def _settled(self, traces: Mapping[str, Trace]) -> Judgement:
        one, two = traces["control"], traces["twice"]
        first, plain, repeated = (settlements.settlement(traces[name]) for name in ("control", "plain", "again"))
        if first is None or plain is None or repeated is None or plain.step == first.step or plain.amount != first.amount:
            return Fails()
        if not succeeded(two.last) or not settlements.again(first, two):
            return Fails()
        row, other, key = first.settled, first.moved, str(next(iter(first.settled.before.values())))
        write = next((each for each in one.last.statements if each.verb == "update" and row.table.lower() in each.writes and first.state.lower() in sql.written_columns(each.text)), None)
        facts: dict[str, Json] = {
            "request": shown(two.last), "answers": [answer(each) for each in two.exchanges[-2:]], "once": [*row_facts(one.final_changes)], "done twice": [*row_facts(two.final_changes)],
        }  # fmt: skip
        detail = (("how", "settled"), ("table", row.table), ("state", first.state), ("was", str(row.before.get(first.state) or "")), ("now", repr(row.after.get(first.state))), ("statement", write.text if write else ""))
        message = f"{row.table} {key} is {row.after.get(first.state)} already, and sent again {other.table}.{first.column} moves by its {first.amount} ({first.step:+g}) once more"
        return Holds(Evidence(message, facts, write.location if write else None, detail))

    def _once(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        one, race, known = traces["control"], traces["race"], _known(experiment)
        if repeats.again(one, traces["twice"], known) or not succeeded(traces["twice"].last):
            return Fails()
        if one.final_changes and not race.final_changes:
            return Unclear(UNSEEN)
        extra = repeats.beyond(one, race, known)
        if not all(map(succeeded, race.exchanges[-2:])) or not extra:
            return Fails()
        write = next((each for each in reversed(race.exchanges[-2].statements) if extra[0].table.lower() in each.writes), None) or telling_write(race.exchanges[-2], race)
        detail = steer(race.exchanges[-2], write, extra[0].table)
        found = self._evidence(experiment, race, extra, "sent twice at once it is done twice; in turn, the second is known again", told(race, traces["twice"]))
        return Holds(Evidence(found.message, found.facts, write.location if write else None, (*detail, ("how", "once")), severity=found.severity))

    def _killed(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        control, killed, retried = traces["control"], traces["killed"], traces["retried"]
        if killed.last.ended != "killed" or not succeeded(retried.last):
            return Unclear("the request was not cut off there, or does not succeed when it is sent again")
        call = next(iter(control.last.outgoing[int(experiment.fact("call")) :]), None)
        twice = [next((one for one in each.outgoing if call and repeats.same(one, call)), None) for each in (retried.exchanges[-2], retried.last)]
        masked = repeats.masked(traces)
        if call is None or None in twice or state(retried.changes, masked) != state(control.changes, masked):
            return Fails()
        if twice[0] and twice[1] and not repeats.same(twice[0], twice[1]):
            return Fails()
        point = int(experiment.fact("point"))
        story = timeline.told([shown(control.last)[:60], "the same, sent again"], timeline.cut(control.last, point, retried.last), row_facts(retried.changes), row_facts(control.changes))
        facts: dict[str, Json] = {"request": shown(control.last), "outside": f"{call.host}: {call.request}", "sent": call.sent[:200], "answer": answer(retried.last), "rows": [*row_facts(retried.changes)], "timeline": story}
        mail = call.request.startswith("MAIL")
        what = "the mail is sent" if mail else f"{call.host} is told"
        return Holds(Evidence(f"cut off before its rows are committed and sent again, {what} twice, and the rows know of one", facts, call.location, (("how", "killed"), ("binding", "yes" if untold.binding(call) else "")), severity=Severity.LOW if mail else None))

    def _evidence(self, experiment: Experiment, two: Trace, extra: tuple[RowChange, ...], message: str, facts: Mapping[str, Json] | None = None) -> Evidence:
        write = next((each for each in reversed(two.last.statements) if extra[0].table.lower() in each.writes), None)
        key = experiment.fact("key")
        told_of: dict[str, Json] = {"request": shown(two.last), **({"key": key} if key else {}), "answers": [answer(each) for each in two.exchanges[-2:]], "done twice": [*row_facts(extra)]}
        severity = None if key or any(each.kind == "updated" for each in extra) else Severity.MEDIUM
        return Evidence(f"{message}: {row_facts(extra)[0]}", {**told_of, **(facts or {})}, write.location if write else None, (("how", experiment.fact("how")), ("key", key)), severity=severity)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """At once: what makes the second wait, or see the first. The rest is for a brief."""
        how = finding.evidence.fact("how") if finding.evidence else ""
        if how == "once":
            yield from mends(finding, blueprint, sources)
            return
        if how == "settled":
            yield from settlements.mends(finding, blueprint, sources)
            return
        if how == "killed":
            if finding.evidence is not None and finding.evidence.fact("binding"):
                # Told behind the commit it may be lost: what moves money or goods is written down instead, where that can be done.
                yield from (each for each in outboxes.mends(finding, blueprint, sources, _BRIEFS["killed"][1]) if isinstance(each, Patch))
            yield from deferring.mends(finding, blueprint, sources, _BRIEFS["killed"][1])
            return
        key = finding.evidence.fact("key") if finding.evidence else ""
        if key and how in {"turn", "worker", "answers"}:
            yield from knowing.mends(finding, blueprint, sources, key, _BRIEFS["worker" if how == "worker" else "turn"][1])
            return
        yield Unmended(*_BRIEFS.get(how, _BRIEFS["turn"]))

    BROKEN: ClassVar[list[Broken]] = [
        Broken(PAYMENTS, "POST /payments", SESSION_NEEDS),
        Broken(CANCELS, "POST /orders/{order_id}/cancel", unseen="a row is read and two are changed, as everywhere"),
        Broken(LOANS, "POST /loans/{loan_id}/approve", SESSION_NEEDS, unseen="a row is read and two are changed, as everywhere"),
        Broken(TAGS, "POST /tags", unseen="a row is looked for and made, as everywhere"),
        Broken(REFUNDS, "POST /refunds"),
        Broken(REMEMBERED, "POST /orders", SESSION_NEEDS),
        Broken(ONLY_MEMORY, "POST /payments", ("fastapi",), unmended="neither an engine nor a function that connects"),
        Broken(CHARGED, "POST /orders", ("flask", "requests"), unmended="returns is used"),
        Broken(NOTIFIED, "POST /orders", ("fastapi", "sqlalchemy", "httpx")),
        Broken("", "POST /orders/", desk.NEEDS, parcels.ORDERS),
        Broken("", "POST /api/orders/", desk.REST, parcels.CHARGES, unseen="the key is a field of a serializer, which a library's view takes"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(UNIQUE, "a unique key decides, and its violation is answered with what the first one made", SESSION_NEEDS),
        Sound(CANCELLED, "what is cancelled already is refused"),
        Sound(LOANS.replace('"approved"', '"active"'), "a state that goes on: it may be meant twice", SESSION_NEEDS),
        Sound(NOTES, "without a key, two notes are two notes"),
        Sound(CHARGED.replace("timeout=5)", 'headers={"Idempotency-Key": request.get_json()["reference"]}, timeout=5)'), "whoever is told twice knows it by the key", ("flask", "requests")),
        Sound(CHARGED.replace("/v1/charges", "/v1/fraud/score"), "a question may be asked twice", ("flask", "requests"), alike="what is asked of whom does not show in the source"),
        Sound(TAGS.replace("name TEXT)", "name TEXT UNIQUE)").replace("INSERT INTO tags", "INSERT OR IGNORE INTO tags"), "a unique key decides"),
        Sound("", "an order of Django's is found or made over a unique column", desk.NEEDS, parcels.ORDERS_KNOWN),
    ]


def _bodies(trace: Trace) -> tuple[str, ...]:
    return tuple(each.response.body[:2000] if each.response else "" for each in trace.exchanges)


def _marks(trace: Trace) -> set[str]:
    """Names of headers that the second answer has beyond the first: `Idempotent-Replayed`, `X-Cache-Hit`."""
    first, second = ({name.lower() for name, _ in each.response.headers} if each.response else set[str]() for each in trace.exchanges[-2:])
    return second - first


def _known(experiment: Experiment) -> set[str]:
    return {each.lower() for each in experiment.fact("seen").split(",")}


_BRIEFS = {
    "turn": ("the key is not looked for before anything is done", _KNOWN),
    "worker": ("the keys that were seen are kept in the memory of one process", _ALL),
    "killed": ("somebody outside is told before the rows are committed", _TELLS),
}
