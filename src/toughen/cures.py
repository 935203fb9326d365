"""Owns the repairs of injections: which word takes a value of the request out of the place where it does harm, and at which line."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen import flows, sinks
from toughen.boundary import Sheet
from toughen.codemod import Draft, UnmendableError, answer
from toughen.codemod.folders import kept, plain_name
from toughen.codemod.pages import escaped
from toughen.codemod.readers import literal, rendered, safe_yaml
from toughen.codemod.shells import listed, quoted
from toughen.codemod.sites import public, relative
from toughen.model.patch import Unmended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toughen.flows import Arrival, Sink
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.model.patch import Patch

Change = Draft | Sheet | Unmended
"""One word's edits, those of several in turn, or why there are none."""
_UNSEEN = "where the value arrives is not seen in the source of this route"
_SHELL = "Start the program with a list of arguments and without a shell; where a shell is needed, give it the value as an argument (`sh -c '...' sh value`)."
_PATH = "Resolve the path, ask whether it still lies below the folder that is meant, and answer 404 where it does not; give uploads a name of your own."
_HOST = "Keep a list of the hosts that may be asked, in a setting; where any host is meant, refuse addresses of your own network after the name was resolved, and do not follow redirects."
_CODE = "Read values as values: JSON, `ast.literal_eval`, a list of the operations that are meant. What was stored as a pickle must be written again as JSON first."
_REDIRECT = "Go only to paths of this site, or choose the target from a list."
_PAGE = "Let a template with autoescape put the value in, and take `|safe` and `Markup` away from it; for fields that may hold markup, clean them with nh3 when they are stored."


def _offered(
    finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], sink: Sink, summary: str, brief: str, offer: Callable[[Arrival, ast.AST], Iterator[Change]], *, notes: tuple[str, ...] = ()
) -> Iterator[Patch | Unmended]:
    """For each place at which the value arrives, the drafts that are offered there; the first reason where none fits."""
    reasons: list[str] = []
    for arrival in _ranked(finding, flows.arrivals(finding, blueprint, sources, sink)):
        for draft in offer(arrival, arrival.node):
            if isinstance(draft, Unmended):
                reasons.append(draft.reason)
                continue
            sheet = draft if isinstance(draft, Sheet) else Sheet(sources)
            if isinstance(draft, Draft):
                sheet.put(draft)
            made = sheet.patch(finding.id, summary[:100], *notes)
            if not isinstance(made, Unmended):
                yield made
    yield Unmended(reasons[0] if reasons else _UNSEEN, brief)


def _ranked(finding: Finding, found: list[Arrival]) -> list[Arrival]:
    """Arrivals, that of the proof's own line first."""
    place = finding.evidence.location if finding.evidence else None

    def far(each: Arrival) -> tuple[bool, int]:
        line = getattr(each.node, "lineno", 0)
        there = place is not None and each.place.module.file == place.file
        return not there, abs(line - place.line) if place is not None and there else 0

    return sorted(found, key=far)


def _holds(arrival: Arrival) -> Callable[[ast.expr], bool]:
    return lambda node: bool(arrival.flow.parts(node) & arrival.parts)


def _is_text(arrival: Arrival) -> Callable[[ast.expr], bool]:
    """Whether something enforces that a value is a text: a typed model, a path, a query, a form."""
    def known(node: ast.expr) -> bool:
        held = arrival.flow.carried.of(node)
        return held is not None and held.type == "string"

    return known


