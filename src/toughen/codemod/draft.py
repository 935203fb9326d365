"""Owns edits as byte spans, their collection in a Draft, and the proof that nothing else changed."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, replace
from functools import wraps
from itertools import pairwise
from typing import TYPE_CHECKING, ParamSpec

from toughen.codemod.module import DEFINITIONS, Module, Span, UnmendableError, halt
from toughen.model.patch import FileChange, Patch, Unmended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes `start` to `end` become `text`; an empty span inserts."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Draft:
    """Edits of one module that have not been applied yet. `a + b` joins drafts of the same module."""

    module: Module
    edits: tuple[Edit, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reviewer must know: what was left alone and why, the database that a lock was chosen for."""

    def __add__(self, other: Draft) -> Draft:
        """Both drafts' edits; an import that both add is added once."""
        if other.module.text != self.module.text:
            halt("drafts of different texts cannot be joined")
        edits = list(self.edits)
        for edit in other.edits:
            _join(self.module, edits, edit)
        return Draft(self.module, tuple(edits), tuple(dict.fromkeys(self.notes + other.notes)))

    def note(self, *notes: str) -> Draft:
        """The same draft with notes for the reviewer."""
        return replace(self, notes=tuple(dict.fromkeys(self.notes + notes)))

    @property
    def ordered(self) -> tuple[Edit, ...]:
        """Edits in the order of the file; raises UnmendableError where two overlap."""
        ranked = sorted(enumerate(self.edits), key=lambda item: (item[1].start, item[1].end, item[0]))
        edits = tuple(edit for _, edit in ranked)
        for left, right in pairwise(edits):
            if right.start < left.end:
                halt("two edits of this mend overlap")
        return edits

    def done(self) -> str:
        """The edited text. Raises UnmendableError for overlaps, text that does not parse, and unmeant changes."""
        data = self.module.data
        parts: list[bytes] = []
        spans: list[Span] = []
        position = size = 0
        for edit in self.ordered:
            kept, new = data[position : edit.start], edit.text.encode("utf-8", "surrogatepass")
            parts += [kept, new]
            size += len(kept)
            spans.append(Span(size, size + len(new)))
            size += len(new)
            position = edit.end
        parts.append(data[position:])
        text = b"".join(parts).decode("utf-8", "surrogatepass")
        if text == self.module.text:
            return text
        after = Module(self.module.file, text)
        olds = [Span(edit.start, edit.end) for edit in self.ordered]
        if _shape(self.module, olds) != _shape(after, spans):
            halt(f"the edit of {self.module.file} would change statements that it does not name")
        return text

    @property
    def empty(self) -> bool:
        """True when nothing would change."""
        return all(self.module.cut(Span(edit.start, edit.end)) == edit.text for edit in self.edits)


def _join(module: Module, edits: list[Edit], edit: Edit) -> None:
    """Add an edit; two that lengthen the same text (names of one import) become one, and an import is added once."""
    old = module.cut(Span(edit.start, edit.end))
    for index, there in enumerate(edits):
        if there == edit and ("import " in edit.text or old):
            return
        both = (there.start, there.end) == (edit.start, edit.end) and old
        if both and there.text.startswith(old) and edit.text.startswith(old):
            tail = edit.text.removeprefix(old)
            names = {part.strip() for part in there.text.removeprefix(old).split(",")}
            if not {part.strip() for part in tail.split(",")} <= names:
                edits[index] = replace(there, text=there.text + tail)
            return
    edits.append(edit)


def word(function: Callable[P, Draft]) -> Callable[P, Draft | Unmended]:
    """Make a word of a function that drafts: its draft is applied on trial, and a refusal becomes Unmended(reason)."""

    @wraps(function)
    def speak(*args: P.args, **kwargs: P.kwargs) -> Draft | Unmended:
        try:
            draft = function(*args, **kwargs)
            if draft.empty:
                return Unmended("the code already has the shape that this mend gives it")
            draft.done()
        except (UnmendableError, RecursionError) as error:
            return Unmended(str(error))
        return draft

    return speak


