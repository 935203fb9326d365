"""Owns security/xss."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import cures, flows, sinks
from toughen.exploits import markup, values
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound
from toughen.twists import changed, named, powerful, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Argument, Call, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


class Xss(Rule):
    """Text that somebody sent becomes markup of a page: his script runs in the browsers of others.

    Who pays: users. A script in the page acts as whoever looks at it: it reads, orders, changes the password.

    Example: `return f"<h1>Results for {query}</h1>"`, `{{ comment|safe }}`.
    Instead: a template with autoescape on; `markupsafe.escape` where text is put together by hand; a sanitiser for fields
    that may hold markup.

    Shown: an element, attribute or script address of the lab's own comes back as such in a page, parsed as a browser
    parses it: in the answer to the request itself, or in a page that somebody else looks at later.

    References: CWE-79; ASVS 5.0 V1.2.1.
    """

    id = "security/xss"
    title = "Text of one user becomes script in another's browser"
    severity = Severity.HIGH
    cwe = (79,)
    asvs = "V1.2.1"
    order = 12

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each text value that a page shows, at once or to somebody else later, with markup of the lab's own."""
        for argument in values.texts(target, route, journey, values.BODY):
            scout = values.scouted(target, journey, argument)
            after = self._page(target, route, journey, argument)
            if after is None and not (argument.place is not Place.JSON and markup.shown(scout, scout.last, "scout") and markup.linked(journey)):
                continue
            yield from values.telling(
                lambda each: self.shows(target, each),
                (
                    Experiment(values.trials(journey, argument, shape, after=after or ()), f"{about} in {named(argument)}", values.facts(argument, shape))
                    for shape, about in markup.shapes(values.honest(argument))
                ),
            )

    @staticmethod
    def _page(target: Target, route: Route, journey: Journey, argument: Argument) -> tuple[Call, ...] | None:
        """The calls that lead somebody else to a page which shows what was stored; None where there is none."""
        honest = target.honest(route.id)
        if honest is None or (route.method == "GET" and not changed(honest)) or powerful(target.identity(journey.identity or "")):
            return None
        for calls in markup.readers(target, journey):
            trace = target.run(Trial((*journey.calls[:-1], values.sent(journey, argument, values.SCOUT, "scout"), *calls), journey.grants))
            if markup.shown(trace, trace.last, "scout"):
                return calls
        return None

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and the page holds the lab's own markup as markup."""
        unclear = values.controlled(traces)
        if unclear is not None:
            return unclear
        hostile, field = traces["hostile"], experiment.fact("field")
        became = markup.ran(hostile, hostile.last)
        if not became:
            return Fails()
        sender, stored = values.at(experiment, hostile), len(hostile.exchanges) > len(experiment.trials["control"].calls)
        where = f"in {hostile.last.method} {hostile.last.target}, as somebody else sees it" if stored else "in the answer"
        return Holds(
            Evidence(
                f"{field} becomes {became} {where}",
                {"request": shown(sender), "page": shown(hostile.last), "around": markup.around(hostile, hostile.last), "honest": shown(traces["control"].last)},
                None,
                (("field", field), ("page", experiment.trials["hostile"].calls[-1].route)),
                key=field,
            )
        )

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Pages that are put together from a value of the request."""
        yield from flows.suspected(self.id, blueprint, sources, sinks.PAGE)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The value escaped where it becomes part of the page; `|safe` taken from a template."""
        yield from cures.page(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken("""from flask import Flask, request
app = Flask(__name__)

@app.get("/search")
def search():
    query = request.args.get("q", "")
    return f"<h1>Results for {query}</h1><p>Nothing found.</p>"
""", "GET /search"),
        Broken("""import sqlite3
from flask import Flask, redirect, render_template, request
app = Flask(__name__)
with sqlite3.connect("app.db") as start:
    start.execute("CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, name TEXT, message TEXT)")

@app.get("/")
def guestbook():
    with sqlite3.connect("app.db") as conn:
        return render_template("guestbook.html", entries=conn.execute("SELECT name, message FROM entries").fetchall())

@app.post("/entries")
def sign():
    with sqlite3.connect("app.db") as conn:
        conn.execute("INSERT INTO entries (name, message) VALUES (?, ?)", (request.form["name"], request.form["message"]))
    return redirect("/")
""", "POST /entries", files={"templates/guestbook.html": "<ul>{% for entry in entries %}<li><b>{{ entry[0] }}</b> {{ entry[1]|safe }}</li>{% endfor %}</ul>\n"},
            unmended="template", unseen="the template puts it into the page, and only Python is read"),
        Broken("""from fastapi import FastAPI
from fastapi.responses import HTMLResponse
app = FastAPI()

@app.get("/greeting", response_class=HTMLResponse)
def greeting(name: str = "World"):
    return HTMLResponse("<p title='" + name + "'>Hello</p>")
""", "GET /greeting", ("fastapi",)),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound("""from flask import Flask, Response, jsonify, render_template_string, request
from markupsafe import escape
app = Flask(__name__)
NOTES = []

@app.get("/search")
def search():
    return f"<h1>Results for {escape(request.args.get('q', ''))}</h1>"

@app.get("/hello")
def hello():
    return render_template_string("<p title='{{ name }}'>Hello {{ name }}</p>", name=request.args.get("name", "World"))

@app.get("/echo")
def echo():
    return jsonify({"text": f"<b>{request.args.get('text', '')}</b>"})

@app.get("/plain")
def plain():
    return Response("You said " + request.args.get("text", ""), mimetype="text/plain")

@app.get("/form")
def form():
    return f"<textarea>{escape(request.args.get('text', ''))}</textarea>"
""", "escaped, by hand or by the template; JSON and plain text are no pages"),
        Sound("""import nh3
from fastapi import FastAPI, Form
from fastapi.responses import HTMLResponse, RedirectResponse
app = FastAPI()
posts = []

@app.post("/posts")
def write(body: str = Form(...)):
    posts.append(nh3.clean(body))
    return RedirectResponse("/", status_code=303)

@app.get("/", response_class=HTMLResponse)
def wall():
    return HTMLResponse("".join(f"<article>{each}</article>" for each in posts))
""", "a field with markup that a library sanitises", ("fastapi", "nh3", "python-multipart")),
    ]
