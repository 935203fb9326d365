"""Owns the repairs of injections: which word takes a value of the request out of the place where it does harm, and at which line."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from functools import reduce
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen import flows, sinks
from toughen.boundary import Sheet
from toughen.codemod import Draft, UnmendableError, answer
from toughen.codemod.folders import kept, plain_name, separated
from toughen.codemod.markup import as_text
from toughen.codemod.markup import rendered as rendered_files
from toughen.codemod.module import dotted
from toughen.codemod.naming import imported
from toughen.codemod.pages import answered, bare, escaped, sandboxed
from toughen.codemod.readers import arithmetic, autoescaped, literal, rendered, safe_yaml
from toughen.codemod.shells import listed, quoted
from toughen.codemod.sites import public, relative, unredirected
from toughen.exploits import values
from toughen.handling import handlers
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.templates.arithmetic import ARITHMETIC
from toughen.twists import named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toughen.codemod.module import Module
    from toughen.flows import Arrival, Sink
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding

Change = Draft | Sheet | Unmended
"""One word's edits, those of several in turn, or why there are none."""
_UNSEEN = "where the value arrives is not seen in the source of this route"
_SHELL = "Start the program with a list of arguments and without a shell; where a shell is needed, give it the value as an argument (`sh -c '...' sh value`)."
_PATH = "Resolve the path, ask whether it still lies below the folder that is meant, and answer 404 where it does not; give uploads a name of your own."
_HOST = "Keep a list of the hosts that may be asked, in a setting; where any host is meant, refuse addresses of your own network after the name was resolved, and do not follow redirects."
_CODE = "Read values as values: JSON, `ast.literal_eval`, a list of the operations that are meant. What was stored as a pickle must be written again as JSON first."
_REDIRECT = "Go only to paths of this site, or choose the target from a list."
_HTML = re.compile(r"html|page|markup", re.IGNORECASE)
_MAKES_HTML = re.compile(r"(markdown|markup|html|highlight|bleach|clean|sanitize|nh3)\w*\(", re.IGNORECASE)
_RENDERS = {"render_template", "TemplateResponse", "get_template"}
_ESCAPED = "Markup in it is shown as text from now on. Where users may write markup, clean it with nh3 when it is stored, and keep `|safe`."
_SANDBOX = "Scripts and forms of what is shown there no longer run. Where users write text only, escape it instead; where they may write markup, clean it with nh3 when it is stored."
_MARKUP = (
    "Where users may write markup: clean it with nh3 before it is stored, or show it with `Content-Security-Policy: sandbox`, which runs no script of it; "
    "better still on a host of its own. Where they write text only: escape it with `markupsafe.escape` where it is answered."
)
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

    inside = finding.evidence is not None and bool(finding.evidence.fact("inside"))
    asking = {each.node: each for handler in handlers(blueprint, sources) if handler.route.id == finding.route for each in handler.reach} if inside else {}

    def offer(arrival: Arrival, call: ast.AST) -> Iterator[Change]:
        module = arrival.place.module
        # The path leads into a folder whose name begins as its own does: a separator is missing where it is asked.
        yield from (separated(each.module, each.node.body[0]) for each in asking.values())
        if "filename" in arrival.parts:
            how, needs = ("secure_filename({})", "from werkzeug.utils import secure_filename") if flask else ("os.path.basename({})", "import os")
            yield plain_name(module, call, arrival.risky, how, needs)
        status, text = (404, "Not found") if reading else (400, "Invalid file name")
        yield kept(module, call, arrival.risky, _holds(arrival), status, text)

    def first(arrival: Arrival) -> Draft | Unmended:
        drafts = [each for each in offer(arrival, arrival.node) if not isinstance(each, Sheet)]
        return next((each for each in drafts if isinstance(each, Draft)), drafts[-1])

    found = flows.arrivals(finding, blueprint, sources, sinks.PATH)
    if len({each.place for each in found}) > 1:
        made = _together(found, sources, first, []).patch(finding.id, f"Keep the path below its folder in {finding.route}"[:100])
        if not isinstance(made, Unmended):
            yield made
    yield from _offered(finding, blueprint, sources, sinks.PATH, f"Keep the path below its folder in {finding.route}", _PATH, offer)


