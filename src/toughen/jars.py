"""Owns where a prototype's source sets its cookies, and the attributes that keep one from scripts and from other sites."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft
from toughen.codemod.mechanics import after, argument, replace
from toughen.codemod.module import UnmendableError, dotted
from toughen.handling import parsed, within
from toughen.model.finding import Suspicion
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.model.source import Location
from toughen.origins import sites

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import Module
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding

_TEST = re.compile(r"(?:^|/)(?:tests?|fixtures|conftest|test_[^/]*|[^/]*_test)(?:/|\.py$)")
_SESSION = re.compile(r"sess|token|auth|jwt|(^|_)sid$|login|remember|refresh|user_?id|credential", re.IGNORECASE)
_READABLE = re.compile(r"csrf|xsrf|theme|lang|locale|consent|pref|cart", re.IGNORECASE)
"""Cookies that a page's own script is meant to read."""
_FLASKS = "session"
"""Flask's own, as long as nobody gives it another name."""
_BRIEF = "Set the cookie with HttpOnly and SameSite=Lax (Strict where nobody comes from another site), and with Secure wherever it is served over https."


@dataclass(frozen=True, slots=True)
class Setting:
    """One call that sets a cookie."""

    module: Module
    call: ast.Call
    name: str

    def given(self, name: str) -> ast.expr | None:
        """The value of a keyword."""
        return next((each.value for each in self.call.keywords if each.arg == name), None)

    def off(self, name: str) -> bool:
        """Whether an attribute is left out, or turned off."""
        value = self.given(name)
        return value is None or (isinstance(value, ast.Constant) and not value.value)


def settings(sources: Mapping[str, str]) -> Iterator[Setting]:
    """Every `set_cookie` of the project's own code."""
    for file, module in parsed(sources).items():
        for node in ast.walk(module.tree) if "set_cookie" in module.text and not _TEST.search(file) else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "set_cookie" and not any(each.arg is None for each in node.keywords):
                named = node.args[0] if node.args else next((each.value for each in node.keywords if each.arg == "key"), None)
                yield Setting(module, node, _text(module, named))


def _text(module: Module, node: ast.expr | None) -> str:
    """A text, through a constant of the file; "" for anything else."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name):
            bound = [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets)]
            return _text(module, bound[0]) if len(bound) == 1 and not isinstance(bound[0], ast.Name) else ""
    return ""


def configured(sources: Mapping[str, str], option: str) -> Iterator[tuple[Module, ast.expr]]:
    """(module, value) wherever a configuration option of Flask's is set: an item, a keyword of `update`, a class's attribute."""
    for file, module in parsed(sources).items():
        if option not in module.text or _TEST.search(file):
            continue
        for node in ast.walk(module.tree):
            match node:
                case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=key))], value=value) if key == option:
                    yield module, value
                case ast.Assign(targets=[ast.Name(id=key)], value=value) | ast.keyword(arg=key, value=value) if key == option:
                    yield module, value
                case ast.Dict(keys=keys, values=values):
                    yield from ((module, value) for key, value in zip(keys, values, strict=True) if isinstance(key, ast.Constant) and key.value == option)


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Session cookies that are set without HttpOnly, or told to go without it; Secure that is turned off by hand."""
    sources = _own(blueprint, sources)
    for each in settings(sources):
        if _SESSION.search(each.name) and not _READABLE.search(each.name) and each.off("httponly"):
            yield Suspicion(break_id, None, Location(each.module.file, each.call.lineno, None), f"the cookie {each.name} is set without HttpOnly")
    for option, says in (("SESSION_COOKIE_HTTPONLY", "the session's cookie is set without HttpOnly"), ("SESSION_COOKIE_SECURE", "the session's cookie is told to go over plain http as well")):
        for module, value in configured(sources, option):
            inside = any(isinstance(above, ast.ClassDef) and re.search(r"dev|test|local", above.name, re.IGNORECASE) for above in module.ancestors(value))
            if isinstance(value, ast.Constant) and value.value is False and not inside:
                yield Suspicion(break_id, None, Location(module.file, value.lineno, None), says)


def _own(blueprint: Blueprint, sources: Mapping[str, str]) -> Mapping[str, str]:
    """What the entry is made of."""
    own = within(blueprint.entry, sources)
    return {file: text for file, text in sources.items() if file in own}


