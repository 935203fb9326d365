"""Owns the words that let a token be checked and end, and a code be drawn at random."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import replace, use
from toughen.codemod.module import dotted, halt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.module import Module

_HOUR = 3600


@word
def honoured(module: Module, call: ast.Call, key: str, algorithms: str) -> Draft:
    """Let a call that reads a token check its signature.

    Shapes: `options={"verify_signature": False}` (also behind a name of the file) and `verify=False` turned on;
    `get_unverified_claims(token)` becomes `decode`; `none` goes from the list of algorithms. `key` and `algorithms` are
    written where the call lacks them; refuses where they are needed and not known.
    """
    if not call.args:
        halt("the token is given by name")
    name = module.segment(call.func)
    if name.endswith("get_unverified_claims"):
        if not key:
            halt("no key is seen that tokens are signed with")
        return replace(module, call, f"{name.removesuffix('get_unverified_claims')}decode({module.segment(call.args[0])}, {key}, algorithms={algorithms})")
    lacks_key = len(call.args) < 2 and not any(each.arg == "key" for each in call.keywords)  # noqa: PLR2004 - the token, the key
    lacks_list = len(call.args) < 3 and not any(each.arg == "algorithms" for each in call.keywords)  # noqa: PLR2004
    kept: list[str] = []
    changed = Draft(module)
    for each in call.keywords:
        text = module.segment(each)
        match each:
            case ast.keyword(arg="verify"):
                continue
            case ast.keyword(arg="options", value=ast.Dict(keys=keys, values=values)):
                left = [(one, value) for one, value in zip(keys, values, strict=True) if not (isinstance(one, ast.Constant) and one.value == "verify_signature")]
                named = next((value for one, value in zip(keys, values, strict=True) if isinstance(one, ast.Constant) and one.value == "verify_signature" and isinstance(value, ast.Name)), None)
                if named is not None:
                    changed += _turned_on(module, named.id)
                elif not left:
                    continue
                elif len(left) < len(keys):
                    text = "options={" + ", ".join(f"{module.segment(one) if one else '**'}{': ' if one else ''}{module.segment(value)}" for one, value in left) + "}"
            case ast.keyword(arg="algorithms", value=ast.List(elts=parts)):
                text = "algorithms=[" + ", ".join(module.segment(one) for one in parts if not (isinstance(one, ast.Constant) and str(one.value).lower() == "none")) + "]"
        kept.append(text)
    if (lacks_key and not key) or (lacks_list and not algorithms):
        halt("no key is seen that tokens are signed with")
    given = [*map(module.segment, call.args[:1]), *([key] if lacks_key else map(module.segment, call.args[1:])), *([f"algorithms={algorithms}"] if lacks_list else []), *kept]
    whole = f"{name}({', '.join(given)})"
    return changed if whole == module.segment(call) or (changed.edits and not lacks_key and not lacks_list) else changed + replace(module, call, whole)


def _turned_on(module: Module, name: str) -> Draft:
    for each in module.tree.body:
        if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets) and isinstance(each.value, ast.Constant) and each.value.value is False:
            return replace(module, each.value, "True")
    return halt(f"{name} is bound elsewhere")


@word
def ending(module: Module, call: ast.Call, hours: int) -> Draft:
    """Add `exp` to what a token says: to the dictionary that is written in the call, or around the expression. Refuses one that is there."""
    given = call.args[0]
    if any(isinstance(each, ast.Constant) and each.value == "exp" for each in ast.walk(given)):
        halt("the token says when it ends already")
    text = f"{module.literal('exp')}: int(time.time()) + {hours} * {_HOUR}"
    draft = use(module, "import time")
    if isinstance(given, ast.Dict) and given.keys:
        last = module.span(given.values[-1]).end
        return draft + Draft(module, (Edit(last, last, f", {text}"),))
    return draft + replace(module, given, f"{{**{module.segment(given)}, {text}}}")


def spelled(*, number: bool) -> str:
    """Eight digits drawn at random, as an expression."""
    return "secrets.randbelow(9 * 10**7) + 10**7" if number else 'f"{secrets.randbelow(10**8):08d}"'


@word
def drawn(module: Module, values: Sequence[ast.expr], text: str) -> Draft:
    """Another expression where a code is made."""
    draft = use(module, "import secrets")
    for each in values:
        draft += replace(module, each, text.replace('"', module.quote))
    return draft