def command(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A list of arguments without a shell; where the command needs one, the value quoted."""
    def offer(arrival: Arrival, call: ast.AST) -> Iterator[Change]:
        module, text = arrival.place.module, _is_text(arrival)
        if not isinstance(call, ast.Call):
            return
        yield listed(module, call, arrival.risky, text)
        yield quoted(module, call, arrival.risky, text)

    yield from _offered(finding, blueprint, sources, sinks.SHELL, f"Take the value out of the shell's command in {finding.route}", _SHELL, offer)


def path(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """An uploaded file's name without folders; any other path kept below its folder."""
    flask = blueprint.framework in {"flask", "connexion"}
    reading = (finding.route or "").startswith("GET ")

    def offer(arrival: Arrival, call: ast.AST) -> Iterator[Change]:
        module = arrival.place.module
        if "filename" in arrival.parts:
            how, needs = ("secure_filename({})", "from werkzeug.utils import secure_filename") if flask else ("os.path.basename({})", "import os")
            yield plain_name(module, call, arrival.risky, how, needs)
        status, text = (404, "Not found") if reading else (400, "Invalid file name")
        yield kept(module, call, arrival.risky, _holds(arrival), status, text)

    yield from _offered(finding, blueprint, sources, sinks.PATH, f"Keep the path below its folder in {finding.route}", _PATH, offer)


def host(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Addresses of the server's own network refused before they are asked."""
    def offer(arrival: Arrival, call: ast.AST) -> Iterator[Change]:
        yield public(arrival.place.module, call, arrival.risky, 400, "This address is not allowed")

    notes = ("A list of the hosts that are meant would be stricter. Redirects that the client follows, and names that resolve otherwise a moment later, are not looked at again.",)
    yield from _offered(finding, blueprint, sources, sinks.HOST, f"Refuse internal addresses in {finding.route}", _HOST, offer, notes=notes)


def code(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A reader of plain values, whose complaint is answered; a template's variable."""
    def offer(arrival: Arrival, call: ast.AST) -> Iterator[Change]:
        module = arrival.place.module
        if not isinstance(call, ast.Call):
            return
        name = module.resolve(call.func)
        if name.startswith(("pickle.", "dill.", "marshal.")):
            yield Unmended(f"what {name} reads must be written as JSON by whoever writes it, and what is stored already be written again")
        elif name in {"exec", "compile", "__import__"}:
            yield Unmended(f"{name} runs whatever it is given: which operations are meant is for you to say")
        elif name.startswith("yaml."):
            yield from _answered(safe_yaml(module, call), call, "yaml.YAMLError")
        elif name == "eval":
            yield from _answered(literal(module, call), call, "(ValueError, SyntaxError)")
        else:
            yield rendered(module, call, arrival.risky, _holds(arrival))

    yield from _offered(finding, blueprint, sources, sinks.CODE, f"Read the value as a value in {finding.route}", _CODE, offer)


def _answered(draft: Draft | Unmended, call: ast.Call, error: str) -> Iterator[Change]:
    """The draft with a refusal of what the new reader refuses, then the draft alone."""
    if isinstance(draft, Draft):
        try:
            sheet = Sheet({draft.module.file: draft.module.text})
            sheet.put(draft)
            module = sheet.module(draft.module.file)
            moved = len(module.text.splitlines()) - len(draft.module.text.splitlines())
            refused = sheet.put(answer(module, call.lineno + moved, error, 400, "Invalid value"))
            if not refused:
                yield sheet
        except UnmendableError:
            pass
    yield draft


def redirect(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Only paths of this site."""
    def offer(arrival: Arrival, call: ast.AST) -> Iterator[Change]:
        yield relative(arrival.place.module, call, arrival.risky)

    yield from _offered(finding, blueprint, sources, sinks.REDIRECT, f"Stay on this site in {finding.route}", _REDIRECT, offer)


def page(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The value escaped where it enters the page."""
    def offer(arrival: Arrival, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.Call) and arrival.place.module.resolve(node.func) == "flask.render_template_string":
            yield rendered(arrival.place.module, node, arrival.risky, _holds(arrival))
        yield escaped(arrival.place.module, node, arrival.risky, _holds(arrival), _is_text(arrival))

    shown = finding.evidence.fact("page") if finding.evidence else ""
    if not flows.arrivals(finding, blueprint, sources, sinks.PAGE):
        yield Unmended(f"a template puts it into {shown or 'the page'}, and only Python is mended", _PAGE)
        return
    yield from _offered(finding, blueprint, sources, sinks.PAGE, f"Escape the value in the page of {finding.route}", _PAGE, offer)
