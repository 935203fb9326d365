"""Owns security/debug-mode."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, ClassVar

from toughen import debugging
from toughen.backends import ITEMS
from toughen.launches import FACTORY, FACTORY_FILES, NOTES
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Call, Literal
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import SESSION, SESSION_NEEDS
from toughen.sweep import crashed, wrong_calls
from toughen.twists import answer, shown, succeeded, unsent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Exchange, Trace
    from toughen.rule import Judgement, Target

_MOST, _BATCH = 40, 10
_ODD = (0, "x", -1, 10**30)
"""What is tried where an honest request says nothing."""
_CONSOLE = Call("GET /console")
_NAMED = "the source names the switch, and not the routes that it lays open"
_MARK = re.compile(r"EVALEX\s*=\s*true")
"""What Werkzeug's debugger writes into its pages where code can be run in them."""
_LOCKED = re.compile(r"EVALEX_TRUSTED\s*=\s*false")
"""What it writes there as long as nobody has given the PIN."""


def _crash(target: Target, route: Route, journey: Journey, started: str) -> Call | None:
    """A wrong request that ends in an exception which nobody handles, None where none of the first ones does."""
    left_out = [journey.call.with_argument(each.place, each.path, Literal(value)) for each in unsent(target, route, journey) for value in _ODD]
    waiting = [*left_out[:_BATCH], *(each.call for each in wrong_calls(journey.call, route))][:_MOST]
    for at in range(0, len(waiting), _BATCH):
        batch = waiting[at : at + _BATCH]
        trace = target.run(Trial((*journey.calls[:-1], *batch), journey.grants, started=started))
        for call, exchange in zip(batch, trace.exchanges[len(journey.calls) - 1 :], strict=False):
            if crashed(exchange) and exchange.failure is not None and exchange.failure.location is not None:
                return call
    return None


def _frame(exchange: Exchange) -> str:
    """What an answer shows of the exception that nobody handled, beginning with the project's own frame; "" where it shows none."""
    failure, response = exchange.failure, exchange.response
    if failure is None or failure.location is None or response is None:
        return ""
    body = re.sub(r"<[^>]+>", " ", unescape(response.body)) if "<" in response.body else response.body
    own = re.search(rf'File\s+"[^"\n]*{re.escape(failure.location.file)}",\s+line\s+{failure.location.line}\b[\s\S]{{0,160}}', body)
    return " ".join(own.group().split()) if own is not None and "Traceback" in body else ""


def _steer(switch: debugging.Switch | None) -> tuple[tuple[str, str], ...]:
    """Where debugging is turned on."""
    return (("file", switch.module.file), ("line", str(switch.node.lineno))) if switch is not None else ()


class DebugMode(Rule):
    """The prototype runs in debug mode: whoever makes it crash is shown its source, or given a console on the server.

    Who pays: the owner. A traceback shows code, paths, keys and rows to a stranger; the console of Werkzeug's debugger
    runs whatever he types, behind a PIN that other holes give away.

    Shown: served as the prototype's own start serves it (`python app.py`, `flask run --debug`), it answers a wrong request
    with the lines of its source at which it crashed, or opens the debugger's console, which a PIN locks or nothing does. Where a Procfile or a container starts
    it by another server, what its main block does is nobody's business.

    Example: `app.run(debug=True)`, `FastAPI(debug=True)`.
    Instead: debugging only where the environment asks for it, and off without it.

    References: CWE-489, CWE-215; OWASP API8:2023; ASVS 5.0 V13.4.2.
    """

    id = "security/debug-mode"
    title = "Whoever makes it crash reads its source"
    severity = Severity.HIGH
    cwe = (489, 215)
    owasp = "API8:2023"
    asvs = "V13.4.2"
    order = 47
    whole = True
    single = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Where the source or the start turns debugging on."""
        yield from debugging.suspected(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """A wrong request that crashes, and the debugger's own page, as the prototype's start serves them."""
        sources = target.texts()
        switches = list(debugging.switches(target.blueprint, sources))
        start = debugging.start_of(target.blueprint, sources)
        by_flask = start is not None and (any(each.flask for each in switches) or start.debug)
        if target.blueprint.framework in {"fastapi", "starlette"}:
            here = next((each for each in switches if not each.flask), None)
            crash = _crash(target, route, journey, "") if here is not None else None
            if here is not None and crash is not None:
                trials = {"control": Trial(journey.calls, journey.grants), "crash": Trial((*journey.calls[:-1], crash), journey.grants)}
                yield Experiment(trials, "a request that crashes", (("kind", "starlette"), ("start", ""), *_steer(here)))
        elif start is not None and by_flask:
            started = start.script or "flask"
            trials = {"control": Trial(journey.calls, journey.grants, started=started), "console": Trial((_CONSOLE,), started=started)}
            crash = _crash(target, route, journey, started)
            if crash is not None:
                trials["crash"] = Trial((*journey.calls[:-1], crash), journey.grants, started=started)
            here = next((each for each in sorted(switches, key=lambda each: each.module.file != start.script) if each.flask), None)
            told = f"python {start.script}" if start.script else "flask run --debug"
            yield Experiment(trials, f"as `{told}` serves it", (("kind", "flask"), ("start", told), *_steer(here)))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and a crash is answered with the project's own frame, or the console opens."""
        control = traces["control"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        started = f" (as `{experiment.fact('start')}` serves it)" if experiment.fact("start") else ""
        place = Location(experiment.fact("file"), int(experiment.fact("line")), None) if experiment.fact("file") else None
        detail = (("kind", experiment.fact("kind")),)
        crash = traces["crash"].last if "crash" in experiment.trials else None
        console = traces["console"].last if "console" in experiment.trials else None
        open_to_all = console is not None and console.response is not None and _MARK.search(console.response.body) is not None
        locked = open_to_all and console is not None and console.response is not None and _LOCKED.search(console.response.body) is not None
        if crash is not None and (frame := _frame(crash)):
            facts = {"request": shown(crash), "status": str(crash.status), "shows": frame[:300], "console": ("GET /console opens one" + (", which a PIN locks" if locked else "")) if open_to_all else ""}
            return Holds(Evidence(f"a request that crashes is answered with the source at which it does{started}: {crash.failure.location if crash.failure else ''}", {**facts}, place, detail))
        if console is not None and open_to_all:
            says = "shows whoever asks for it a console that its PIN alone locks" if locked else "gives whoever asks for it a console"
            return Holds(Evidence(f"Werkzeug's debugger {says}{started}", {"request": shown(console), "answer": answer(console)}, place, detail))
        return Fails()

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """What turns debugging on is left to the environment."""
        yield from debugging.switched_off(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(ITEMS + """
if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000, debug=True)
""", "GET /items", unseen=_NAMED),
        Broken(FACTORY, "GET /api/rates", files=FACTORY_FILES, unseen=_NAMED),
        Broken(SESSION.replace("app = FastAPI()", 'app = FastAPI(title="Notes", debug=True)') + NOTES, "POST /notes", SESSION_NEEDS, unseen=_NAMED),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(ITEMS.replace("import sqlite3", "import os\nimport sqlite3", 1) + """
if __name__ == "__main__":
    app.run(port=5000, debug=os.environ.get("FLASK_DEBUG") == "1")
""", "debugging only where the environment asks for it"),
        Sound(ITEMS + """
if __name__ == "__main__":
    app.run(debug=True)
""", "a Procfile starts it by gunicorn: the main block is for the developer's own machine", files={"Procfile": "web: gunicorn main:app\n"}),
        Sound(SESSION + NOTES, "a crash is answered with 500 and nothing else", SESSION_NEEDS),
    ]
