"""Owns the words that exchange a reader of code for one of plain values, and a template's text for a variable of it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.fragments import based, gathered, holds_markup, is_gathered
from toughen.codemod.mechanics import argument, replace, use
from toughen.codemod.module import dotted, halt
from toughen.codemod.sqltext import Char, builds_text, read
from toughen.codemod.texts import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.codemod.module import Module


@word
def literal(module: Module, call: ast.Call) -> Draft:
    """`eval(text)` becomes `ast.literal_eval(text)`: numbers, texts, lists and the like, and no calls.

    Refuses calls with namespaces, and texts that the prototype puts a longer expression together with.
    """
    if dotted(call.func) != "eval" or len(call.args) != 1 or call.keywords:
        halt("it is no plain call of eval")
    _alone(module, call)
    return replace(module, call.func, "ast.literal_eval") + use(module, "import ast")


@word
def arithmetic(module: Module, call: ast.Call, function: str) -> Draft:
    """`eval(text)` becomes a call of the function that works out literals and arithmetic, and runs nothing.

    Namespaces that are empty go with it. Refuses those that give names to the expression, and texts that the prototype
    puts a longer expression together with.
    """
    if dotted(call.func) != "eval" or not call.args or call.keywords:
        halt("it is no plain call of eval")
    if not all(_empty(each) for each in call.args[1:]):
        halt("the expression may use names that the prototype gives to it")
    _alone(module, call)
    return replace(module, call, f"{function}({module.segment(call.args[0])})")


def _empty(namespace: ast.expr) -> bool:
    """Whether a namespace gives no name: `{}`, `{"__builtins__": None}`."""
    return isinstance(namespace, ast.Dict) and all(
        isinstance(key, ast.Constant) and key.value == "__builtins__" and ast.unparse(value) in {"None", "{}", "dict()"} for key, value in zip(namespace.keys, namespace.values, strict=True)
    )


def _alone(module: Module, call: ast.Call) -> None:
    """Refuse a text that is put together here: what is not is the value alone."""
    text = call.args[0]
    try:
        built = origin(module, call, text)
    except Exception:  # noqa: BLE001 - what is not put together here is the value alone
        built = text
    if builds_text(built):
        halt("the value is a part of a longer expression that the prototype evaluates")


@word
def safe_yaml(module: Module, call: ast.Call) -> Draft:
    """`yaml.load(text, Loader=...)` becomes `yaml.safe_load(text)`: plain values, and no tags that call anything."""
    name = dotted(call.func)
    head, _, last = name.rpartition(".")
    if module.resolve(call.func) not in {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"} or not head or not call.args:
        halt("it is no plain call of yaml.load")
    safe = "safe_load_all" if last.endswith("_all") else "safe_load"
    return replace(module, call, f"{head}.{safe}({module.segment(call.args[0])})")


@word
def rendered(module: Module, call: ast.Call, text: ast.expr, holds: Callable[[ast.expr], bool]) -> Draft:
    """The value becomes a variable of the template instead of a part of its text.

    Shapes: `render_template_string` with an f-string, a sum, `%` or `format`, inline or behind a local name. The other
    values of the text become variables too, since what they hold may be a template as well.
    """
    if dotted(call.func).rpartition(".")[2] != "render_template_string":
        halt("the template is not rendered where its text is given")
    built = origin(module, call, text)
    composed = read(module, built)
    taken = {each.arg for each in call.keywords}
    given: dict[str, str] = {}
    parts: list[str] = []
    for each in composed.atoms:
        if isinstance(each, Char):
            parts.append(each.value)
            continue
        if not each.plain:
            halt("a value is formatted before it enters the template")
        if not holds(each.expression) and not isinstance(each.expression, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
            halt("another part of the template is worked out in place")
        name = next((known for known, value in given.items() if value == each.text), "") or _name(each.expression, {*taken, *given} - {None})
        given[name] = each.text
        parts.append("{{ " + name + " }}")
    whole = "".join(parts)
    triple = composed.tokens[0].quote if composed.tokens and len(composed.tokens[0].quote) == 3 else ""  # noqa: PLR2004 - a triple quote
    new = triple + whole + triple if triple and triple not in whole and "\\" not in whole else module.literal(whole)
    draft = Draft(module, (Edit(module.span(built).start, module.span(built).end, new),))
    for name, value in given.items():
        draft += argument(module, call, f"{name}={value}") if call is not built and name not in taken else Draft(module)
    return draft


@word
def autoescaped(module: Module, made: ast.Call, call: ast.Call) -> Draft:
    """Switch autoescape on where Jinja's template or environment is made: `Template(text, autoescape=True)`.

    Refuses a render that is given markup on purpose, which would be shown as text then.
    """
    function = module.enclosing(call)
    names = gathered(module, function) if function is not None else frozenset()
    for each in (*call.args, *(one.value for one in call.keywords)):
        if holds_markup(each) or is_gathered(module, each, names) or based(module, each) is not None:
            halt("the template is given markup that was put together before")
    given = next((each.value for each in made.keywords if each.arg == "autoescape"), None)
    return replace(module, given, "True") if given is not None else argument(module, made, "autoescape=True")


def _name(node: ast.expr, taken: set[str | None]) -> str:
    """A name for a variable: the value's own last name."""
    found = "value"
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            found = name
        case ast.Call(args=[ast.Constant(value=str() as name), *_]) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            found = re.sub(r"\W", "_", name)
    found = found if found.isidentifier() else "value"
    number = 2
    base = found
    while found in taken:
        found, number = f"{base}_{number}", number + 1
    return found
