"""Owns security/insecure-cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import cookies, jars
from toughen.backends import NOTES
from toughen.crossing import COOKIES, FORMS
from toughen.exploits.markup import linked
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Literal
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.timeline import row_facts
from toughen.twists import answer, changed, guarded, shown, succeeded, turned_away

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.cookies import Cookie
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.identity import Identity
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_NAMED = "the source names the cookie, and not the routes that it opens"
_ELSEWHERE = "https://another-site.example"


def _opens(target: Target, journey: Journey, who: Identity) -> str:
    """The cookie that opens the route by itself, "" where none does: what only goes with it may be read by scripts."""
    honest = target.honest(journey.route)
    for name, value in who.credential.cookies if honest is not None else ():
        call = journey.call.by(None).with_argument(Place.COOKIE, (name,), Literal(value))
        if honest is not None and not turned_away(target.run(Trial((*journey.calls[:-1], call), journey.grants)).last, honest.last):
            return name
    return ""


def _lacks(cookie: Cookie | None) -> list[str]:
    """What a cookie that opens a door should say and does not; Secure belongs to https, and is a word by the way."""
    if cookie is None:
        return []
    return [name for name, missing in (("HttpOnly", cookie.get("httponly") is None), ("SameSite", cookie.same_site in {"", "none"})) if missing]


def _how(cookie: Cookie, lacks: list[str]) -> str:
    """In words: `without HttpOnly and SameSite`, `with SameSite=None`."""
    named = [each for each in lacks if each != "SameSite" or not cookie.same_site]
    return " and ".join([*(["without " + " and ".join(named)] if named else []), *(["with SameSite=None"] if cookie.same_site == "none" else [])])


class InsecureCookie(Rule):
    """The cookie that says who is logged in can be read by a script of the page, or goes along with other sites' forms.

    Who pays: every user. One hole in one page (a script in a comment, a library that was taken over) reads the cookie and
    logs in with it elsewhere; without SameSite a form on any other site acts in the user's name.

    Shown: a cookie that opens a guarded route by itself is set by an honest log-in without HttpOnly; or without SameSite,
    while a form of another site changes rows with it. That Secure is missing is no more than a suspicion: over http, on a
    developer's machine, the cookie would not come back.

    Example: `response.set_cookie("session", token)`.
    Instead: `set_cookie("session", token, httponly=True, samesite="lax")`, and `secure=True` wherever it is served over https.

    References: CWE-1004, CWE-1275, CWE-614; OWASP API8:2023; ASVS 5.0 V3.3.2 and V3.3.4; RFC 6265bis.
    """

    id = "security/insecure-cookie"
    title = "The cookie that logs the user in is open to a page's scripts, or to other sites' forms"
    severity = Severity.MEDIUM
    cwe = (1004, 1275, 614)
    owasp = "API8:2023"
    asvs = "V3.3.4"
    order = 49
    whole = True
    single = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Session cookies that are set without HttpOnly, or told to go without it."""
        yield from jars.suspected(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """What the log-in sets; where HttpOnly is there and SameSite is not, the honest request as another site's form sends it."""
        who = target.identity(journey.identity or "")
        if who is None or who.login is None or not who.credential.cookies or who.credential.headers or not guarded(target, journey):
            return
        name = _opens(target, journey, who)
        lacks = _lacks(next((each for each in cookies.of(target, who) if each.name == name), None)) if name else []
        trials = {"control": Trial(journey.calls, journey.grants), "nobody": Trial((*journey.calls[:-1], journey.call.by(None)), journey.grants), "log-in": Trial((who.login,))}
        detail = (("cookie", name), *jars.place_of(target.blueprint, target.texts(), name))
        if "HttpOnly" in lacks:
            yield Experiment(trials, f"the cookie {name}", (("kind", "script"), *detail))
        elif lacks and route.method == "POST" and linked(journey):
            # A page of another site sends no other method without asking first.
            call = journey.call
            for header, value in (("Origin", _ELSEWHERE), ("Referer", f"{_ELSEWHERE}/"), ("Sec-Fetch-Site", "cross-site")):
                call = call.with_argument(Place.HEADER, (header,), Literal(value))
            trials["foreign"] = Trial((*journey.calls[:-1], call), journey.grants)
            yield Experiment(trials, f"the cookie {name} with another site's form", (("kind", "site"), *detail))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, nobody is refused, and the log-in sets the cookie without what keeps it."""
        control, nobody, login = traces["control"].last, traces["nobody"].last, traces["log-in"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        if not turned_away(nobody, control):
            return Unclear("nobody needs a cookie for the same")
        name = experiment.fact("cookie")
        cookie = next((each for each in cookies.set_by(login) if each.name == name), None)
        if cookie is None:
            return Unclear(f"the log-in sets no cookie {name}: {answer(login)}")
        lacks = _lacks(cookie)
        place = Location(experiment.fact("file"), int(experiment.fact("line")), None) if experiment.fact("file") else None
        facts = {"log-in": shown(login), "sets": cookie.shown, "opens": shown(control), "without it": answer(nobody)}
        detail = (("cookie", name), ("lacks", ",".join(lacks)))
        if experiment.fact("kind") == "script":
            if "HttpOnly" not in lacks:
                return Fails()
            return Holds(Evidence(f"log-in sets {name}, which opens {control.method} {control.target}, {_how(cookie, lacks)}", {**facts}, place, detail))
        foreign = traces["foreign"]
        rows = changed(foreign)
        if not lacks or turned_away(foreign.last, control) or not rows:
            return Fails()
        facts |= {"form": f"{shown(foreign.last)} from {_ELSEWHERE}", "answer": answer(foreign.last)}
        return Holds(
            Evidence(f"log-in sets {name} {_how(cookie, lacks)}, and a form of another site changes {rows[0].table} with it: {foreign.last.method} {foreign.last.target}", {**facts, "rows": [*row_facts(rows)]}, place, detail)
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """HttpOnly and SameSite where the cookie is set."""
        yield from jars.sealed(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(COOKIES.replace('httponly=True, secure=True, samesite="none"', 'samesite="lax"'), "GET /me", ("fastapi", "sqlalchemy"), unseen=_NAMED),
        Broken(NOTES.replace('app.secret_key = "dev"', 'app.secret_key = "dev"\napp.config.update(SESSION_COOKIE_HTTPONLY=False)', 1), "GET /notes", unseen=_NAMED),
        Broken(FORMS, "POST /notes", unseen="Flask sets the session's cookie itself, and leaves SameSite to the browser"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(COOKIES.replace('secure=True, samesite="none"', 'samesite="lax"'), "kept from scripts and from other sites; Secure is for https", ("fastapi", "sqlalchemy")),
        Sound(NOTES, "Flask's session is kept from scripts, and JSON comes from no other site's form"),
        Sound(FORMS.replace('app.secret_key = "dev"', 'app.secret_key = "dev"\napp.config["SESSION_COOKIE_SAMESITE"] = "Lax"', 1), "forms of its own site only"),
        Sound(
            COOKIES.replace('httponly=True, secure=True, samesite="none")', 'httponly=True, samesite="strict")\n    response.set_cookie("csrf_token", secrets.token_hex(8), samesite="strict")\n    response.set_cookie("theme", "dark")'),
            "a page's script may read the token against forgery and the theme: neither opens anything", ("fastapi", "sqlalchemy"),
        ),
    ]
