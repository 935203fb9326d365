"""Owns security/ssrf."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import cures, flows, sinks
from toughen.exploits import hosts, paths, values
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


class Ssrf(Rule):
    """A value from the request says which host the server asks, and it asks its own inside too.

    Who pays: the owner. A stranger reads through the server what only the server may reach: cloud keys at
    169.254.169.254, databases, admin pages of neighbours.

    Example: `requests.get(request.json["url"])`.
    Instead: ask a list of hosts of your own; where any host is meant, resolve the name and refuse addresses that are
    private, loopback or link-local, and do not follow redirects.

    Shown: the honest request asks a host outside; the same request with an internal address makes the server connect to
    127.0.0.1, 169.254.169.254 or a private address (the lab answers in its place), or read a file of the lab's own.

    References: CWE-918; OWASP API7:2023; ASVS 5.0 V1.3.6.
    """

    id = "security/ssrf"
    title = "A value from the request makes the server ask internal hosts"
    severity = Severity.HIGH
    cwe = (918,)
    owasp = "API7:2023"
    asvs = "V1.3.6"
    order = 11

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each text value that names a host which is asked: the server's own inside in its place."""
        for argument in values.texts(target, route, journey, values.ANYWHERE):
            honest, shapes = values.honest(argument), [(hosts.ADDRESS, "another host")]
            if hosts.asked(trace := values.scouted(target, journey, argument, hosts.ADDRESS), trace.last):
                address = honest if hosts.host_of(honest) else "http://example.com/"
                shapes = [*hosts.shapes(address), ("file://{outside}/tgn{}", "a file"), *hosts.onward(address)]
            elif hosts.host_of(honest) and (facing := target.honest(route.id)) and hosts.host_of(honest) in {each.host for each in facing.last.outgoing}:
                shapes = list(hosts.around(honest))
            elif not hosts.host_of(honest) and hosts.asked(trace := values.scouted(target, journey, argument, hosts.NAME), trace.last):
                shapes = list(hosts.shapes(""))
            yield from values.telling(
                lambda each: self.shows(target, each),
                (
                    Experiment(values.trials(journey, argument, shape, paths.planted(journey, argument)), f"{about} in {named(argument)}", values.facts(argument, shape))
                    for shape, about in shapes
                ),
            )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and the hostile one makes the server connect to its inside."""
        unclear = values.controlled(traces)
        if unclear is not None:
            return unclear
        control, hostile, field = traces["control"], traces["hostile"], experiment.fact("field")
        asked = hosts.inside(control.last, hostile.last)
        read = asked is None and paths.escaped(hostile, hostile.last) == "read"
        if asked is None and not read:
            return Fails()
        where = f"{asked.host}:{asked.port}" if asked else "a file of its own"
        redirect = asked is not None and hosts.redirected(hostile.last)
        return Holds(
            Evidence(
                f"{field} makes the server ask {where}" + (", by a redirect that it follows" if redirect else ""),
                {
                    "request": shown(hostile.last), "answer": answer(hostile.last), "connected": where,
                    "sent": asked.request.splitlines()[0] if asked and asked.request else "", "honest": shown(control.last),
                },
                asked.location if asked else None,
                (("field", field), ("redirect", "yes" if redirect else "")),
                key=field,
            )
        )

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Requests to a host that a value of the request names."""
        yield from flows.suspected(self.id, blueprint, sources, sinks.HOST)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Addresses of the server's own inside refused before the request is sent."""
        yield from cures.host(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken("""import requests
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post("/previews")
def preview():
    data = request.get_json()
    url = data.get("url")
    if not url:
        return jsonify({"error": "url is required"}), 400
    try:
        page = requests.get(url, timeout=5)
    except requests.RequestException:
        return jsonify({"error": "The page does not answer"}), 502
    return jsonify({"status": page.status_code, "length": len(page.text)})
""", "POST /previews", ("flask", "requests")),
        Broken("""import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, HttpUrl
app = FastAPI()
hooks = []

class Hook(BaseModel):
    url: HttpUrl
    event: str = "order.created"

@app.post("/webhooks", status_code=201)
async def register(hook: Hook):
    if "localhost" in str(hook.url):
        raise HTTPException(status_code=400, detail="Not allowed")
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.post(str(hook.url), json={"event": "ping"})
    if answer.status_code >= 400:
        raise HTTPException(status_code=400, detail="The hook does not answer")
    hooks.append(str(hook.url))
    return {"id": len(hooks)}
""", "POST /webhooks", ("fastapi", "httpx")),
        Broken("""import ipaddress
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit
from flask import Flask, jsonify, request
app = Flask(__name__)

def allowed(url):
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    try:
        return not ipaddress.ip_address(socket.gethostbyname(parts.hostname)).is_private
    except (OSError, ValueError):
        return False

@app.post("/previews")
def preview():
    url = request.get_json()["url"]
    if not allowed(url):
        return jsonify({"error": "This address is not allowed"}), 400
    try:
        asked = urllib.request.Request(url, headers={"User-Agent": "Previews"})
        with urllib.request.urlopen(asked, timeout=5) as page:
            return jsonify({"status": page.status, "length": len(page.read())})
    except (urllib.error.URLError, OSError):
        return jsonify({"error": "The page does not answer"}), 502
""", "POST /previews", unseen="the address is asked about, and the question is not read"),
        Broken("""import ipaddress
import socket
from urllib.parse import urlsplit
import requests
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.get("/status")
def status():
    url = request.args.get("url", "https://example.com/")
    host = urlsplit(url).hostname or ""
    try:
        if not ipaddress.ip_address(socket.gethostbyname(host)).is_global:
            return jsonify({"error": "This address is not allowed"}), 400
        page = requests.get(url, timeout=5)
    except (OSError, ValueError):
        return jsonify({"error": "The page does not answer"}), 502
    return jsonify({"status": page.status_code})
""", "GET /status", ("flask", "requests"), unseen="the address is asked about, and the question is not read"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound("""import ipaddress
import socket
from urllib.parse import urlsplit
import requests
from flask import Flask, jsonify, request
app = Flask(__name__)

def is_public(url):
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(each[4][0]).is_global for each in found)

@app.post("/previews")
def preview():
    url = request.get_json()["url"]
    if not is_public(url):
        return jsonify({"error": "This address is not allowed"}), 400
    page = requests.get(url, timeout=5, allow_redirects=False)
    return jsonify({"status": page.status_code})

@app.get("/rates")
def rates():
    currency = request.args.get("currency", "EUR")
    return jsonify(requests.get(f"https://api.example.com/rates/{currency}", timeout=5).json())
""", "internal addresses are refused after the name was resolved; a path of a fixed host", ("flask", "requests")),
        Sound("""import os
from urllib.parse import urlsplit
import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()
ALLOWED = set(os.environ.get("PREVIEW_HOSTS", "example.com,example.org").split(","))

class Link(BaseModel):
    url: str = "https://example.com/page"

@app.post("/previews")
def preview(link: Link):
    if urlsplit(link.url).hostname not in ALLOWED:
        raise HTTPException(status_code=400, detail="This host is not allowed")
    return {"status": httpx.get(link.url, timeout=5).status_code}
""", "only hosts of the prototype's own list are asked", ("fastapi", "httpx")),
    ]
