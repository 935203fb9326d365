"""Owns security/open-redirect."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import cures, flows, sinks
from toughen.exploits import redirects, values
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment
from toughen.rule import Broken, Fails, Holds, Rule, Sound
from toughen.twists import answer, named, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Argument, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


class OpenRedirect(Rule):
    """A value from the request says where the browser is sent next, and it may be another site.

    Who pays: users. A link that begins with the right name ends on a copy of the log-in page.

    Example: `return redirect(request.args.get("next"))`.
    Instead: go only to paths of this site: refuse what has a host, begins with `//` or holds a backslash; or choose from
    a list of pages.

    Shown: the answer's Location leads to a fresh host of the lab's own, as a browser reads it.

    References: CWE-601; ASVS 5.0 V3.7.2.
    """

    id = "security/open-redirect"
    title = "A link of this site leads anywhere"
    severity = Severity.MEDIUM
    cwe = (601,)
    asvs = "V3.7.2"
    order = 12

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each text value of a request that a link or a form makes, as a target on another site."""
        if route.method not in {"GET", "POST"} or journey.call.body == "json":
            return
        for argument in values.texts(target, route, journey, frozenset({Place.PATH, Place.QUERY, Place.FORM})):
            yield from values.telling(
                lambda each: self.shows(target, each),
                (
                    Experiment(values.trials(journey, argument, shape), f"{about} in {named(argument)}", values.facts(argument, shape))
                    for shape, about in self._shapes(target, journey, argument)
                ),
            )

    @staticmethod
    def _shapes(target: Target, journey: Journey, argument: Argument) -> list[tuple[str, str]]:
        """All ways where one of them leaves the site; else the plain one."""
        shapes = list(redirects.shapes())
        calls = [values.sent(journey, argument, shape) for shape, _ in shapes]
        gone = any(redirects.left(trace, exchange) for exchange, trace in values.several(target, journey, calls))
        return shapes if gone else shapes[:1]

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and the hostile one sends the browser to the lab's own host."""
        unclear = values.controlled(traces)
        if unclear is not None:
            return unclear
        hostile, field = traces["hostile"], experiment.fact("field")
        location = redirects.left(hostile, hostile.last)
        if not location:
            return Fails()
        return Holds(
            Evidence(
                f"{field} sends the browser to another site",
                {"request": shown(hostile.last), "answer": answer(hostile.last), "location": location, "honest": shown(traces["control"].last)},
                None,
                (("field", field),),
                key=field,
            )
        )

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Redirects to a target that a value of the request names."""
        yield from flows.suspected(self.id, blueprint, sources, sinks.REDIRECT)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Only paths of this site are followed."""
        yield from cures.redirect(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken("""from flask import Flask, redirect, request, url_for
app = Flask(__name__)

@app.get("/")
def index():
    return "Welcome"

@app.get("/leave")
def leave():
    target = request.args.get("next") or url_for("index")
    return redirect(target)
""", "GET /leave"),
        Broken("""from flask import Flask, redirect, render_template_string, request, session, url_for
app = Flask(__name__)
app.secret_key = "dev"

@app.route("/")
def index():
    return f"Welcome, {session.get('name', 'stranger')!r}"

@app.route("/enter", methods=["GET", "POST"])
def enter():
    if request.method == "POST":
        session["seen"] = len(request.form["code"])
        next_page = request.args.get("next")
        if not next_page or not next_page.startswith("/"):
            next_page = url_for("index")
        return redirect(next_page)
    return render_template_string("<form method='post'><input name='code'></form>")
""", "POST /enter"),
        Broken("""from fastapi import FastAPI
from fastapi.responses import RedirectResponse
app = FastAPI()

@app.get("/language")
def language(code: str = "en", back: str = "/"):
    answer = RedirectResponse(back, status_code=303)
    answer.set_cookie("language", "en" if code == "en" else "de")
    return answer
""", "GET /language", ("fastapi",)),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound("""from urllib.parse import urljoin, urlsplit
from flask import Flask, redirect, request, url_for
app = Flask(__name__)

def is_safe(target):
    here, there = urlsplit(request.host_url), urlsplit(urljoin(request.host_url, target))
    return there.scheme in ("http", "https") and here.netloc == there.netloc and "\\\\" not in target

@app.get("/")
def index():
    return "Welcome"

@app.get("/leave")
def leave():
    target = request.args.get("next", "/")
    if not is_safe(target):
        target = url_for("index")
    return redirect(target)

@app.get("/topics/<name>/latest")
def latest(name):
    return redirect(url_for("topic", name=name))

@app.get("/topics/<name>")
def topic(name):
    return {"topic": name}
""", "the target stays on this site, or is made by the prototype itself"),
        Sound("""from fastapi import FastAPI
from fastapi.responses import RedirectResponse
app = FastAPI()
PAGES = {"home": "/", "docs": "https://docs.example.com/"}

@app.get("/leave")
def leave(to: str = "home"):
    return RedirectResponse(PAGES.get(to, "/"), status_code=303)

@app.get("/old/{page}")
def old(page: str):
    return RedirectResponse(f"/pages/{page}", status_code=301)

@app.get("/pages/{page}")
def page(page: str):
    return {"page": page}
""", "a target from the prototype's own list, or a path that begins on this site", ("fastapi",)),
    ]
