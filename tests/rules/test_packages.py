"""Packages with known vulnerabilities: what is proven, what is suspected, and what is said where nobody can be asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from toughen import config
from toughen.model.finding import Status
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    from toughen.model.verdict import Verdict

BREAK = "security/vulnerable-dependency"
MAIN = """
    from flask import Flask
    app = Flask(__name__)


    @app.get("/")
    def hello():
        return "hello"


    @app.get("/report")
    def report():
        import marshmallow
        return marshmallow.__name__
    """


def known(*packages: str) -> dict[str, str]:
    """A folder of advisories that speak of every release of these packages, and of none later."""
    return {
        f"advisories/{name}.json": json.dumps({"id": f"TEST-{name}", "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]})
        for name in packages
    }


def checked(project: Prototype, **settings: str) -> Verdict:
    """One check for this break alone."""
    return Run(project.root, config.read(project.root, only=(BREAK,), **settings)).check()


def test_what_a_request_has_loaded_is_proven_and_what_none_has_is_suspected(prototype: Callable[[Mapping[str, str]], Prototype]) -> None:
    """One finding a package, whether it is loaded at the start or by a request; a package that only lies in the environment fails no gate."""
    project = prototype({"main.py": MAIN, "requirements.txt": "flask\nmarshmallow\npytest\n", **known("flask", "marshmallow", "pytest")})
    verdict = checked(project, advisories="advisories")
    assert [each.evidence.key for each in verdict.findings if each.status is Status.PROVEN and each.evidence] == ["flask", "marshmallow"]
    (suspected,) = [each for each in verdict.findings if each.status is Status.SUSPECTED]
    assert "pytest" in suspected.message
    assert "no request that was tried has loaded it" in suspected.message
    assert str(suspected.location) == "requirements.txt:3"
    assert not verdict.inconclusive


def test_nobody_to_ask_is_inconclusive_once(prototype: Callable[[Mapping[str, str]], Prototype]) -> None:
    """Whether pip-audit reaches nobody or the folder is empty: one reason for the whole prototype, and no finding."""
    project = prototype({"main.py": MAIN, "advisories/README.md": "Not fetched yet.\n"})
    for settings, reason in (({}, "check the network"), ({"advisories": "advisories"}, "there is no advisory of a Python package in advisories")):
        verdict = checked(project, **settings)
        assert not verdict.findings
        (told,) = verdict.inconclusive
        assert reason in told.reason
        assert "installed packages were not looked up" in told.reason