def place_of(blueprint: Blueprint, sources: Mapping[str, str], name: str) -> tuple[tuple[str, str], ...]:
    """Facts for `judge`: the file and line where a cookie of that name is set, or told to go without an attribute."""
    sources = _own(blueprint, sources)
    found = [(each.module.file, each.call.lineno) for each in settings(sources) if each.name == name]
    found += [(module.file, value.lineno) for option in ("SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SAMESITE") for module, value in configured(sources, option)]
    if not found and name == _FLASKS:
        # Flask sets it unasked: the application is where it would be told how.
        made = [(module, node) for module in parsed(sources).values() for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
        found = [(module.file, node.lineno) for module, node in made if (dotted(node.func) or "").rpartition(".")[2] == "Flask" and not _TEST.search(module.file)]
    return (("file", found[0][0]), ("line", str(found[0][1]))) if found else ()


# -- the repair --------------------------------------------------------------------------------------------------------


def sealed(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """HttpOnly and SameSite at the calls that set the cookie, or in the configuration of Flask's session."""
    sources = _own(blueprint, sources)
    name = finding.evidence.fact("cookie") if finding.evidence else ""
    own = [each for each in settings(sources) if each.name == name]
    if _sent_abroad(sources) and sites(blueprint, sources):
        yield Unmended("the cookie is meant to go along with other sites' requests", _BRIEF + " Where another site's page is your own, keep SameSite=None and ask for a token against forgery.")
        return
    try:
        drafts = _set(own) if own else _session(sources)
    except UnmendableError as error:
        yield Unmended(error.message, _BRIEF)
        return
    if not drafts:
        yield Unmended(f"where the cookie {name} is set is not seen in the source", _BRIEF)
        return
    changes = tuple(FileChange(draft.module.file, draft.module.text, draft.done()) for _, draft in sorted(drafts.items()))
    note = "Where the prototype is served over https, the cookie wants Secure as well. A page's own script can no longer read it."
    yield Patch(finding.id, changes, f"Keep the cookie {name} from scripts and from other sites' requests", note)


def _sent_abroad(sources: Mapping[str, str]) -> bool:
    """Whether the source asks for SameSite=None by name."""
    return any(re.search(r"same_?site\w*[\"']?\]?\s*[=:]\s*[\"']none[\"']", text, re.IGNORECASE) for text in sources.values())


def _set(found: list[Setting]) -> dict[str, Draft]:
    drafts: dict[str, Draft] = {}
    for each in found:
        module, draft = each.module, Draft(each.module)
        flask = any(origin.partition(".")[0] == "flask" for origin in module.imports.values())
        missing = []
        for name, value in (("httponly", "True"), ("samesite", module.literal("Lax"))):
            given = each.given(name)
            if given is None and (name == "httponly" or flask):
                missing.append(f"{name}={value}")
            elif given is not None and (each.off(name) or (name == "samesite" and str(getattr(given, "value", "")).lower() == "none")):
                draft += replace(module, given, value)
        if missing:
            draft += argument(module, each.call, ", ".join(missing))
        if draft.edits:
            there = drafts.get(module.file)
            drafts[module.file] = draft if there is None else there + draft
    return drafts


def _session(sources: Mapping[str, str]) -> dict[str, Draft]:
    """Flask's own session."""
    drafts: dict[str, Draft] = {}

    def add(draft: Draft) -> None:
        there = drafts.get(draft.module.file)
        drafts[draft.module.file] = draft if there is None else there + draft

    for module, value in configured(sources, "SESSION_COOKIE_HTTPONLY"):
        if isinstance(value, ast.Constant) and value.value is False:
            add(replace(module, value, "True"))
    told = list(configured(sources, "SESSION_COOKIE_SAMESITE"))
    for module, value in told:
        if isinstance(value, ast.Constant) and value.value is None:
            add(replace(module, value, module.literal("Lax")))
    for module in parsed(sources).values() if not told else ():
        for node in ast.walk(module.tree):
            match node:
                case ast.Call(args=args, func=func) if any(dotted(each).rpartition(".")[2] == "SessionMiddleware" for each in (func, *args)):
                    given = next((each.value for each in node.keywords if each.arg == "same_site"), None)
                    if isinstance(given, ast.Constant) and str(given.value).lower() == "none":
                        add(replace(module, given, module.literal("lax")))
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if dotted(func).rpartition(".")[2] == "Flask":
                    add(after(module, node, f"{name}.config[{module.literal('SESSION_COOKIE_SAMESITE')}] = {module.literal('Lax')}"))
    return drafts
