"""Owns security/code-injection."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import cures, flows, sinks
from toughen.exploits import code, values
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment
from toughen.rule import Broken, Fails, Holds, Rule, Sound
from toughen.twists import answer, named, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


class CodeInjection(Rule):
    """A value from the request is read as code: an expression, a template, a pickle, a YAML document with tags.

    Who pays: everybody. Whoever sends it runs Python on the server.

    Example: `eval(request.args["formula"])`, `render_template_string(f"Hello {name}")`, `pickle.loads(body)`.
    Instead: `ast.literal_eval` or `json.loads` for values, a function that works out arithmetic for sums, `yaml.safe_load`, a template that gets the value as a variable.

    Shown: a fresh canary in the value reaches what reads code; then an expression of the lab's own in its place makes a
    folder of the lab's own, or its product comes back in the answer.

    References: CWE-94, CWE-95, CWE-502, CWE-1336; OWASP API8:2023; ASVS 5.0 V1.3.2.
    """

    id = "security/code-injection"
    title = "A value from the request is run as code"
    severity = Severity.CRITICAL
    cwe = (94, 95, 502, 1336)
    owasp = "API8:2023"
    asvs = "V1.3.2"
    order = 10

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each text value that is compiled or built into objects: the lab's own expression in its place."""
        for argument in values.texts(target, route, journey, values.ANYWHERE):
            scout = values.scouted(target, journey, argument)
            seen = values.sightings(scout, scout.last, code.EVENTS, "scout")
            tries = list(code.shapes(values.honest(argument), seen)) or [(values.SCOUT, "a canary")]
            yield from values.telling(
                lambda each: self.shows(target, each),
                (Experiment(values.trials(journey, argument, shape), f"{about} in {named(argument)}", values.facts(argument, shape)) for shape, about in tries),
            )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and the lab's own expression ran."""
        unclear = values.controlled(traces)
        if unclear is not None:
            return unclear
        hostile, field = traces["hostile"], experiment.fact("field")
        if not code.ran(hostile, hostile.last):
            return Fails()
        seen = next((each for each in values.sightings(hostile, hostile.last, (*code.EVENTS, "os.mkdir")) if each.location), None)
        return Holds(
            Evidence(
                f"{field} is run as code: an expression that stood in it was executed",
                {"request": shown(hostile.last), "answer": answer(hostile.last), "honest": shown(traces["control"].last)},
                seen.location if seen else None,
                (("field", field),),
                key=field,
            )
        )

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Interpreters, templates and readers of objects that are given a value of the request."""
        yield from flows.suspected(self.id, blueprint, sources, sinks.CODE)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A reader of plain values in the place of one of code; a template variable in the place of its text."""
        yield from cures.code(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken("""from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post("/settings")
def settings():
    data = request.get_json()
    value = eval(data.get("value", "1"))
    return jsonify({"kind": type(value).__name__})
""", "POST /settings"),
        Broken("""from flask import Flask, render_template_string, request
app = Flask(__name__)

@app.get("/hello")
def hello():
    name = request.args.get("name", "World")
    return render_template_string(f"<h1>Hello {name}!</h1>")
""", "GET /hello"),
        Broken("""import yaml
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()

class Document(BaseModel):
    text: str

@app.post("/import")
def load(document: Document):
    content = yaml.load(document.text, Loader=yaml.Loader)
    return {"kind": type(content).__name__}
""", "POST /import", ("fastapi", "pyyaml")),
        Broken("""from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post("/calculator")
def calculator():
    data = request.get_json()
    if "expression" not in data:
        return jsonify({"error": "No expression provided"}), 400
    try:
        result = eval(data["expression"], {"__builtins__": {}})
        return jsonify({"result": str(result)}), 200
    except Exception as e:
        return jsonify({"error": str(e)}), 400
""", "POST /calculator"),
        Broken("""import base64
import pickle
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.get("/cart")
def cart():
    stored = request.args.get("state")
    items = pickle.loads(base64.b64decode(stored)) if stored else []
    return jsonify({"items": len(items)})
""", "GET /cart", unmended="JSON"),
        Broken("""from fastapi import FastAPI
app = FastAPI()
PRICES = [{"name": "tea", "price": 4}, {"name": "coffee", "price": 6}]

@app.get("/filtered")
def filtered(test: str = "> 3"):
    return [each for each in PRICES if eval(f"each['price'] {test}")]
""", "GET /filtered", ("fastapi",), unmended="a longer expression"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound("""import ast
import json
import operator
import yaml
from flask import Flask, jsonify, render_template_string, request
app = Flask(__name__)
OPERATORS = {ast.Add: operator.add, ast.Mult: operator.mul}

def worked_out(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    return OPERATORS[type(node.op)](worked_out(node.left), worked_out(node.right))

@app.get("/calculate")
def calculate():
    try:
        return jsonify({"result": worked_out(ast.parse(request.args.get("formula", "1+2"), mode="eval").body)})
    except (SyntaxError, KeyError, AttributeError):
        return jsonify({"error": "No formula"}), 400

@app.get("/hello")
def hello():
    return render_template_string("<h1>Hello {{ name }}!</h1>", name=request.args.get("name", "World"))

@app.post("/import")
def load():
    text = request.get_json()["text"]
    return jsonify({"kind": type(yaml.safe_load(text)).__name__})

@app.get("/literal")
def literal():
    try:
        return jsonify({"value": str(ast.literal_eval(request.args.get("value", "[1, 2]")))})
    except (ValueError, SyntaxError):
        return jsonify({"error": "No value"}), 400
""", "values are read as values; a template gets them as variables", ("flask", "pyyaml")),
        Sound("""import json
import yaml
from fastapi import FastAPI, HTTPException
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel
app = FastAPI()
environment = SandboxedEnvironment(autoescape=True)

class Letter(BaseModel):
    template: str
    data: str = "{}"

@app.post("/letters")
def letter(data: Letter):
    try:
        return {"text": environment.from_string(data.template).render(json.loads(data.data))}
    except Exception:
        raise HTTPException(status_code=400, detail="The template is not right")
""", "templates of users in a sandbox that refuses attributes of Python's own", ("fastapi", "jinja2", "pyyaml"), alike="whether an environment is a sandbox is not followed to where it is made"),
    ]
