"""Owns security/command-injection."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import cures, flows, sinks
from toughen.exploits import commands, values
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


class CommandInjection(Rule):
    """A value from the request becomes part of a shell's command line: whoever sends it runs programs on the server.

    Who pays: everybody. One request reads every file and secret of the server, and stays.

    Example: `subprocess.run(f"ping -c 1 {host}", shell=True)`.
    Instead: the program and its arguments as a list, without a shell: `subprocess.run(["ping", "-c", "1", host])`.

    Shown: a fresh canary in the value reaches a process that is started; then the value ends the shell's command and a
    command of the lab's own runs, which lays an empty file into a folder that is the lab's alone.

    References: CWE-78; OWASP API8:2023; ASVS 5.0 V1.2.5.
    """

    id = "security/command-injection"
    title = "A value from the request runs commands on the server"
    severity = Severity.CRITICAL
    cwe = (78,)
    owasp = "API8:2023"
    asvs = "V1.2.5"
    order = 10

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each text value that reaches a process: the lab's command behind what ends the command before it."""
        for argument in values.texts(target, route, journey, values.ANYWHERE):
            scout = values.scouted(target, journey, argument)
            reached = bool(values.sightings(scout, scout.last, commands.EVENTS, "scout"))
            tries = commands.shapes(values.honest(argument)) if reached else [(values.SCOUT, "a canary")]
            yield from values.telling(
                lambda each: self.shows(target, each),
                (Experiment(values.trials(journey, argument, shape), f"{about} in {named(argument)}", values.facts(argument, shape)) for shape, about in tries),
            )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and the lab's own command left its file."""
        unclear = values.controlled(traces)
        if unclear is not None:
            return unclear
        hostile, field = traces["hostile"], experiment.fact("field")
        if not commands.ran(hostile):
            return Fails()
        seen = next(iter(values.sightings(hostile, hostile.last, commands.EVENTS)), None)
        return Holds(
            Evidence(
                f"{field} runs commands of the sender's: the shell ran a second one that stood in it",
                {"request": shown(hostile.last), "answer": answer(hostile.last), "command": seen.text[:600] if seen else "", "honest": shown(traces["control"].last)},
                seen.location if seen else None,
                (("field", field), ("seen", seen.text[:600] if seen else "")),
                key=field,
            )
        )

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Command lines for a shell that take in a value of the request unquoted."""
        yield from flows.suspected(self.id, blueprint, sources, sinks.SHELL)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The command as a list without a shell; where it needs one, the value quoted."""
        yield from cures.command(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken("""import subprocess
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post("/checks")
def check():
    data = request.get_json()
    host = data["host"]
    try:
        output = subprocess.check_output(f"ping -c 1 {host}", shell=True, text=True, timeout=5)
    except subprocess.CalledProcessError:
        return jsonify({"error": "The host does not answer"}), 502
    return jsonify({"host": host, "output": output})
""", "POST /checks"),
        Broken("""import os
from flask import Flask, jsonify, request
app = Flask(__name__)

def line_count(name):
    return os.popen("echo " + name + " | wc -w").read().strip()

@app.get("/words")
def words():
    return jsonify({"words": int(line_count(request.args.get("text", "one two")))})
""", "GET /words"),
        Broken("""import subprocess
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()

class Label(BaseModel):
    text: str

@app.post("/labels")
def label(data: Label):
    command = "printf %s '{}'".format(data.text)
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    return {"label": done.stdout}
""", "POST /labels", ("fastapi",)),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound("""import shlex
import subprocess
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post("/checks")
def check():
    host = request.get_json()["host"]
    done = subprocess.run(["printf", "%s", host], capture_output=True, text=True, timeout=5)
    return jsonify({"host": host, "output": done.stdout})

@app.get("/words")
def words():
    text = shlex.quote(request.args.get("text", "one two"))
    done = subprocess.run(f"echo {text} | wc -w", shell=True, capture_output=True, text=True, timeout=5)
    return jsonify({"words": int(done.stdout)})

@app.get("/dates")
def dates():
    form = {"day": "%d", "year": "%Y"}.get(request.args.get("part", "day"), "%d")
    return jsonify({"date": subprocess.getoutput(f"date +{form}")})
""", "an argument of its own, a quoted value, or a value from a list of the prototype's own"),
        Sound("""import subprocess
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()

class Label(BaseModel):
    text: str

@app.post("/labels")
def label(data: Label):
    if not data.text.isalnum():
        raise HTTPException(status_code=400, detail="Letters and digits only")
    done = subprocess.run(f"printf %s {data.text}", shell=True, capture_output=True, text=True)
    return {"label": done.stdout}
""", "nothing but letters and digits reaches the shell", ("fastapi",)),
    ]
