"""Owns sample backends on releases of an earlier day, and the advisories that speak of those, as files in the OSV format."""

from __future__ import annotations

import json

_KNOWN = {
    "python-multipart": (("GHSA-2jv5-9r88-3w3p", "CVE-2024-24762", "0.0.7"), ("GHSA-59g5-xgcq-4qw3", "CVE-2024-53981", "0.0.18")),
    "jinja2": (("GHSA-h75v-3vvj-5mfj", "CVE-2024-34064", "3.1.4"),),
}
"""(id, alias, first release without it) of advisories of these packages."""


def files(package: str) -> dict[str, str]:
    """A project's settings that name a folder of advisories, and the advisories of a package in it."""
    found = {"toughen.toml": 'advisories = "advisories"\n'}
    for name, alias, fixed in _KNOWN[package]:
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
        affected = [{"package": {"ecosystem": "PyPI", "name": package}, "ranges": ranges}]
        found[f"advisories/{name}.json"] = json.dumps({"schema_version": "1.6.0", "id": name, "aliases": [alias], "affected": affected}, indent=1)
    return found


NOTHING = {"toughen.toml": 'advisories = "advisories"\n', "advisories/README.md": "Not fetched yet.\n"}
"""Settings that name a folder in which no advisory lies."""

UPLOADS = """from fastapi import FastAPI, Form
app = FastAPI()
letters = []

@app.get("/health")
def health():
    return {"status": "ok", "letters": len(letters)}

@app.post("/letters", status_code=201)
def write(name: str = Form(...), text: str = Form(...)):
    letters.append({"name": name, "text": text})
    return {"id": len(letters)}
"""
"""FastAPI that reads forms, by python-multipart."""
UPLOADS_NEEDS, UPLOADS_LATER = ("fastapi", "python-multipart==0.0.6"), ("fastapi", "python-multipart==0.0.20")

PAGES = """from flask import Flask, render_template_string, request
app = Flask(__name__)
PAGE = "<h1>Hello {{ name }}</h1>"

@app.get("/")
def hello():
    return render_template_string(PAGE, name=request.args.get("name", "world"))
"""
"""Flask whose pages are templates."""
PAGES_NEEDS, BESIDE = ("flask", "jinja2==3.1.3"), ("flask", "python-multipart==0.0.6")