def host(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Addresses of the server's own network refused before they are asked."""
    redirect = finding.evidence is not None and bool(finding.evidence.fact("redirect"))
    found = flows.arrivals(finding, blueprint, sources, sinks.HOST)

    def offer(arrival: Arrival, call: ast.AST) -> Iterator[Change]:
        module = arrival.place.module
        if redirect:
            yield unredirected(module, call)
            return
        draft = public(module, call, arrival.risky, 400, "This address is not allowed")
        for onward in [made for each in found if each.place.module is module and isinstance(made := unredirected(module, each.node), Draft)]:
            draft = _joined(draft, onward) if isinstance(draft, Draft) else draft
        yield draft
        yield public(module, call, arrival.risky, 400, "This address is not allowed")

    notes = (
        "A list of the hosts that are meant would be stricter. " + ("Names" if redirect else "Redirects that the client follows, and names")
        + " that resolve otherwise a moment later are not looked at again.",
    )  # fmt: skip
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
            draft = safe_yaml(module, call)
            yield from _answered(draft if isinstance(draft, Unmended) else _sheet(sources, draft), call, "yaml.YAMLError", module)
        elif name == "eval":
            ways = [_literals(module, call, sources), _arithmetic(module, call, blueprint, sources)]
            for way in reversed(ways) if _sums(finding) else ways:
                yield from way
        else:
            yield rendered(module, call, arrival.risky, _holds(arrival))

    yield from _offered(finding, blueprint, sources, sinks.CODE, f"Read the value as a value in {finding.route}", _CODE, offer)


def _sums(finding: Finding) -> bool:
    """Whether the honest value is a number or a sum: then clients send sums."""
    calls = finding.proof.experiment.trials["control"].calls if finding.proof else ()
    field = finding.evidence.fact("field") if finding.evidence else ""
    for text in (values.honest(each) for call in calls[-1:] for each in call.arguments if named(each) == field):
        try:
            body = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            continue
        return isinstance(body, ast.BinOp | ast.UnaryOp) or (isinstance(body, ast.Constant) and isinstance(body.value, int | float))
    return False


def _literals(module: Module, call: ast.Call, sources: Mapping[str, str]) -> Iterator[Change]:
    """`ast.literal_eval` in the place of `eval`."""
    draft = literal(module, call)
    yield from _answered(draft if isinstance(draft, Unmended) else _sheet(sources, draft), call, "(ValueError, SyntaxError)", module)


def _arithmetic(module: Module, call: ast.Call, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Change]:
    """A module of the project's own that works out arithmetic, in the place of `eval`."""
    home = (PurePosixPath(module.file).parent / "arithmetic.py").as_posix()
    if sources.get(home, ARITHMETIC) != ARITHMETIC:
        yield Unmended("the project has a module of the name that this mend would give its own")
        return
    try:
        name, needed = imported(module, home, blueprint.entry)
    except UnmendableError as error:
        yield Unmended(error.message)
        return
    draft = arithmetic(module, call, f"{name}.worked_out")
    if isinstance(draft, Unmended):
        yield draft
        return
    sheet = _sheet(sources, draft + needed)
    sheet.add(home, ARITHMETIC)
    yield from _answered(sheet, call, "(ValueError, SyntaxError, ArithmeticError)", module)


def _sheet(sources: Mapping[str, str], draft: Draft) -> Sheet:
    sheet = Sheet(sources)
    sheet.put(draft)
    return sheet


def _answered(sheet: Sheet | Unmended, call: ast.Call, error: str, module: Module) -> Iterator[Change]:
    """The change with a refusal of what the new reader refuses, then the change alone."""
    if isinstance(sheet, Sheet):
        try:
            now = sheet.module(module.file)
            moved = len(now.text.splitlines()) - len(module.text.splitlines())
            more = Sheet(sheet.sources, dict(sheet.now))
            if not more.put(answer(now, call.lineno + moved, error, 400, "Invalid value")):
                yield more
        except UnmendableError:
            pass
    yield sheet


def redirect(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Only paths of this site."""
    def offer(arrival: Arrival, call: ast.AST) -> Iterator[Change]:
        yield relative(arrival.place.module, call, arrival.risky)

    yield from _offered(finding, blueprint, sources, sinks.REDIRECT, f"Stay on this site in {finding.route}", _REDIRECT, offer)


def page(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The value escaped wherever it enters the page; autoescape switched on where Jinja is used without Flask."""
    shown = finding.evidence.fact("page") if finding.evidence else ""
    if finding.evidence is not None and finding.evidence.fact("file"):
        yield from _in_sandbox(finding, blueprint, sources, shown)
        return
    found = flows.arrivals(finding, blueprint, sources, sinks.PAGE)
    written = _in_templates(finding, blueprint, sources, shown)
    if written is not None:
        yield written
    if not found:
        yield Unmended(f"a template puts it into {shown or 'the page'}, and only Python is mended", _PAGE)
        return
    pages = flows.arrivals(finding, blueprint, sources, sinks.PAGE, everywhere=True)
    meant = next((each for each in found if _is_page_itself(each)), None)
    if meant is not None:
        yield from (each for each in _in_sandbox(finding, blueprint, sources, shown) if not isinstance(each, Unmended))
        yield Unmended(f"{shown or finding.route} answers with the whole of what was stored, as a page: markup is what it is for", _MARKUP)
        return
    reasons: list[str] = []
    for several in (pages, found) if len(pages) > len(found) else (found,):
        made = _together(several, sources, _unmarked, reasons).patch(finding.id, f"Escape the value in the page of {shown or finding.route}"[:100])
        if not isinstance(made, Unmended):
            yield made
    yield Unmended(reasons[0] if reasons else _UNSEEN, _PAGE)


def _in_templates(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], shown: str) -> Patch | None:
    """`|safe` taken from the value in the templates that the page is rendered from; None where they hold none."""
    calls = [call for each in handlers(blueprint, sources) if each.route.id == (shown or finding.route) for place in each.reach for call in ast.walk(place.node) if isinstance(call, ast.Call)]
    calls = [call for call in calls if dotted(call.func).rpartition(".")[2] in _RENDERS or getattr(call.func, "attr", "") in _RENDERS]
    given = [each for call in calls for each in (*call.args, *(word.value for word in call.keywords))]
    names = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    meant = {each.arg for call in calls for each in call.keywords if each.arg and _MAKES_HTML.search(ast.unparse(each.value))}
    bound = [each for one in handlers(blueprint, sources) if one.route.id == (shown or finding.route) for each in ast.walk(one.home.node) if isinstance(each, ast.Assign)]
    meant |= {dotted(target) for each in bound for target in each.targets if _MAKES_HTML.search(ast.unparse(each.value))}
    texts = dict(blueprint.templates)
    evidence = finding.evidence
    columns = [each for each in dict.fromkeys([evidence.fact("field"), *evidence.fact("columns").split(",")]) if each] if evidence else []
    changes = [FileChange(file, texts[file], as_text(texts[file], columns, meant)) for file in rendered_files(names, texts)]
    changes = [each for each in changes if each.before != each.after]
    return Patch(finding.id, tuple(changes), f"Show the value as text in the page of {shown or finding.route}"[:100], _ESCAPED) if changes else None


def _in_sandbox(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], shown: str) -> Iterator[Patch | Unmended]:
    """What a route answers of somebody's own, shown where nothing of it runs."""
    reasons, drafts = [], []
    for each in handlers(blueprint, sources):
        module = each.home.module
        returns = [one for one in ast.walk(each.home.node) if isinstance(one, ast.Return) and _gives(module, one)]
        for one in returns if each.route.id == shown else ():
            made = sandboxed(module, one)
            if isinstance(made, Unmended):
                reasons.append(made.reason)
            else:
                drafts.append(made)
    sheet = Sheet(sources)
    if drafts:
        sheet.put(reduce(_joined, drafts))
    made_of_all = sheet.patch(finding.id, f"Show what others stored in a sandbox in {shown}"[:100], _SANDBOX)
    yield made_of_all if not isinstance(made_of_all, Unmended) else Unmended(reasons[0] if reasons else _UNSEEN, _MARKUP)


