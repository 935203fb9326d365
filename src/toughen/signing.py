"""Owns tokens and codes as a source makes and checks them: where a signature is not asked for, what never ends, what can be guessed, and the repairs."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.boundary import Sheet
from toughen.codemod import Draft, UnmendableError
from toughen.codemod.module import dotted, scope_of
from toughen.codemod.tokens import drawn, ending, honoured, spelled
from toughen.disclosure import PASSWORD, kind
from toughen.doors import carries_right
from toughen.handling import Place, called, calls_of, handlers
from toughen.model.patch import Unmended
from toughen.touches import rows
from toughen.twists import users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.codemod.module import Module
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.patch import Patch

_LIBRARIES = ("jwt.", "jose.jwt.", "jose.jws.", "authlib.jose.")
_CHANCE = re.compile(r"\brandom\.(randint|randrange|choices?|random|sample|getrandbits)|\btime\.time\(|\.timestamp\(\)|\bhashlib\.(md5|sha1|sha256)|\buuid\.?1\(|\brandint\(|\brandrange\(|b64encode\(")
_RESET = re.compile(r"reset|forgot|recover|new-?password|change-?password|password", re.IGNORECASE)
_DAY = 24
_SIGNATURE = "Let `jwt.decode` check the signature: with the key, and with the algorithms that you sign with written out."
_EXPIRY = "Give tokens an `exp` of minutes or hours, and what must last longer a refresh token that can be taken back."
_CODE = "Draw codes with `secrets`, long enough that nobody guesses them, let them end after some minutes, and after five wrong tries."
_PROOF = "Change a password only for somebody who proves that it is his: by the old one, or by a code that was sent to him and that this request checks."
_KEY = "Choose a key of 32 random bytes (`python -c 'import secrets; print(secrets.token_hex(32))'`) and keep it out of the repository; all tokens end with the old one."
_DEEP = 3


@dataclass(frozen=True, slots=True)
class Decoding:
    """A call that reads a token."""

    place: Place
    call: ast.Call
    why: str
    """What it leaves out, in words; "" where it checks."""


# -- signatures --------------------------------------------------------------------------------------------------------


def decodings(module: Module, root: ast.AST, place: Place) -> Iterator[Decoding]:
    """Calls that read tokens below a node."""
    for node in ast.walk(root):
        if not isinstance(node, ast.Call):
            continue
        name = module.resolve(node.func)
        if not name.startswith(_LIBRARIES):
            continue
        last = name.rpartition(".")[2]
        if last == "get_unverified_claims":
            yield Decoding(place, node, "it reads what a token says without its signature")
        elif last == "decode":
            yield Decoding(place, node, _unchecked(module, node))


def _unchecked(module: Module, call: ast.Call) -> str:
    for word in call.keywords:
        if word.arg == "verify" and isinstance(word.value, ast.Constant) and word.value.value is False:
            return "it reads a token without checking its signature"
        if word.arg == "options" and isinstance(word.value, ast.Dict):
            for key, value in zip(word.value.keys, word.value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "verify_signature" and _false(module, value):
                    return "it reads a token without checking its signature"
        if word.arg == "algorithms" and any(isinstance(each, ast.Constant) and str(each.value).lower() == "none" for each in ast.walk(word.value)):
            return "it takes tokens that say `alg: none`"
    return ""


def _false(module: Module, value: ast.expr) -> bool:
    """False, or a name of the file that is bound to it."""
    if isinstance(value, ast.Name):
        bound = [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == value.id for target in each.targets)]
        return bool(bound) and _false(module, bound[-1])
    return isinstance(value, ast.Constant) and value.value is False


def asked(handler: Handler) -> list[Place]:
    """The handler, what it calls, and the functions that its guards are, with what those call."""
    found = {id(each.node): each for each in handler.reach}
    names = {word for guard in handler.route.guards for word in re.findall(r"\w+", guard.name)}
    found |= {id(node): Place(module, node) for module in handler.project for node in module.functions if node.name in names}
    for _ in range(_DEEP):
        more: dict[int, Place] = {}
        for place in list(found.values()):
            inner = [Place(place.module, each) for each in ast.walk(place.node) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            known = [each for one in (place, *inner) for call in calls_of(one.node) if (each := called(one, call, handler.project)) is not None]
            # What is depended on is called as well: `Depends(verify)`.
            depended = {each.id for each in ast.walk(place.node.args) if isinstance(each, ast.Name)}
            known += [Place(module, node) for module in handler.project for node in module.functions if node.name in depended]
            more |= {id(each.node): each for each in known if id(each.node) not in found}
        if not more:
            break
        found |= more
    return list(found.values())


# -- ends --------------------------------------------------------------------------------------------------------------


def encodings(places: Sequence[Place]) -> Iterator[tuple[Place, ast.Call]]:
    """Calls that make a token."""
    for place in places:
        for node in scope_of(place.node):
            if isinstance(node, ast.Call) and (name := place.module.resolve(node.func)).startswith(_LIBRARIES) and name.endswith(".encode") and node.args:
                yield place, node


def _ends(place: Place) -> bool:
    """Whether a function says when its token ends; a comment says nothing."""
    for node in ast.walk(place.node):
        match node:
            case ast.Constant(value="exp") | ast.keyword(arg="exp"):
                return True
            case ast.Name(id=name) | ast.keyword(arg=str() as name) | ast.arg(arg=name) if re.search(r"expires?(_|$)|expiration", name, re.IGNORECASE):
                return True
    return False


# -- codes -------------------------------------------------------------------------------------------------------------


def drawings(place: Place, column: str = "") -> list[ast.expr]:
    """Expressions that make a code by chance or by the clock, on their way to a name that carries one."""
    found = []
    for node in scope_of(place.node):
        match node:
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                name = target.attr if isinstance(target, ast.Attribute) else dotted(target)
            case ast.keyword(arg=str() as name, value=value):
                pass
            case _:
                continue
        if _CHANCE.search(place.module.segment(value)) and (name == column or kind(name) == "code" or carries_right(name) or re.search(r"(^|_)(pin|otp|code|token)(_|$)", name)):
            found.append(value)
    return found


# -- suspicions --------------------------------------------------------------------------------------------------------


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """One suspicion a route: what its guard, its log-in or its code leaves out."""
    for handler in handlers(blueprint, sources):
        try:
            found = next(_signs(handler), None)
        except (RecursionError, UnmendableError):
            continue
        if found is not None:
            place, line, text = found
            yield handler.suspicion(break_id, line, text, place)


def _signs(handler: Handler) -> Iterator[tuple[Place, int, str]]:
    for place in asked(handler):
        for each in decodings(place.module, place.node, place):
            if each.why:
                yield place, each.call.lineno, each.why
    for place, call in encodings(handler.reach):
        if not _ends(place) and handler.route.method == "POST" and any(PASSWORD.search(each.name) for each in handler.route.parameters):
            yield place, call.lineno, "it hands out a token that never ends"
    for place in handler.reach:
        for value in drawings(place):
            yield place, value.lineno, "it makes a code that can be guessed"
    if _asks_nothing(handler):
        yield handler.home, handler.home.node.lineno, "it changes a password and asks nobody whose it is"


def _asks_nothing(handler: Handler) -> bool:
    route, table = handler.route, users(handler.blueprint)
    names = {each.name for each in route.parameters}
    if table is None or route.guards or route.method == "GET" or not _RESET.search(route.path) or not names or any(carries_right(each) for each in names):
        return False
    given = {each for each in names if re.search(r"password|passwd|pwd", each, re.IGNORECASE)}
    naming = {each for each in names - given if table.column(each) is not None and kind(each) not in {"password", "code"}}
    if not given or not naming or names - given - naming or any(re.search(r"old|current", each, re.IGNORECASE) for each in given):
        return False
    return any(each.table == table.name.lower() and each.verb == "update" and any(PASSWORD.search(column) for column in each.columns) for one in rows(handler) for each in one.touches)


# -- mends -------------------------------------------------------------------------------------------------------------


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The repair of what the proof showed."""
    evidence = finding.evidence
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == finding.route), None)
    if evidence is None:
        return
    if handler is None:
        yield Unmended("the handler of this route is not in the project's own source", _SIGNATURE)
        return
    match evidence.fact("kind"):
        case "signature":
            yield from _signature(finding, handler, sources)
        case "expiry":
            yield from _expiry(finding, handler, sources)
        case "code":
            yield from _code(finding, handler, blueprint, sources)
        case "signed":
            yield Unmended("the key comes from outside of the source", _KEY)
        case _:
            yield Unmended("what proves that the account is the asker's is for you to say", _PROOF)


