"""Owns cookies as a source sets them: which forms trust them alone, and how they are kept from other sites' pages."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.boundary import Sheet
from toughen.codemod.cookies import configured, limited
from toughen.codemod.module import dotted
from toughen.handling import handlers, parsed
from toughen.model.patch import Unmended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.patch import Patch

_ASKED = re.compile(r"csrf|xsrf|same_?site[\"'\])]*\s*[=:]\s*[\"'](lax|strict)|FlaskForm|SeaSurf|headers\.get\(\s*[\"'](origin|referer|x-requested-with)|headers\[[\"'](origin|referer)", re.IGNORECASE)
"""Words of a project that protects its forms."""
_TRUSTED = re.compile(r"\bsession\b|current_user|login_required|request\.cookies|Cookie\(")
_FORM = re.compile(r"request\.(form|values|files)|force\s*=\s*True|\bForm\(|request\.form\(\)|request\.data|get_data\(|loads\(await request\.body\(\)|loads\(request\.")
_LAX = "Lax"
_NOTE = "Browsers no longer send the cookie with requests that other sites' pages make, but for links that are followed: a page of another site of yours that posts here needs another way."
_BRIEF = "Set SameSite=Lax on the cookie that log-in sets, and put a token into the forms (Flask-WTF's CSRFProtect does both sides)."
_GET = "Change nothing by GET: links are followed by other sites, by previews and by crawlers. Take POST, with a token in its form."


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Routes that take a form, or a body of any type, from whoever a cookie names, where no file asks for more."""
    if any(_ASKED.search(text) for text in sources.values()):
        return
    for handler in handlers(blueprint, sources):
        texts = [place.module.segment(place.node) for place in handler.reach]
        trusted = any(_TRUSTED.search(text) for text in texts) or any(_TRUSTED.search(guard.name) or _cookie(handler.project, guard.name) for guard in handler.route.guards)
        door = re.search(r"log-?in|sign-?_?(in|up)|register|log-?out", handler.route.path, re.IGNORECASE)
        if handler.route.method == "POST" and trusted and not door and any(_FORM.search(text) for text in texts):
            yield handler.suspicion(break_id, handler.home.node.lineno, "it takes a form from whoever the cookie names, and asks for no token")


def _cookie(project: tuple[Module, ...], guard: str) -> bool:
    """Whether a guard reads a cookie."""
    names = set(re.findall(r"\w+", guard))
    return any(node.name in names and _TRUSTED.search(module.segment(node)) for module in project for node in module.functions)


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The attribute where the cookie is set by hand, else in the settings of the application whose session it is."""
    evidence = finding.evidence
    if evidence is None:
        return
    if evidence.fact("method") == "GET":
        yield Unmended("it changes rows by GET, which no attribute of a cookie protects as links need it", _GET)
        return
    names = [each for each in evidence.fact("cookies").split(",") if each]
    reasons = []
    for drafts in (_by_hand(names, sources), _by_setting(names, blueprint, sources)):
        sheet = Sheet(sources)
        said = [reason for each in drafts if (reason := sheet.put(each))]
        made = sheet.patch(finding.id, f"Keep {', '.join(names)} from other sites' pages"[:100], _NOTE) if drafts else Unmended("")
        if isinstance(made, Unmended):
            reasons += said
        else:
            yield made
    yield Unmended(reasons[0] if reasons else f"where {', '.join(names)} is set is not seen in the source", _BRIEF)


def _by_hand(names: list[str], sources: Mapping[str, str]) -> list[Draft | Unmended]:
    """`response.set_cookie("token", ...)`: one draft a file."""
    found: list[Draft | Unmended] = []
    for module in parsed(sources).values():
        calls = [
            node for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "set_cookie" and _named(node, names, module)
        ]
        if calls:
            found.append(limited(module, calls, _LAX))
    return found


def _named(call: ast.Call, names: list[str], module: Module) -> bool:
    given = call.args[0] if call.args else next((each.value for each in call.keywords if each.arg == "key"), None)
    if isinstance(given, ast.Name):
        bound = [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == given.id for target in each.targets)]
        given = bound[-1] if bound else given
    return isinstance(given, ast.Constant) and given.value in names


def _by_setting(names: list[str], blueprint: Blueprint, sources: Mapping[str, str]) -> list[Draft | Unmended]:
    """The setting of the application's own session, in the file that makes the application."""
    settings = [each for name in names for each in _settings(name, sources)]
    if blueprint.framework not in {"flask", "connexion"}:
        return _by_middleware(sources)
    entry = blueprint.entry.file if blueprint.entry else ""
    for module in sorted(parsed(sources).values(), key=lambda each: each.file != entry):
        for node in ast.walk(module.tree):
            match node:
                case ast.Assign(targets=[ast.Name()], value=ast.Call(func=func)) if dotted(func).rpartition(".")[2] == "Flask":
                    return [configured(module, node, dict.fromkeys(settings, _LAX))]
    return []


def _settings(name: str, sources: Mapping[str, str]) -> list[str]:
    jwt = any("flask_jwt_extended" in text for text in sources.values())
    if jwt and re.search(r"access|refresh|token|csrf", name):
        return ["JWT_COOKIE_SAMESITE"]
    return ["REMEMBER_COOKIE_SAMESITE"] if "remember" in name else ["SESSION_COOKIE_SAMESITE"]


def _by_middleware(sources: Mapping[str, str]) -> list[Draft | Unmended]:
    """Starlette's SessionMiddleware, told `same_site="none"`."""
    for module in parsed(sources).values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and any(dotted(each).rpartition(".")[2] == "SessionMiddleware" for each in (node.func, *node.args)) and any(word.arg == "same_site" for word in node.keywords):
                return [limited(module, [node], _LAX.lower(), keyword="same_site")]
    return []