def patch(finding: str, summary: str, *drafts: Draft | Unmended, note: str = "") -> Patch | Unmended:
    """One Patch of drafts of different files; the first Unmended among them wins. Drafts' notes join `note`."""
    changes: list[FileChange] = []
    notes = [note] if note else []
    for draft in drafts:
        if isinstance(draft, Unmended):
            return draft
        try:
            changes.append(FileChange(draft.module.file, draft.module.text, draft.done()))
        except UnmendableError as error:
            return Unmended(str(error))
        notes += draft.notes
    files = [change.file for change in changes]
    if len(set(files)) != len(files):
        return Unmended("a patch needs one draft for each file: join them with +")
    return Patch(finding, tuple(changes), summary, " ".join(dict.fromkeys(notes)))


def twice(apply: Callable[[Module], Draft | Unmended], module: Module) -> str | Unmended:
    """Apply a word, and again to its result: the second time must refuse or change nothing.

    Gives the text after the first application, or Unmended with the reason of the first or of the difference.
    """
    first = apply(module)
    if isinstance(first, Unmended):
        return first
    try:
        text = first.done()
        second = apply(Module(module.file, text))
        if isinstance(second, Draft) and second.done() != text:
            return Unmended("a second application of the mend would change the code again")
    except UnmendableError as error:
        return Unmended(str(error))
    return text


def verify(before: str, after: str, named: Iterable[str]) -> Unmended | None:
    """Compare two texts without the named nodes; None when the rest is equal.

    A name is a function or class in its qualified form (`Users.create`, `outer.inner`; `Users.*` for what a class
    holds besides) or `import` for all imports. Comments and formatting do not count here: `Draft.done` keeps them.
    """
    names = {name.replace(".<locals>", "") for name in named}
    try:
        trees = [_without(Module("", text).tree, names) for text in (before, after)]
    except UnmendableError as error:
        return Unmended(str(error))
    if trees[0] == trees[1]:
        return None
    return Unmended("more changed than " + ", ".join(sorted(names)))


def _without(tree: ast.Module, names: set[str], prefix: str = "") -> str:
    def keep(body: list[ast.stmt], prefix: str) -> list[ast.stmt]:
        kept: list[ast.stmt] = []
        for node in body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    full = f"{prefix}{name}"
                    if full in names:
                        continue
                    node.body = keep(node.body, f"{full}.") or [ast.Pass()]
                    kept.append(node)
                case ast.Import() | ast.ImportFrom() if "import" in names:
                    continue
                case _ if f"{prefix}*" in names and prefix:
                    continue
                case _:
                    kept.append(node)
        return kept

    tree = copy.deepcopy(tree)
    tree.body = keep(tree.body, prefix)
    return ast.dump(tree)


def _shape(module: Module, spans: list[Span]) -> str:
    """Dump of a tree without what the spans touch: simple statements, and the parts of compound ones, that they meet.

    Statements that no span touches must be the same, at the same depth, in the same order, before and after.
    """

    def strip(node: ast.AST) -> str:
        parts = [type(node).__name__]
        for name, value in ast.iter_fields(node):
            shown = map(show, value if isinstance(value, list) else [value])
            parts += [f"{name}={part}" for part in shown if part]
        return f"({' '.join(parts)})"

    def show(item: object) -> str:
        if not isinstance(item, ast.AST):
            return repr(item)
        if not hasattr(item, "lineno"):
            return strip(item) if isinstance(item, (ast.arguments, ast.withitem, ast.match_case)) else ast.dump(item)
        span = module.span(item)
        if isinstance(item, (*DEFINITIONS, *_COMPOUND)):
            return "" if _within(span, spans) else strip(item)
        # A simple statement is the same where its text is.
        return "" if _meets(span, spans) or _within(span, spans) else module.cut(span)

    return strip(module.tree)


def _meets(span: Span, spans: list[Span]) -> bool:
    return any(
        (item.start < span.end and span.start < item.end)
        or (item.start == item.end and span.start < item.start < span.end)
        for item in spans
    )


def _within(span: Span, spans: list[Span]) -> bool:
    return any(item.start <= span.start and span.end <= item.end for item in spans if item.start < item.end)


_COMPOUND = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.ExceptHandler, ast.Match,
)  # fmt: skip
