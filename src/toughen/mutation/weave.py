"""Owns woven source: the text of a file in which each guard asks a switch, line by line where it was."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.model.mutant import Mutant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.codemod.module import Module
    from toughen.mutation.guards import Guard


@dataclass(frozen=True, slots=True)
class Woven:
    """Files as they are compiled for a run of mutants, and what each switch is."""

    texts: dict[str, str]
    mutants: tuple[Mutant, ...]


def woven(modules: Iterable[tuple[Module, tuple[Guard, ...]]]) -> Woven:
    """All guards of all files behind switches that count from 1; a file that would not compile that way stays as it is."""
    texts: dict[str, str] = {}
    mutants: list[Mutant] = []
    for module, found in modules:
        numbered = [(len(mutants) + index, each) for index, each in enumerate(found, 1)]
        text = _text(module, numbered)
        try:
            compile(text, module.file, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            continue
        texts[module.file] = text
        alike: Counter[tuple[str, str, str]] = Counter()
        for number, each in numbered:
            alike[each.function, each.kind, each.text] += 1
            mutants.append(Mutant(number, each.kind, module.file, each.line, each.function, each.text, each.without, each.at_import, alike[each.function, each.kind, each.text]))
    return Woven(texts, tuple(mutants))


def _text(module: Module, numbered: Iterable[tuple[int, Guard]]) -> str:
    insertions: list[tuple[int, int, int, str]] = []
    for number, each in numbered:
        opening, closing = each.opening.replace("#", str(number)), each.closing.replace("#", str(number))
        # What is wider opens first and closes last.
        insertions.append((each.start, 1, -each.end, opening))
        insertions.append((each.end, 0, -each.start, closing))
    data, parts, at = module.data, [], 0
    for place, _, _, text in sorted(insertions):
        parts += [data[at:place], text.encode()]
        at = place
    parts.append(data[at:])
    return b"".join(parts).decode("utf-8", "surrogatepass")
