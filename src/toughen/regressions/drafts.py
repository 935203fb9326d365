"""Owns the writing of one test: what is needed first, the hostile request and what it must come to, and the honest one that still works."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from toughen.model.journey import Argument, Literal
from toughen.regressions import clients
from toughen.regressions.body import CANARY, Body
from toughen.regressions.cast import Cast
from toughen.regressions.known import Draft, UnwritableError, Unwritten
from toughen.regressions.naming import docstring, function_of, name_of
from toughen.regressions.source import Code, named, quoted, round_number, written
from toughen.regressions.telling import Absent, Answered, Refusal, own, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.model.trial import Trial
    from toughen.regressions.known import Known, Shown
    from toughen.regressions.telling import Check

_MOST, _VALUES, _MOST_KEYS = 12, 6, 8
"""Hostile requests of one test, values of one loop, and keys of an answer that a test names."""
_OUTSIDE = {
    "schedule": "two requests at once", "together": "two requests at once", "fault": "a fault from outside", "kills": "the death of its process",
}
"""What no plain request does, and `pytest --toughen` replays."""
_MEASURED = {
    "rehearsal": "the project's own tests", "planted": "a file outside of the project", "sown": "rows by the thousand", "weighed": "the size of the database", "measured": "the memory of its process", "heard": "what its process writes out",
}
"""What says nothing to a client that is not turned away."""


def drafted(known: Known, shown: Shown, kind: str, *, writable: bool) -> list[Draft] | Unwritten:
    """One break as a test, in variants, the most telling first; or why it cannot be written as a plain test."""
    finding = shown.finding
    outside = next((f"it takes {said}" for name, said in _OUTSIDE.items() for trial in shown.experiment.trials.values() if getattr(trial, name)), "")
    if outside:
        return Unwritten(finding.id, f"{outside}: `pytest --toughen` replays its proof")
    telling: list[tuple[str, Trial, tuple[Check, ...]]] = []
    both = {name: told(shown.before[name], shown.after[name]) for name in shown.experiment.trials if name in shown.before and name in shown.after}
    key = finding.evidence.key if finding.evidence else ""
    for name, trial in shown.experiment.trials.items():
        checks = own(both.get(name, ()), both.get("control", ()) if name != "control" else (), key)
        if trial.calls and checks:
            telling.append((name, trial, checks))
    hostile = [each for each in telling if each[0] != "control"] or telling
    if any(trial.started for trial in shown.experiment.trials.values()):
        return Unwritten(finding.id, "it takes the project's own start")
    if not hostile:
        return Unwritten(finding.id, "its requests are answered alike before and after: what differs is seen in the database, or inside the process, only")
    measured = next((f"it takes {said}" for name, said in _MEASURED.items() for _, trial, checks in hostile if getattr(trial, name) and checks != (Refusal(),)), "")
    if measured:
        return Unwritten(finding.id, measured)
    reason = ""
    for chosen in (hostile[:_MOST], *([each] for each in hostile if len(hostile) > 1)):
        variants: list[Draft] = []
        for controlled, mirrored in ((True, True), (True, False), (False, True), (False, False)):
            for making in (False, True):
                try:
                    draft = _Test(known, kind, Cast(known, writable), making=making, mirrored=mirrored).test(shown, chosen, controlled=controlled)
                except UnwritableError as error:
                    reason = reason or str(error)
                    continue
                if all(draft.text != each.text for each in variants):
                    variants.append(draft)
        if variants:
            return variants
    return Unwritten(finding.id, reason)


def journey_drafts(known: Known, route: str, kind: str, *, writable: bool) -> list[Draft]:
    """The honest journey to a route as a test of its own, in variants; none where it cannot be written."""
    journey, trace = known.journeys.get(route), known.honest.get(route)
    if journey is None or trace is None or not trace.exchanges or trace.last.status is None:
        return []
    found: list[Draft] = []
    for making in (False, True):
        try:
            draft = _Test(known, kind, Cast(known, writable), making=making).journey(route)
        except UnwritableError:
            continue
        found += [draft] if all(draft.text != each.text for each in found) else []
    return found


@dataclass
class _Test(Body):
    """A test in the making."""

    mirrored: bool = False
    """Whether a number that is far too large is sent with the other sign, too: a bound has two ends."""

    # -- whole tests --------------------------------------------------------------------------------------------------

    def test(self, shown: Shown, hostile: Sequence[tuple[str, Trial, tuple[Check, ...]]], *, controlled: bool) -> Draft:
        """The function: the hostile requests first, so that what the honest one does cannot be why they are refused."""
        control = shown.experiment.trials["control"]
        first = hostile[0][1]
        self.lab_markers = dict(shown.before[hostile[0][0]].markers)
        shared = len([one for one, other in takewhile(lambda pair: pair[0] == pair[1], zip(first.calls[:-1], control.calls[:-1], strict=False))])
        status = shown.after["control"].last.status if "control" in shown.after and shown.after["control"].exchanges else None
        honest = controlled and bool(control.calls) and status is not None and status < 400 and all(name != "control" and trial.calls != control.calls for name, trial, _ in hostile)  # noqa: PLR2004
        for grant in self._grants(first, 0):
            self._grant(grant)
        self._steps(first.calls[:shared], first, *([control] if honest else []))
        kept = dict(self.answers), list(self.sent)

        def asked_honestly() -> None:
            self.answers, self.sent = dict(kept[0]), list(kept[1])
            self._steps(control.calls[shared:-1], control)
            self._asked(control.calls[-1], (Answered(status or 200),), name="honest")

        before = honest and any(trial.calls[-1] == control.calls[-1] for _, trial, _ in hostile)
        if before:
            asked_honestly()
            self.lines.append("")
        for group in self._groups(hostile, control):
            _, trial, checks = group[0]
            self.answers, self.sent = dict(kept[0]), list(kept[1])
            self._steps(trial.calls[shared:-1], trial)
            varying = self._varying(group) if len(group) > 1 else None
            if varying is not None:
                self._each(varying, group)
            else:
                self._asked(trial.calls[-1], checks)
        if honest and not before:
            self.lines.append("")
            if not any(isinstance(each, Refusal) for _, _, checks in hostile for each in checks):
                self.cast.anew()
            asked_honestly()
        gone = [each.text.strip('"') for _, _, checks in hostile for each in checks if isinstance(each, Absent) and not each.marker]
        return self._draft(name_of(self.known, shown, gone), docstring(shown, self.cast.names), shown.finding.id)

    def _groups(self, hostile: Sequence[tuple[str, Trial, tuple[Check, ...]]], control: Trial) -> list[list[tuple[str, Trial, tuple[Check, ...]]]]:
        """Hostile requests that differ from the honest one in the same value, together; those that need something else first are left to the first one."""
        found: dict[object, list[tuple[str, Trial, tuple[Check, ...]]]] = {}
        for each in hostile:
            trial, checks = each[1], each[2]
            if trial.calls[:-1] != hostile[0][1].calls[:-1]:
                continue
            honest = control.calls[-1] if control.calls else None
            differing = tuple(sorted(str((one.place, one.path)) for one in trial.calls[-1].arguments if honest is None or honest.argument(one.place, one.path) != one))
            found.setdefault((trial.calls[-1].raw_body, differing, checks), []).append(each)
        groups = [group[:_VALUES] for group in found.values()]
        return [[*group, *_mirror(group[0], control)] if self.mirrored and len(group) == 1 else group for group in groups]

    @staticmethod
    def _varying(hostile: Sequence[tuple[str, Trial, tuple[Check, ...]]]) -> Argument | None:
        """The one value in which hostile requests differ, where all else is alike."""
        _, first, checks = hostile[0]
        places = {(each.place, each.path) for _, trial, _ in hostile for each in trial.calls[-1].arguments if first.calls[-1].argument(each.place, each.path) != each}
        if len(places) != 1 or any(trial.calls[:-1] != first.calls[:-1] or other != checks or trial.calls[-1].raw_body is not None for _, trial, other in hostile):
            return None
        found = first.calls[-1].argument(*next(iter(places)))
        bare = [[each for each in trial.calls[-1].arguments if (each.place, each.path) not in places] for _, trial, _ in hostile]
        return found if found is not None and all(each == bare[0] for each in bare) and all(trial.calls[-1].argument(found.place, found.path) for _, trial, _ in hostile) else None

    def _each(self, varying: Argument, hostile: Sequence[tuple[str, Trial, tuple[Check, ...]]]) -> None:
        """One hostile request for each of several values."""
        call, checks = hostile[0][1].calls[-1], hostile[0][2]
        given = [self._value(trial.calls[-1].argument(varying.place, varying.path) or varying) for _, trial, _ in hostile]
        given = [int(each) if isinstance(each, str) and round_number(each) is not None else each for each in given]
        variable = named(str(varying.path[-1]), set(self.taken))
        lines, self.lines, self.indent = self.lines, [], 8
        self.varied = (varying, Code(variable))
        self._asked(call, checks)
        self.varied = None
        self.lines, self.indent = [*lines, f"for {variable} in {written(tuple(given))}:", *(f"    {each}" for each in self.lines)], 4

    def journey(self, route: str) -> Draft:
        """A test of what a route is made for."""
        journey, trace = self.known.journeys[route], self.known.honest[route]
        trial_grants = [each for each in journey.grants if not CANARY.search(str(each.value))]
        for grant in trial_grants:
            self._grant(grant)
        self._steps(journey.calls[:-1], None)
        assert trace.last.status is not None
        variable = self._asked(journey.call, (Answered(trace.last.status),), name="answer")
        answer = trace.last.response.json if trace.last.response else None
        sent = {str(each.path[-1]): each for each in journey.call.arguments if each.path and isinstance(each.value, Literal)}
        if isinstance(answer, dict):
            keys = [each for each in answer if re.fullmatch(r"[A-Za-z_]\w*", each)]
            if 0 < len(keys) <= _MOST_KEYS:
                self.lines.append(f"assert {{{', '.join(quoted(each) for each in keys)}}} <= set({clients.read(self.kind, variable, ())})")
            for key, value in list(answer.items())[:8]:
                if key in sent and isinstance(sent[key].value, Literal) and sent[key].value.value == value and not isinstance(value, dict | list):  # type: ignore[union-attr]
                    self.lines.append(f"assert {clients.read(self.kind, variable, (key,))} == {written(self._value(sent[key]))}")
        return self._draft(f"test_{function_of(self.known, route)}_works", [f'"""{route} does what it is made for."""'], f"journey {route}")

    def _draft(self, name: str, doc: list[str], finding: str) -> Draft:
        introductions = self._introductions()
        fixtures = ["client", *(each for each in ("write", "read") if each in self.uses)]
        body = [f"    {each}" if each else "" for each in (*doc, *introductions, *self.lines)]
        return Draft(name, f"def {name}({', '.join(fixtures)}):\n" + "\n".join(body) + "\n", finding, frozenset(self.uses), people=frozenset(self.people))

    def _introductions(self) -> list[str]:
        found: list[str] = []
        for name, variable in self.people.items():
            identity = self.known.identity(name)
            assert identity is not None
            how, is_asked = self.cast.entering(identity), name in self.asking or name in self.ids
            before = f"{variable} = " if is_asked else ""
            if how == "signup" and self.cast.raised(identity):
                self.uses |= {"person", "write", f"raised:{name}"}
                found.append(f'{before}{self.cast.raising(identity)}(client, write, "{self.cast.names[name]}")')
            elif how == "signup":
                self.uses.add("person")
                found.append(f'{before}signed_up(client, "{self.cast.names[name]}")')
            elif is_asked:
                self.uses.add("log_in")
                given = [written(each) for each in self.cast.given(identity)]
                found.append(f"{before}log_in(client, {', '.join(given)})")
        if name_ids := self.ids:
            pointer = self.cast.id_pointer()
            for name, variable in name_ids.items():
                assert pointer is not None
                asked = clients.request(self.kind, pointer[0], lambda _: "", client=self.people[name] if self.cast.by_cookie else "client", headers="" if self.cast.by_cookie else self.people[name])
                found.append(f"{variable} = " + clients.read(self.kind, "".join(each.strip() for each in asked), pointer[1]))
        return found


def _mirror(hostile: tuple[str, Trial, tuple[Check, ...]], control: Trial) -> list[tuple[str, Trial, tuple[Check, ...]]]:
    """The same hostile request with its one huge number below zero; none where it has no such number."""
    name, trial, checks = hostile
    call, honest = trial.calls[-1], control.calls[-1] if control.calls else None
    differing = [each for each in call.arguments if honest is None or honest.argument(each.place, each.path) != each]
    if len(differing) != 1 or call.raw_body is not None or not isinstance(differing[0].value, Literal):
        return []
    value = differing[0].value.value
    if isinstance(value, bool) or not isinstance(value, int | str) or round_number(str(value)) is None or str(value).startswith("-"):
        return []
    other = call.with_argument(differing[0].place, differing[0].path, Literal(f"-{value}" if isinstance(value, str) else -value))
    return [(name, replace(trial, calls=(*trial.calls[:-1], other)), checks)]


def renamed(draft: Draft, name: str) -> Draft:
    """The same test under another name."""
    return replace(draft, name=name, text=draft.text.replace(f"def {draft.name}(", f"def {name}(", 1))
