"""Owns unified diffs from outside: read with suspicion, laid onto the files that they name, and refused with the hunk and the line where they do not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST = 1 << 20
"""Bytes of a patch."""
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_MODES = re.compile(r"(?:old mode|new mode|new file mode|deleted file mode) (\d+)")
_PLAIN_MODES = {"100644", "644"}
_NOWHERE = "/dev/null"
_BEGINS = re.compile(r"diff --git |--- |@@ ")
_SIGNATURE = "-- "
"""What a patch that came by mail ends with."""
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_SHOWN = 80


@dataclass(slots=True)
class Hunk:
    """One place of one file: lines with their marks (` `, `-`, `+`), without line ends."""

    number: int
    """Which hunk of its file it is, from 1."""
    start: int
    """The line of the old file that it says it begins at."""
    lines: list[str] = field(default_factory=list)
    unended: bool = False
    """True where the new text ends without a line end."""

    @property
    def old(self) -> list[str]:
        """What must stand there."""
        return [each[1:] for each in self.lines if each[0] != "+"]

    @property
    def new(self) -> list[str]:
        """What stands there afterwards."""
        return [each[1:] for each in self.lines if each[0] != "-"]


@dataclass(slots=True)
class FileDiff:
    """What a patch does to one file."""

    file: str
    """As the patch names it, without `a/` and `b/`."""
    named: str
    """As the patch names it."""
    new: bool
    hunks: list[Hunk] = field(default_factory=list)


def parse(content: bytes) -> list[FileDiff]:
    """The files of a unified diff. Raises PatchError with the line of the patch that is wrong."""
    if len(content) > LARGEST:
        raise PatchError(f"the patch is larger than {LARGEST >> 10} KiB", hint="a mend of one finding is small")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PatchError(f"the patch is not UTF-8 (byte {error.start + 1})", hint="write it as UTF-8 text") from error
    if "\0" in text:
        raise PatchError("the patch holds a NUL byte: a mend changes text only")
    if not text.strip():
        raise PatchError("the patch is empty", hint="hand in a unified diff, as `git diff` writes it")
    found = _Reader(text.split("\n")).files()
    if not found:
        raise PatchError("the patch holds no hunk", hint="a unified diff has `--- a/FILE`, `+++ b/FILE` and `@@ -LINE,COUNT +LINE,COUNT @@` in front of the lines")
    return found


class _Reader:
    """Goes through the lines of a patch once."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = [each.removesuffix("\r") for each in lines]
        self.at = 0

    def files(self) -> list[FileDiff]:
        found: list[FileDiff] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self._refuse(line)
            if self._header():
                found.append(self._file())
            elif _HUNK.match(line):
                raise PatchError(f"line {self.at + 1} of the patch begins a hunk of no file", hint="`--- a/FILE` and `+++ b/FILE` go before it")
            else:
                self.at += 1
        return found

    def _header(self) -> bool:
        return self.lines[self.at].startswith("--- ") and self.at + 1 < len(self.lines) and self.lines[self.at + 1].startswith("+++ ")

    def _refuse(self, line: str) -> None:
        mode = _MODES.match(line)
        if line.startswith(("GIT binary patch", "Binary files ")):
            raise PatchError(f"line {self.at + 1} of the patch is about a binary file: a mend changes text only")
        if line.startswith(("rename from", "copy from")):
            raise PatchError(f"line {self.at + 1} of the patch moves a file: a mend leaves files where they are")
        if mode and (mode.group(1) not in _PLAIN_MODES) and not line.startswith("old"):
            raise PatchError(f"line {self.at + 1} of the patch makes a file of another kind ({line}): a mend makes plain files only")

    def _file(self) -> FileDiff:
        old, new = _name(self.lines[self.at][4:]), _name(self.lines[self.at + 1][4:])
        if new == _NOWHERE:
            raise PatchError(f"line {self.at + 2} of the patch deletes {_bare(old)}: a mend deletes no file", subject=old)
        found = FileDiff(_bare(new), new, old == _NOWHERE)
        self.at += 2
        while self.at < len(self.lines) and (match := _HUNK.match(self.lines[self.at])):
            found.hunks.append(self._hunk(len(found.hunks) + 1, match))
        if not found.hunks:
            raise PatchError(f"the patch has no hunk for {found.file} (line {self.at} of the patch)", subject=found.file)
        return found

    def _hunk(self, number: int, match: re.Match[str]) -> Hunk:
        """A hunk's lines; they are counted, and what the header says of their number only decides what looks like a header."""
        hunk = Hunk(number, int(match.group(1)))
        old, new = int(match.group(2) or 1), int(match.group(4) or 1)
        self.at += 1
        while self.at < len(self.lines):
            line = self.lines[self.at]
            full = len(hunk.old) >= old and len(hunk.new) >= new
            if line.startswith("\\"):
                hunk.unended = hunk.unended or not hunk.lines or hunk.lines[-1][0] != "-"
            elif _HUNK.match(line) or line.startswith("diff --git ") or (full and (self._header() or line == _SIGNATURE)):
                break
            elif line[:1] in {" ", "-", "+"}:
                hunk.lines.append(line)
            elif line == "" and not full and self.at + 1 < len(self.lines) and not _BEGINS.match(self.lines[self.at + 1]):
                # Editors and models drop the blank of an empty context line.
                hunk.lines.append(" ")
            elif full or line == "":
                break
            else:
                raise PatchError(f"line {self.at + 1} of the patch begins with none of blank, - and +: {line[:_SHOWN]!r}", hint=f"hunk {number} is not complete there")
            self.at += 1
        return hunk