def _made(finding: Finding, sources: Mapping[str, str], summary: str, drafts: Sequence[Draft | Unmended], note: str = "") -> Patch | Unmended:
    sheet = Sheet(sources)
    for each in drafts:
        try:
            reason = sheet.put(each)
        except UnmendableError as error:
            reason = error.message
        if reason:
            return Unmended(reason)
    return sheet.patch(finding.id, summary[:100], *([note] if note else []))


def _signature(finding: Finding, handler: Handler, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Every unchecked reading on the way, checked by the key and the algorithm that tokens are made with."""
    found = {id(each.call): each for place in asked(handler) for each in decodings(place.module, place.node, place) if each.why}
    reasons = []
    drafts: list[Draft | Unmended] = []
    for each in found.values():
        module = each.place.module
        key, algorithms = _signed_with(module, each.call, handler.project)
        draft = honoured(module, each.call, key, algorithms)
        drafts.append(draft)
        if isinstance(draft, Unmended):
            reasons.append(draft.reason)
    for group in _by_module([each for each in drafts if isinstance(each, Draft)]):
        for answered in (True, False):
            made = _made(finding, sources, f"Check the signature of tokens at {finding.route}", [_answered(group, found) if answered else group])
            if isinstance(made, Unmended):
                reasons.append(made.reason)
            else:
                yield made
    yield Unmended(reasons[0] if reasons else "where the token's signature is passed over is not seen in the source", _SIGNATURE)


def _by_module(drafts: list[Draft]) -> list[Draft]:
    whole: dict[str, Draft] = {}
    for each in drafts:
        whole[each.module.file] = whole[each.module.file] + each if each.module.file in whole else each
    return list(whole.values())


def _answered(draft: Draft, found: Mapping[int, Decoding]) -> Draft | Unmended:
    """The draft, where something answers what the check raises; else why nothing does."""
    for each in found.values():
        if each.place.module.file == draft.module.file and not any(isinstance(above, ast.Try) for above in draft.module.ancestors(each.call)):
            return Unmended("nothing answers a token that is refused")
    return draft


def _signed_with(module: Module, call: ast.Call, project: Sequence[Module]) -> tuple[str, str]:
    """(key, list of algorithms) as the project writes them: of this call, of another reading of the file, of what makes tokens."""
    key = module.segment(call.args[1]) if len(call.args) > 1 else next((module.segment(word.value) for word in call.keywords if word.arg == "key"), "")
    listed = next((module.segment(word.value) for word in call.keywords if word.arg == "algorithms"), "")
    for home in (module, *project):
        for node in ast.walk(home.tree):
            if not isinstance(node, ast.Call) or node is call or not (name := home.resolve(node.func)).startswith(_LIBRARIES):
                continue
            given = node.args[1] if len(node.args) > 1 else next((word.value for word in node.keywords if word.arg == "key"), None)
            if name.endswith((".encode", ".decode")) and given is not None and not key and _is_known(module, home, given):
                key = home.segment(given)
            for word in node.keywords:
                if name.endswith(".encode") and word.arg == "algorithm" and not listed and _is_known(module, home, word.value):
                    listed = f"[{home.segment(word.value)}]"
                if name.endswith(".decode") and word.arg == "algorithms" and not listed and "none" not in home.segment(word.value).lower() and _is_known(module, home, word.value):
                    listed = home.segment(word.value)
    return key, listed or ("[" + module.literal("HS256") + "]" if key else "")


def _is_known(module: Module, home: Module, node: ast.expr) -> bool:
    """Whether an expression of one file means the same in another: the names that it reads are there."""
    heads = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return home is module or all(each in module.globals and (each not in home.imports or module.imports.get(each) == home.imports[each]) for each in heads)


def _expiry(finding: Finding, handler: Handler, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """An end for the tokens that log-in hands out."""
    found = [(place, call) for place, call in encodings(handler.reach) if not _ends(place)]
    reasons = []
    for place, call in found:
        made = _made(finding, sources, f"Let the tokens of {finding.route} end after a day", [ending(place.module, call, _DAY)], "Whoever holds a token of before keeps it; clients log in again once a day.")
        if isinstance(made, Unmended):
            reasons.append(made.reason)
        else:
            yield made
    yield Unmended(reasons[0] if reasons else "where the token is made is not seen in the source", _EXPIRY)


def _code(finding: Finding, handler: Handler, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A code that is drawn: digits where it was digits, else a random text."""
    evidence = finding.evidence
    assert evidence is not None
    table = blueprint.table(evidence.fact("table"))
    column = table.column(evidence.fact("column")) if table else None
    room = (column.max_length if column else None) or 255
    number = column is not None and column.type == "integer"
    digits = evidence.fact("value").isdigit()
    texts = [text for text, length in ((spelled(number=number), 8), ("secrets.token_urlsafe(16)", 22)) if length <= room and (digits or length > 8) and (not number or length == 8)]  # noqa: PLR2004
    reasons = []
    for place in handler.reach:
        values = drawings(place, evidence.fact("column"))
        for text in texts if values else ():
            made = _made(finding, sources, f"Draw {evidence.fact('column')} at random in {finding.route}", [drawn(place.module, values, text)])
            if isinstance(made, Unmended):
                reasons.append(made.reason)
            else:
                yield made
    yield Unmended(reasons[0] if reasons else f"where {evidence.fact('column')} is made is not seen in the source", _CODE)

