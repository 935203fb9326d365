"""Owns the words that take a value out of a shell's hands: a command as a list of its arguments, or the value quoted."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import replace, use
from toughen.codemod.module import halt
from toughen.codemod.sqltext import Char, Hole, read
from toughen.codemod.texts import filled, once_read, origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.codemod.module import Module
    from toughen.codemod.sqltext import Atom

_SPECIAL = set("|&;<>()$`*?[]~{}#!\n\\")
_WITHIN = set("$`\\")
Pieces = list[str | Hole]


@word
def listed(module: Module, call: ast.Call, text: ast.expr, is_text: Callable[[ast.expr], bool]) -> Draft:
    """Start the program without a shell: the command as a list, each value an argument or a part of one.

    Shapes: `subprocess.run|call|check_call|check_output|Popen(text, shell=True)`, `os.system(text)`, and
    `os.popen(text).read()`. `is_text` says of a value that it is a str already. Refuses commands that use anything of
    a shell but words and quotes, and those whose program comes from a value.
    """
    built = origin(module, call, text)
    made = f"[{', '.join(_argument(module, each, is_text) for each in _words(read(module, built).atoms))}]"
    draft = Draft(module)
    if isinstance(text, ast.Name) and once_read(module, call, text.id):
        draft, made = replace(module, built, made), text.id
    name = module.resolve(call.func)
    shell = next((each for each in call.keywords if each.arg == "shell"), None)
    if name == "os.system":
        used = not isinstance(module.parent(call), ast.Expr)
        return draft + replace(module, call, f"subprocess.run({made}, check=False)" + (".returncode" if used else "")) + use(module, "import subprocess")
    if name == "os.popen":
        attribute = module.parent(call)
        outer = module.parent(attribute) if isinstance(attribute, ast.Attribute) and attribute.attr == "read" else None
        if not isinstance(outer, ast.Call) or outer.args:
            halt("what os.popen gives is used in another way than to read it whole")
        return draft + replace(module, outer, f"subprocess.run({made}, stdout=subprocess.PIPE, text=True, check=False).stdout") + use(module, "import subprocess")
    if shell is None:
        return halt("the program is not started with shell=True")
    return (draft if draft.edits else replace(module, text, made)) + replace(module, shell.value, "False")


@word
def quoted(module: Module, call: ast.Call, text: ast.expr, is_text: Callable[[ast.expr], bool]) -> Draft:
    """Keep the shell, and quote each value with `shlex.quote`; quotes that the command has around a value go.

    Refuses values in the middle of a quoted text.
    """
    atoms = read(module, origin(module, call, text)).atoms
    draft = use(module, "import shlex")
    inside = ""
    for index, atom in enumerate(atoms):
        if isinstance(atom, Char):
            inside = "" if atom.value == inside else atom.value if not inside and atom.value in "'\"" else inside
            continue
        if inside:
            before, after = atoms[index - 1], atoms[index + 1] if index + 1 < len(atoms) else None
            if not (isinstance(before, Char) and isinstance(after, Char) and before.value == after.value == inside):
                halt("a value stands in the middle of a quoted text of the command")
            draft += Draft(module, (Edit(before.start, before.end, ""), Edit(after.start, after.end, "")))
        value = atom.text if is_text(atom.expression) else f"str({atom.text})"
        draft += Draft(module, (filled(module, atom, f"shlex.quote({value})"),))
    return draft


def _words(atoms: list[Atom]) -> list[Pieces]:
    """The command's words as a shell would split them."""
    words: list[Pieces] = []
    open_word, inside = False, ""
    for atom in atoms:
        if isinstance(atom, Hole):
            if not atom.plain:
                halt("a value is formatted before it enters the command")
            if not open_word:
                words.append([])
            words[-1].append(atom)
            open_word = True
            continue
        char = atom.value
        if not inside and char in " \t":
            open_word = False
        elif char == inside:
            inside = ""
        elif not inside and char in "'\"":
            inside = char
            if not open_word:
                words.append([])
            open_word = True
        else:
            if (not inside and char in _SPECIAL) or (inside == '"' and char in _WITHIN):
                halt(f"the command needs a shell: it uses {char!r}")
            if not open_word:
                words.append([])
            open_word = True
            words[-1].append(char)
    if inside or not words:
        halt("the command's quotes do not close")
    if any(isinstance(each, Hole) for each in words[0]) or "=" in words[0]:
        halt("the program itself comes from a value, or a variable is set in front of it")
    return words


def _argument(module: Module, pieces: Pieces, is_text: Callable[[ast.expr], bool]) -> str:
    """One word as an expression: a literal, a value, or both joined."""
    parts: list[str] = []
    text = ""
    for each in (*pieces, None):
        if isinstance(each, str):
            text += each
            continue
        if text:
            parts.append(module.literal(text))
            text = ""
        if each is not None:
            parts.append(each.text if is_text(each.expression) else f"str({each.text})")
    return " + ".join(parts) if parts else module.literal("")