def _gives(module: Module, statement: ast.Return) -> bool:
    """Whether a `return` answers more than a text that stands there."""
    made = answered(module, statement)
    if made is not None:
        return not (made.args and isinstance(made.args[0], ast.Constant))
    text = statement.value.elts[0] if isinstance(statement.value, ast.Tuple) and statement.value.elts else statement.value
    return text is not None and bare(module, statement, text)


def _together(found: list[Arrival], sources: Mapping[str, str], mended: Callable[[Arrival], Draft | Unmended], reasons: list[str]) -> Sheet:
    """The edits for all arrivals; why one is left alone goes to `reasons`."""
    sheet = Sheet(sources)
    for file in dict.fromkeys(each.place.module.file for each in found):
        draft: Draft | None = None
        for each in (one for one in found if one.place.module.file == file):
            made = mended(each)
            if isinstance(made, Unmended):
                reasons.append(made.reason)
            else:
                draft = made if draft is None else _joined(draft, made)
        if draft is not None:
            sheet.put(draft)
    return sheet


def _joined(draft: Draft, other: Draft) -> Draft:
    """Both drafts' edits, those that both have once."""
    return draft + replace(other, edits=tuple(each for each in other.edits if each not in draft.edits))


def _unmarked(arrival: Arrival) -> Draft | Unmended:
    """One arrival's value as text of the page."""
    module, node = arrival.place.module, arrival.node
    if isinstance(node, ast.Call):
        made = sinks.unescaped(module, node)
        if made is not None:
            return autoescaped(module, made, node)
        if module.resolve(node.func) == "flask.render_template_string":
            draft = rendered(module, node, arrival.risky, _holds(arrival))
            if not isinstance(draft, Unmended):
                return draft
    return escaped(module, node, arrival.risky, _holds(arrival), _is_text(arrival))


def _is_page_itself(arrival: Arrival) -> bool:
    """Whether a handler answers a column as it stands, and says that it is HTML: by its name, or by the kind of the answer."""
    module, place = arrival.place.module, arrival.place.node
    if not bare(module, arrival.node, arrival.risky):
        return False
    said = [each.value for each in ast.walk(place) if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.startswith("text/html")]
    return bool(said) or isinstance(arrival.node, ast.Call) or any(_HTML.search(each) for each in arrival.parts)