def _name(written: str) -> str:
    """A file's name as a header has it: without the date, and unquoted where git quoted it."""
    name = written.split("\t", maxsplit=1)[0].strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        raw = _ESCAPE.sub(lambda found: bytes([int(found.group(1), 8) & 255]) if len(found.group(1)) > 1 else found.group(1), name[1:-1].encode())
        name = raw.decode("utf-8", "replace")
    return name


def _bare(name: str) -> str:
    return name[2:] if name.startswith(("a/", "b/")) else name


def applied(patch: FileDiff, before: str) -> str:
    """The file's text after the patch. Raises PatchError with the hunk and where it was looked for."""
    lines = before.split("\n")
    ended = lines[-1] == ""
    if ended:
        lines.pop()
    returns = bool(lines) and all(each.endswith("\r") for each in lines)
    plain = [each.removesuffix("\r") for each in lines]
    done, out, moved = 0, list[str](), 0
    unended = not ended and bool(lines)
    for hunk in patch.hunks:
        place = _place(patch, hunk, plain, done, moved)
        moved = place - (hunk.start - 1 if hunk.old else hunk.start)
        out += lines[done:place]
        at = place
        for line in hunk.lines:
            match line[0]:
                case "+":
                    out.append(line[1:] + ("\r" if returns else ""))
                case "-":
                    at += 1
                case _:
                    # What stays, stays as it is written there.
                    out.append(lines[at])
                    at += 1
        done = at
        if done == len(lines):
            unended = hunk.unended
    out += lines[done:]
    return "\n".join(out) + ("" if unended or not out else "\n")


def _place(patch: FileDiff, hunk: Hunk, lines: list[str], done: int, moved: int) -> int:
    """Where a hunk fits, counted from 0: where it says, moved as the one before was, else at the nearest place where its lines stand."""
    old = hunk.old
    if not old:
        if hunk.start > len(lines):
            raise PatchError(f"hunk {hunk.number} of {patch.file} does not apply: it adds lines after line {hunk.start}, and the file has {len(lines)}", subject=patch.file)
        return max(hunk.start, done)
    wanted = hunk.start - 1 + moved
    fits = [at for at in range(done, len(lines) - len(old) + 1) if lines[at : at + len(old)] == old]
    if not fits:
        raise PatchError(_misfit(patch, hunk, lines, wanted, done), subject=patch.file, hint="read the file again and make the diff of what stands there")
    fits.sort(key=lambda at: abs(at - wanted))
    if len(fits) > 1 and fits[0] != wanted and abs(fits[0] - wanted) == abs(fits[1] - wanted):
        raise PatchError(f"hunk {hunk.number} of {patch.file} fits at line {fits[0] + 1} and at line {fits[1] + 1}", subject=patch.file, hint="give it more lines of context")
    return fits[0]


def _misfit(patch: FileDiff, hunk: Hunk, lines: list[str], wanted: int, done: int) -> str:
    """Where most of a hunk's lines stand, and the first that does not."""
    old = hunk.old

    def alike(at: int) -> int:
        return sum(at + index < len(lines) and lines[at + index] == each for index, each in enumerate(old))

    where = max(range(done, max(len(lines), done + 1)), key=lambda at: (alike(at), -abs(at - wanted)))
    index = next((number for number, each in enumerate(old) if where + number >= len(lines) or lines[where + number] != each), 0)
    has = f"has {lines[where + index].strip()[:_SHOWN]!r}" if where + index < len(lines) else "ends before it"
    return f"hunk {hunk.number} of {patch.file} (it says line {hunk.start}) does not apply: where it has {old[index].strip()[:_SHOWN]!r}, line {where + index + 1} of the file {has}"


def changed(content: bytes, read: Callable[[str], str | None]) -> Iterator[tuple[str, str, str]]:
    """(file, text before, text after) of every file of a patch; `read` gives the text of a file of the project, None where there is none. Raises PatchError."""
    texts: dict[str, tuple[str, str]] = {}
    for each in parse(content):
        # A name that begins with a folder `a` or `b` may be meant as it is written.
        file = next((name for name in dict.fromkeys([each.file, each.named]) if name in texts or (not each.new and read(name) is not None)), each.file)
        before = texts[file][1] if file in texts else read(file)
        if each.new and before:
            raise PatchError(f"the patch makes {file} anew, and it is there already", subject=file, hint="make the diff against the file that is there")
        if before is None and not each.new:
            raise PatchError(f"the patch changes {file}, and the project has no such file", subject=file, hint="names are relative to the prototype's folder")
        texts[file] = texts[file][0] if file in texts else before or "", applied(each, before or "")
    for file, (before, after) in texts.items():
        yield file, before, after
