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

    Example: `return f"<h1>Results for {query}</h1>"`, `{{ comment|safe }}`, an uploaded `x.html` that is served as a page.
    Instead: a template with autoescape on; `markupsafe.escape` where text is put together by hand; a sanitiser for fields
    that may hold markup; uploads served as attachments, or with `Content-Security-Policy: sandbox`.

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

        for argument in (each for each in journey.call.arguments if each.place is Place.FILE):
            for shape, about in markup.files():
                after = self._page(target, route, journey, argument, shape)
                if after is not None:
                    yield Experiment(values.trials(journey, argument, shape, after=after), f"{about} in {named(argument)}", (*values.facts(argument, shape), ("file", "yes")))
                    break

    @staticmethod
    def _page(target: Target, route: Route, journey: Journey, argument: Argument, shape: str = values.SCOUT) -> tuple[Call, ...] | None:
        """The calls that lead somebody else to a page which shows what was stored; None where there is none."""
        honest = target.honest(route.id)
        if honest is None or (route.method == "GET" and not changed(honest)) or powerful(target.identity(journey.identity or "")):
            return None
        for calls in markup.readers(target, journey, files=argument.place is Place.FILE):
            trace = target.run(Trial((*journey.calls[:-1], values.sent(journey, argument, shape, "scout"), *calls), journey.grants))
            if markup.shown(trace, trace.last, "scout") and not (argument.place is Place.FILE and markup.tame(trace.last.response)):
                return calls
        return None

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and the page holds the lab's own markup as markup."""
        unclear = values.controlled(traces)
        if unclear is not None:
            return unclear
        hostile, field = traces["hostile"], experiment.fact("field")
        became = markup.ran(hostile, hostile.last)
        if not became or (experiment.fact("file") and markup.tame(hostile.last.response)):
            return Fails()
        sender, stored = values.at(experiment, hostile), len(hostile.exchanges) > len(experiment.trials["control"].calls)
        where = f"in {hostile.last.method} {hostile.last.target}, as somebody else sees it" if stored else "in the answer"
        return Holds(
            Evidence(
                f"{field} becomes {became} {where}",
                {"request": shown(sender), "page": shown(hostile.last), "around": markup.around(hostile, hostile.last), "honest": shown(traces["control"].last)},
                None,
                (("field", field), ("page", experiment.trials["hostile"].calls[-1].route), ("columns", ",".join(markup.columns(hostile))), ("file", experiment.fact("file"))),
                key=field,
            )
        )

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Pages that are put together from a value of the request."""
        yield from flows.suspected(self.id, blueprint, sources, sinks.PAGE)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The value escaped where it becomes part of the page; a page that is whole somebody's own, shown in a sandbox."""
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
""", "POST /entries", files={"templates/guestbook.html": "<ul>{% for entry in entries %}<li><b>{{ entry[0] }}</b> {{ entry[1]|safe }} {{ entry[0]|upper }}</li>{% endfor %}</ul>\n"},
            unseen="the template puts it into the page, and only Python is read"),
        Broken("""import sqlite3
from flask import Flask, jsonify, request
from jinja2 import Template
app = Flask(__name__)
PAGE = "<h1>Forum</h1>{% for each in messages %}<p><b>{{ each.writer }}</b> {{ each.content }}</p>{% endfor %}"

def connected():
    conn = sqlite3.connect("app.db")
    conn.row_factory = sqlite3.Row
    return conn

with connected() as start:
    start.execute("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, writer TEXT, content TEXT)")

@app.get("/messages")
def messages():
    rows = connected().execute("SELECT writer, content FROM messages").fetchall()
    template = Template(PAGE)
    return template.render(messages=[{"writer": each["writer"], "content": each["content"]} for each in rows])

@app.post("/messages")
def post():
    data = request.get_json()
    with connected() as conn:
        conn.execute("INSERT INTO messages (writer, content) VALUES (?, ?)", (str(data["writer"]), str(data["content"])))
    return jsonify({"posted": True}), 201
""", "POST /messages", unseen="what a template makes of rows is not read"),
        Broken("""import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
ITEM = "<li>{title}: {note}</li>"

def connected():
    return sqlite3.connect("app.db")

with connected() as start:
    start.execute("CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, title TEXT, note TEXT)")

@app.get("/tasks")
def tasks():
    page = "<h1>Tasks</h1><ul>"
    notes = []
    for row in connected().execute("SELECT title, note FROM tasks").fetchall():
        page += ITEM.format(title=row[0], note=row[1])
        notes.append(f"<i>{row[1]}</i>")
    page += "</ul>"
    return page + "".join(notes), 200, {"Content-Type": "text/html"}

@app.post("/tasks")
def add():
    with connected() as conn:
        conn.execute("INSERT INTO tasks (title, note) VALUES (?, ?)", (request.form["title"], request.form["note"]))
    return jsonify({"added": True}), 201
""", "POST /tasks", unseen="what comes out of a database is not followed to where it was sent"),
        Broken("""import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)

