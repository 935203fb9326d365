"""Owns what a published key is worth, and its repair: credentials that it signs for another user, and where it is read from afterwards."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from toughen import settings
from toughen.codemod.mechanics import replace
from toughen.codemod.module import UnmendableError, dotted
from toughen.forging import as_another, opened, spoiled
from toughen.handling import parsed
from toughen.model.blueprint import Place, masked
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.published import SIGNS, Text, replaced, texts, tracked
from toughen.twists import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.forging import Opened
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.model.identity import Identity
    from toughen.rule import Target

_BRIEF = "Read the key from the environment without a default, make a new one (the old one is in the repository's history for good), and log everybody out."
_SIGNERS = ("jwt.", "jose.", "itsdangerous.", "joserfc.", "authlib.")
_NAME = re.compile(r"^[A-Za-z_]\w*$")
_SHORTEST_KEY = 8
ITSELF = "the key itself"
"""What clients send where nothing is signed."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that others can read: where it stands, and its beginning."""

    name: str
    file: str
    line: int
    shown: str


@dataclass(frozen=True, slots=True)
class Forged:
    """A credential that nobody issued."""

    key: Key
    kind: str
    carried: tuple[tuple[Place, str, str], ...]
    """(header or cookie, its name, its value)."""
    unsigned: tuple[tuple[Place, str, str], ...]
    """The same under a signature that no key makes."""


def forged(target: Target, attacker: Identity, victim: Identity) -> Iterator[Forged]:
    """Credentials in the victim's name, made of the attacker's own and of keys that stand in the source and are replaced by nothing."""
    sources = target.texts()
    known: list[tuple[str, Text | tuple[str, int, str]]] = [*((each.value, each) for each in texts(sources)), *((value, (file, line, name)) for file, line, name, value in tracked(target.blueprint))]
    keys = tuple(dict.fromkeys(value for value, _ in known))
    salts = tuple(dict.fromkeys(each.value for each in texts(sources) if "salt" in each.name.lower()))
    parts = [*((Place.HEADER, name, value) for name, value in attacker.credential.headers), *((Place.COOKIE, name, value) for name, value in attacker.credential.cookies)]
    for at, (_, _, value) in enumerate(parts):
        front, _, token = value.rpartition(" ")
        found = _opened(token, keys, salts)
        key = _key(found.key, known, sources, found.kind) if found is not None else None
        if found is not None and key is not None:
            own = {name: held for name, held in attacker.row.items() if not SECRET.search(name)}
            fresh = found.sign(as_another(found.claims, own, victim.row))
            kind = found.kind
        elif len(token) >= _SHORTEST_KEY and victim.how.startswith("key in") and (key := _key(token, known, sources)) is not None:
            fresh, kind = token, ITSELF
        else:
            continue
        yield Forged(key, kind, *(tuple((where, name, f"{front} {each}".strip() if index == at else held) for index, (where, name, held) in enumerate(parts)) for each in (fresh, spoiled(fresh))))


@lru_cache(maxsize=64)
def _opened(token: str, keys: tuple[str, ...], salts: tuple[str, ...]) -> Opened | None:
    return opened(token, keys, salts)


def _key(value: str, known: list[tuple[str, Text | tuple[str, int, str]]], sources: Mapping[str, str], kind: str = "") -> Key | None:
    """Where a key stands that nothing outside of the source replaces: under a name that fits what it signs, under any name, as it is."""
    found: list[Key] = []
    for text, place in known:
        if text != value:
            continue
        if not isinstance(place, Text):
            found.append(Key(place[2], place[0], place[1], masked(value)))
        elif not replaced(place, sources):
            found.append(Key(place.name, place.module.file, place.node.lineno, masked(value)))
    if any(isinstance(place, Text) and text == value and replaced(place, sources) for text, place in known):
        # Where a copy of it is a mere default, the others may be as well.
        found = [each for each in found if each.name and re.search(r"secret|key|token", each.name, re.IGNORECASE)]
    wanted = re.compile("jwt|token" if "web token" in kind else "secret_?key|session", re.IGNORECASE)
    return next(iter(sorted(found, key=lambda each: (not each.name, not wanted.search(each.name), each.file, each.line))), None)


# -- the repair --------------------------------------------------------------------------------------------------------


def rotated(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """One variant: every copy of the key read from where the project keeps its settings."""
    evidence = finding.evidence
    if evidence is None:
        return
    if (file := evidence.fact("file")).rpartition("/")[2] == ".env":
        yield Unmended(f"the key stands in {file}, which git tracks", f"{_BRIEF} Take it out of git (`git rm --cached {file}`, a line in .gitignore) and keep a sample without values.")
        return
    if evidence.fact("kind") == ITSELF:
        yield Unmended("clients hold this very key: whoever changes it must hand out the new one", _BRIEF)
        return
    try:
        yield _read_outside(finding, blueprint, sources, evidence.fact("file"), evidence.fact("name"), int(evidence.fact("line")))
    except UnmendableError as error:
        yield Unmended(error.message, _BRIEF)


def _read_outside(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], file: str, name: str, line: int) -> Patch:
    project = parsed(sources)
    every = texts(sources)
    near = sorted((each for each in every if each.module.file == file and each.name == name and not replaced(each, sources)), key=lambda each: abs(each.node.lineno - line))
    if not near:
        message = f"the key is not where it stood in {file}"
        raise UnmendableError(message)
    value = near[0].value
    # One variable for all of them: what one file signs another may check.
    copies = [each for each in every if each.value == value and (each.node is near[0].node or (SIGNS.search(each.name) and not replaced(each, sources)) or _signs(each))]
    variable = variable_of(name or ("jwt_secret_key" if any((each.module.resolve(above.func) or "").startswith("jwt.") for each in copies if isinstance(above := each.module.parent(each.node), ast.Call)) else ""))
    drafts: dict[str, Draft] = {}
    for each in copies:
        module, node = each.module, each.node
        expression, needs = settings.read(project, module, node.lineno, variable)
        text = f"{expression}.encode()" if isinstance(each.node.value, bytes) else expression
        for draft in (replace(module, node, text), *needs):
            known = drafts.get(draft.module.file)
            if known is None or not set(draft.edits) <= set(known.edits):
                drafts[draft.module.file] = draft if known is None else known + draft
    changes = [FileChange(draft.module.file, draft.module.text, draft.done()) for _, draft in sorted(drafts.items())]
    sample = settings.sample(blueprint, variable, 'A fresh one: python -c "import secrets; print(secrets.token_urlsafe(48))"')
    note = (
        f"{variable} must be set before the prototype starts again, to a new key: the old one stays in the repository's history, and whoever has a copy signs with it. "
        "Tokens and sessions that the old one signed end with it."
    )
    return Patch(finding.id, (*changes, *((sample,) if sample else ())), f"Read {variable} from outside of the source", note, demands=(variable,))


def _signs(text: Text) -> bool:
    """Whether a text stands as it is in a call that signs or checks."""
    above = text.module.parent(text.node)
    module: Module = text.module
    return isinstance(above, ast.Call) and text.node in above.args[1:] and (module.resolve(above.func) or dotted(above.func)).startswith(_SIGNERS)


def variable_of(name: str) -> str:
    """The environment variable for what is bound to a name."""
    if not _NAME.match(name) or name.lower() in {"key", "k", "s", "secret"}:
        return "SECRET_KEY"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper().lstrip("_")
