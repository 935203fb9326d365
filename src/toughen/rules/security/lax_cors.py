"""Owns security/lax-cors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from toughen import cookies, origins
from toughen.crossing import BEHIND_A_NAME, COMPARED, COOKIES, ECHOED, LISTED, OPENED, OWN_SITE, TOKENS
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Argument, Literal, Marker
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import FASTAPI_NEEDS
from toughen.twists import answer, guarded, shown, succeeded, turned_away

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Call, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Exchange, Trace
    from toughen.rule import Judgement, Target

_NAMED = "the source names the sites that may read, and not the routes that they read"


def _allowed(trace: Trace, exchange: Exchange, shape: str) -> bool:
    """Whether an answer lets pages of the origin that asked read it with the user's credentials (fetch.spec.whatwg.org, CORS check)."""
    response = exchange.response
    if response is None:
        return False
    origin = shape.replace("{}", trace.markers.get("origin", ""))
    return response.header(origins.HEADER) == origin and (response.header("Access-Control-Allow-Credentials") or "").lower() == "true"


def _from(call: Call, shape: str) -> Call:
    return call.with_argument(Place.HEADER, ("Origin",), Marker("origin", shape))


def _preflight(call: Call, shape: str) -> Call:
    """What a browser asks before it sends a request that no form could send."""
    kept = tuple(each for each in call.arguments if each.place is Place.PATH)
    asked = (
        Argument(Place.HEADER, ("Access-Control-Request-Method",), Literal(call.route.partition(" ")[0])),
        Argument(Place.HEADER, ("Access-Control-Request-Headers",), Literal("content-type")),
    )
    return _from(replace(call, route=f"OPTIONS {call.route.partition(' ')[2]}", arguments=(*kept, *asked), identity=None, raw_body=None, raw_type=None, body=None), shape)


class LaxCors(Rule):
    """Any site on the web may read the answers to a logged-in user's requests.

    Who pays: every user who is logged in and opens another page: that page asks in his name, the browser adds his cookie,
    and the prototype tells the browser that the page may read what comes back.

    Shown: a request from an origin that nobody has heard of, with the user's cookie, is answered with that very origin and
    `Access-Control-Allow-Credentials: true`, as is the browser's question beforehand; without the cookie it is refused.
    Where tokens travel in a header, no browser adds them by itself: then it is a suspicion at the most.

    Example: `allow_origins=["*"], allow_credentials=True`; `CORS(app, supports_credentials=True)`.
    Instead: the list of your own sites, from a setting, compared as a whole.

    References: CWE-942; OWASP API8:2023; ASVS 5.0 V3.4.2; Fetch standard, CORS protocol and credentials.
    """

    id = "security/lax-cors"
    title = "Every site may read what a logged-in user sees"
    severity = Severity.HIGH
    cwe = (942, 346)
    owasp = "API8:2023"
    asvs = "V3.4.2"
    order = 48
    whole = True
    single = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Places that let any site read with the user's credentials."""
        yield from origins.suspected(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """A user's reading request as a page of an unknown site sends it: with his cookie, from its own origin."""
        who = target.identity(journey.identity or "")
        if route.method != "GET" or who is None or not who.credential.cookies or who.credential.headers or not guarded(target, journey) or origins.outside(target.blueprint, target.texts()):
            return
        if not cookies.crosses(target, who):
            return
        for shape in ("https://tgn{}.example", *origins.lookalikes(target.blueprint, target.texts()), "null"):
            foreign = _from(journey.call, shape)
            trials = {
                "control": Trial(journey.calls, journey.grants), "nobody": Trial((*journey.calls[:-1], journey.call.by(None)), journey.grants),
                "foreign": Trial((*journey.calls[:-1], foreign), journey.grants), "preflight": Trial((_preflight(journey.call, shape),)),
            }  # fmt: skip
            experiment = Experiment(trials, f"from {shape.replace('{}', '')}", (("shape", shape), *origins.place_of(target.blueprint, target.texts())))
            if self.shows(target, experiment) or shape.startswith("https://tgn{}"):
                yield experiment

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, nobody is refused, and an unknown site may read the answer with the user's cookie."""
        control, nobody, foreign = traces["control"].last, traces["nobody"].last, traces["foreign"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        if not turned_away(nobody, control):
            return Unclear("nobody needs a cookie to read the same")
        shape = experiment.fact("shape")
        if turned_away(foreign, control) or not _allowed(traces["foreign"], foreign, shape):
            return Fails()
        origin = shape.replace("{}", traces["foreign"].markers.get("origin", ""))
        place = Location(experiment.fact("file"), int(experiment.fact("line")), None) if experiment.fact("file") else None
        ahead = traces["preflight"].last
        asked = _allowed(traces["preflight"], ahead, shape) and ahead.status is not None and ahead.status < 300  # noqa: PLR2004 - an ok status (Fetch)
        facts = {
            "request": f"{shown(foreign)} with Origin: {origin}", "answer": answer(foreign), "allows": f"{origins.HEADER}: {origin}; Access-Control-Allow-Credentials: true",
            "beforehand": f"OPTIONS {ahead.status}" + (", allowed as well" if asked else ""), "without a cookie": answer(nobody),
        }
        return Holds(Evidence(f"a page of {origin} may read {foreign.method} {foreign.target} with the user's cookie", {**facts}, place))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The sites that may read, from a setting."""
        yield from origins.listed(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(ECHOED, "GET /notes", unseen=_NAMED),
        Broken(OPENED, "GET /notes", ("flask", "flask-cors"), unseen=_NAMED),
        Broken(COOKIES, "GET /me", ("fastapi", "sqlalchemy"), unseen=_NAMED),
        Broken(BEHIND_A_NAME, "GET /notes", unseen=_NAMED),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(LISTED, "two sites of its own may read", ("fastapi", "sqlalchemy")),
        Sound(COMPARED, "the origin is looked up in a list of its own"),
        Sound(OPENED.replace("CORS(app, supports_credentials=True)", "CORS(app)"), "every site may read, and none with a cookie", ("flask", "flask-cors")),
        Sound(TOKENS, "no browser adds a token that travels in a header", FASTAPI_NEEDS, alike="the source of the middleware does not tell where tokens travel"),
        Sound(OWN_SITE, "the cookie is not sent with other sites' requests", alike="the source of the header does not tell of the cookie"),
    ]