def connected():
    return sqlite3.connect("app.db")

with connected() as start:
    start.execute("CREATE TABLE IF NOT EXISTS profiles (name TEXT PRIMARY KEY, profile_page TEXT)")

@app.post("/profiles")
def add():
    with connected() as conn:
        conn.execute("INSERT OR REPLACE INTO profiles (name, profile_page) VALUES (?, ?)", (request.form["name"], request.form["profile_page"]))
    return jsonify({"added": True}), 201

@app.get("/profiles/<name>")
def profile(name):
    row = connected().execute("SELECT profile_page FROM profiles WHERE name = ?", (name,)).fetchone()
    if row is None:
        return jsonify({"error": "not found"}), 404
    return row[0], 200, {"Content-Type": "text/html; charset=utf-8"}
""", "POST /profiles", unseen="what comes out of a database is not followed to where it was sent"),
        Broken("""import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)

def connected():
    return sqlite3.connect("app.db")

with connected() as start:
    start.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT, tag TEXT)")

@app.post("/products")
def add():
    data = request.get_json()
    if not isinstance(data.get("name"), str) or not isinstance(data.get("tag"), str) or not data["tag"].isalnum():
        return jsonify({"error": "name and tag are required"}), 400
    with connected() as conn:
        made = conn.execute("INSERT INTO products (name, tag) VALUES (?, ?)", (data["name"], data["tag"])).lastrowid
    return jsonify({"id": made}), 201

@app.get("/search")
def search():
    tag = request.args.get("tag", "")
    found = connected().execute("SELECT name FROM products WHERE tag = ?", (tag,)).fetchall()
    page = "<ul>"
    for row in found:
        page += f"<li>{row[0]}</li>"
    return page + "</ul>"
""", "POST /products", unseen="what comes out of a database is not followed to where it was sent"),
        Broken("""import mimetypes
import os
import uuid
from flask import Flask, jsonify, request, send_file
app = Flask(__name__)
UPLOADS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uploads")
os.makedirs(UPLOADS, exist_ok=True)

@app.post("/upload")
def upload():
    file = request.files.get("file")
    if file is None or file.filename == "":
        return jsonify({"error": "No file"}), 400
    name = f"{uuid.uuid4().hex}{os.path.splitext(file.filename)[1]}"
    file.save(os.path.join(UPLOADS, name))
    return jsonify({"id": name}), 201

@app.get("/images/<name>")
def image(name):
    path = os.path.join(UPLOADS, os.path.basename(name))
    if not os.path.isfile(path):
        return jsonify({"error": "not found"}), 404
    return send_file(path, mimetype=mimetypes.guess_type(path)[0] or "application/octet-stream")
""", "POST /upload", unseen="what a file holds is not read"),
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
from jinja2 import Template
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

@app.get("/list")
def listed():
    page = "<ul>"
    for each in NOTES:
        page += f"<li>{escape(each)}</li>"
    return page + "</ul>"

@app.get("/card")
def card():
    return Template("<b>{{ name }}</b>", autoescape=True).render(name=request.args.get("name", "World"))

@app.post("/notes")
def note():
    NOTES.append(request.form["text"])
    return jsonify({"notes": len(NOTES)}), 201

@app.get("/plain")
def plain():
    return Response("You said " + request.args.get("text", ""), mimetype="text/plain")

@app.get("/form")
def form():
    return f"<textarea>{escape(request.args.get('text', ''))}</textarea>"
""", "escaped, by hand or by the template; JSON and plain text are no pages"),
        Sound("""import os
import uuid
from flask import Flask, jsonify, request, send_file
app = Flask(__name__)
UPLOADS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uploads")
os.makedirs(UPLOADS, exist_ok=True)

def stored(ending):
    file = request.files.get("file")
    if file is None or file.filename == "":
        return None
    name = f"{uuid.uuid4().hex}{ending or os.path.splitext(file.filename)[1]}"
    file.save(os.path.join(UPLOADS, name))
    return name

@app.post("/documents")
def document():
    name = stored("")
    return (jsonify({"id": name}), 201) if name else (jsonify({"error": "No file"}), 400)

@app.get("/drawings/<name>")
def drawing(name):
    answer = send_file(os.path.join(UPLOADS, os.path.basename(name)))
    answer.headers["Content-Security-Policy"] = "default-src 'self'; style-src 'unsafe-inline'"
    return answer

@app.get("/documents/<name>")
def download(name):
    return send_file(os.path.join(UPLOADS, os.path.basename(name)), as_attachment=True)

@app.post("/pictures")
def picture():
    name = stored(".png")
    return (jsonify({"id": name}), 201) if name else (jsonify({"error": "No file"}), 400)

@app.get("/pictures/<name>")
def shown(name):
    return send_file(os.path.join(UPLOADS, os.path.basename(name)), mimetype="image/png")
""", "uploads are downloaded, shown as pictures whatever they are, or under a policy that lets no script of theirs run"),
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
