"""Owns security/vulnerable-dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from packaging.version import InvalidVersion, Version

from toughen import outdated
from toughen.codemod.dependencies import places, raised
from toughen.model.finding import Evidence, Inconclusive, Severity, Suspected, Suspicion
from toughen.model.patch import Patch, Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.advisory import Affected
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Outcome
    from toughen.model.journey import Journey
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_UNSEEN = "the source names neither what is installed nor what is known of it"
_MOST = 6


def _order(target: Target) -> list[str]:
    """Routes that were reached, reading ones first."""
    return sorted((each.route for each in target.journeys()), key=lambda route: not route.startswith("GET "))


def _loader(target: Target, name: str) -> str | None:
    """The first route whose process has loaded a package, None where no route's has."""
    return next((route for route in _order(target) if name in target.loaded(route)), None)


def _place(blueprint: Blueprint, name: str) -> Location | None:
    """Where the dependency files name a package, else the file that would name it."""
    found = next(places(blueprint.companions, name), None)
    if found is not None:
        return Location(*found)
    return next((Location(file, 0) for file, _ in blueprint.companions if file.endswith((".txt", ".in", ".toml"))), None)


def _told(affected: Affected) -> str:
    """The advisories, the first of them by name."""
    names = [each.id + (f" ({', '.join(each.aliases)})" if each.aliases else "") for each in affected.advisories]
    return "; ".join(names[:_MOST]) + (f"; and {len(names) - _MOST} more" if len(names) > _MOST else "")


class VulnerableDependency(Rule):
    """The prototype runs on a release of a package that is publicly known to be vulnerable.

    Who pays: whoever the package protects. How to attack it stands in a public database, and programs that try it on every
    server of the internet need no idea of the prototype.

    Shown: the release that is installed is the one that the project asks for, an advisory speaks of it, and the process that
    answers an honest request has loaded it. What is installed and never loaded, and a release that toughen chose because the
    project names none, are suspected only. Whether an attacker reaches the vulnerable function is not shown. What is known is
    asked of pip-audit (`pip install 'toughen[dependencies]'`), or read from files in the OSV format that the setting
    `advisories` names; where neither answers, this is inconclusive, never clean.

    Example: `python-multipart==0.0.6`, years after 0.0.7 was published.
    Instead: the nearest later release that nothing is known against; kept only if everything honest still works with it.

    References: CWE-1395, CWE-937; OWASP API8:2023; ASVS 5.0 V15.2.1.
    """

    id = "security/vulnerable-dependency"
    title = "It runs on a package with a known hole"
    severity = Severity.MEDIUM
    cwe = (1395, 937)
    owasp = "API8:2023"
    asvs = "V15.2.1"
    order = 90

    def prove(self, target: Target, route: Route) -> Iterator[Outcome]:
        """What the database does not say, and what cannot be shown, is told once for the whole prototype."""
        audit, order = target.audit(), _order(target)
        if audit is not None and order and route.id == order[0]:
            yield from (Inconclusive(each) for each in audit.unanswered)
            for each in audit.affected:
                why = "" if each.package.stated else "a release that the project does not name: what is deployed may be another"
                why = why or ("" if _loader(target, each.package.name) else "no request that was tried has loaded it")
                if why:
                    message = f"{each.package.name} {each.package.version} is installed ({why}); {_told(each)}"
                    yield Suspected(Suspicion(self.id, None, _place(target.blueprint, each.package.name) or route.handler, message))
        yield from super().prove(target, route)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The honest request, for each affected package that this route is the first to load."""
        audit = target.audit()
        for each in audit.affected if audit is not None else ():
            package = each.package
            if not package.stated or _loader(target, package.name) != route.id:
                continue
            place = _place(target.blueprint, package.name)
            detail = (("package", package.name), ("version", package.version), ("safe", each.safe), ("advisories", _told(each)), ("source", audit.source if audit else ""))
            steer = (("file", place.file), ("line", str(place.line))) if place is not None else ()
            yield Experiment({"control": Trial(journey.calls, journey.grants, loads=True)}, f"{package.name} {package.version}", (*detail, *steer))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes in a process that has loaded the release that the advisories speak of."""
        control = traces["control"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if not control.packages:
            return Unclear("the process did not say which packages it has loaded")
        name, version, safe = (experiment.fact(each) for each in ("package", "version", "safe"))
        loaded = dict(control.packages).get(name)
        if loaded is None or (loaded != version and _within(loaded, safe)):
            return Fails()
        if loaded != version:
            return Unclear(f"{name} {loaded} is installed now, of which nothing was asked: check again")
        cure = f"gone from {safe} on" if safe else "no later release is known to be free of it"
        place = Location(experiment.fact("file"), int(experiment.fact("line"))) if experiment.fact("file") else None
        facts = {"request": shown(control.last), "installed": f"{name} {version}", "advisories": experiment.fact("advisories"), "fixed": safe, "source": experiment.fact("source")}
        message = f"the prototype runs on {name} {version}; {experiment.fact('advisories')}: {cure}"
        return Holds(Evidence(message, {**facts}, place, (("package", name), ("version", version), ("safe", safe)), key=name))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The nearest later release that nothing is known against, in the project's own dependency file."""
        if finding.evidence is None:
            return
        name, version, safe = (finding.evidence.fact(each) for each in ("package", "version", "safe"))
        if not safe:
            yield Unmended(f"no later release of {name} is known to be free of it", f"Replace {name} by another package, or find out that the vulnerable part is never reached.")
            return
        changes = raised(blueprint.companions, name, safe)
        if changes:
            jump = "" if safe.partition(".")[0] == version.partition(".")[0] else f"{version} -> {safe} is a step to another major version: read what it changes."
            yield Patch(finding.id, changes, f"Ask for {name} {safe}, in which {'its known hole is' if ';' not in str(finding.evidence.facts['advisories']) else 'its known holes are'} closed", jump, raises=(name,))
            return
        yield Unmended(f"no dependency file says in a form that can be rewritten which release of {name} is wanted", f"Ask for {name}>={safe} where it is named, and lock or hash it anew.")

    BROKEN: ClassVar[list[Broken]] = [
        Broken(outdated.UPLOADS, "GET /health", outdated.UPLOADS_NEEDS, outdated.files("python-multipart"), unseen=_UNSEEN),
        Broken(outdated.PAGES, "GET /", outdated.PAGES_NEEDS, outdated.files("jinja2"), unseen=_UNSEEN),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(outdated.UPLOADS, "the release in which it is closed", outdated.UPLOADS_LATER, outdated.files("python-multipart")),
        Sound(outdated.PAGES.replace("<h1>", "<h2>"), "it is installed for another program and the prototype never loads it", outdated.BESIDE, outdated.files("python-multipart")),
        Sound(outdated.PAGES, "nobody can be asked: that is inconclusive, and neither proven nor clean", ("flask",), outdated.NOTHING),
    ]


def _within(loaded: str, safe: str) -> bool:
    """Whether a release is the one that was asked about, or a later one of its line."""
    try:
        own, known = Version(loaded), Version(safe)
    except InvalidVersion:
        return False
    return own >= known and own.major == known.major
