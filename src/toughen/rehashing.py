"""Owns the repair of stored passwords: a salted, slow hash where they are written, and a comparison that still takes what was stored before."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen import phrasing, syntax
from toughen.codemod.dependencies import declared, named
from toughen.codemod.mechanics import after, before, replace
from toughen.codemod.module import Module, Span, UnmendableError, dotted, halt
from toughen.codemod.naming import imported
from toughen.codemod.statements import style_of
from toughen.comparing import Asked, Compared, Passed, comparisons, conditions, listed, origin, passed, unexplained
from toughen.handling import called, handlers, parsed
from toughen.keeping import stored
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.templates.passwords import ARGON2, BCRYPT, PASSLIB, SCRYPT, WERKZEUG
from toughen.touches import statement_text, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.draft import Draft
    from toughen.codemod.statements import Execution
    from toughen.handling import Place
    from toughen.model.blueprint import Blueprint, Table
    from toughen.model.finding import Finding
    from toughen.templates.passwords import Hasher

_BRIEF = (
    "Store what argon2, scrypt or bcrypt makes of a password, and let log-in load the user by name, compare by the same library, and take what was stored "
    "before once more, to hash it then."
)
_NAMES = ("passwords", "password_hashes")
_NAMED_ROWS = re.compile(r"row_factory|DictCursor|dict_row|dictionary=True")
"""What makes a driver give rows with names; SQLite's own take positions as well."""


def rehashed(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The libraries that the project has come first, then argon2, then the standard library's scrypt; last without the new hash at log-in."""
    evidence = finding.evidence
    table = blueprint.table(evidence.fact("table")) if evidence is not None else None
    if evidence is None or table is None:
        yield Unmended("the table of the users is not known", _BRIEF)
        return
    reasons = []
    column = evidence.fact("column").lower()
    bound = phrasing.bound(sources, table.name, column)
    for hasher, upgrades in [*((each, True) for each in _hashers(sources)), (_hashers(sources)[0], False)]:
        try:
            yield _Rehashing(finding, blueprint, bound, table, column, hasher, sources).patch(upgrades=upgrades)
        except UnmendableError as error:
            reasons.append(error.message)
    if reasons:
        yield Unmended(reasons[0], _BRIEF)


def _hashers(sources: Mapping[str, str]) -> list[Hasher]:
    used = {origin.partition(".")[0] for module in parsed(sources).values() for origin in module.imports.values()}
    if used & {"flask", "werkzeug"}:
        return [WERKZEUG]
    known = [each for each, name in ((ARGON2, "argon2"), (PASSLIB, "passlib"), (BCRYPT, "bcrypt")) if name in used]
    return [*known[:1], *(each for each in (ARGON2, SCRYPT) if each not in known)]


@dataclass(slots=True)
class _Rehashing:
    """One variant of the repair."""

    finding: Finding
    blueprint: Blueprint
    sources: Mapping[str, str]
    """The project's files, with the statements on the column bound."""
    table: Table
    column: str
    hasher: Hasher
    former: Mapping[str, str]
    """The project's files as they stand."""
    drafts: dict[str, Draft] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    home: str = ""
    """The module that keeps passwords, as a path."""
    _names: dict[str, str] = field(default_factory=dict)

    def patch(self, *, upgrades: bool) -> Patch:
        """All changes. Raises UnmendableError."""
        project = tuple(parsed(self.sources).values())
        self._fits()
        writes = {
            (each.made.place.module.file, each.made.node.lineno, each.made.node.col_offset): each
            for handler in handlers(self.blueprint, self.sources) for each in stored(handler, self.table) if each.column == self.column
        }  # fmt: skip
        compared, asked = list(comparisons(project, self.table, self.column)), list(conditions(project, self.table, self.column))
        own = self._own_module()
        if not writes:
            halt(f"where {self.table.name}.{self.column} is written is not seen in the source")
        if not compared and not asked and not own:
            halt(f"where {self.table.name}.{self.column} is compared at log-in is not seen in the source")
        if place := unexplained(project, self.table, self.column):
            halt(f"{place} asks for a user by what is stored: whoever sends that must be given something else first")
        self.home = own or self._new_home(next(iter(writes.values())).made.place.module.file)
        for each in writes.values():
            module = each.made.place.module
            self._add(module, replace(module, each.made.node, self._call(module, "hashed", module.segment(each.made.plain))))
        for one in compared:
            self._matched(one)
            for entry in passed(one, project, self.table, self.column) if upgrades else ():
                # Whoever gives a new password next needs no hash of the old one.
                if not any(each.at.node is entry.place.node for each in writes.values()):
                    self._renewed(entry)
        for query in asked:
            self._loaded(query, upgrades=upgrades)
        return self._whole(own=own)

    def _fits(self) -> None:
        """Refuse a hash that is longer than its column, where the database would not take it."""
        known = self.table.column(self.column)
        length = known.max_length if known is not None else None
        if length is None or length >= self.hasher.length:
            return
        if self.blueprint.database not in {None, "sqlite"}:
            halt(f"{self.table.name}.{self.column} holds {length} characters, and a hash has {self.hasher.length}: widen it first")
        self.notes.append(f"{self.table.name}.{self.column} is declared for {length} characters, a hash has {self.hasher.length}: SQLite does not mind, another database wants it widened.")

    def _own_module(self) -> str:
        """The module that an earlier mend of this kind has made, "" where there is none."""
        return next((file for file, text in self.sources.items() if PurePosixPath(file).stem in _NAMES and "def outdated(" in text and "def hashed(" in text), "")

    def _new_home(self, near: str) -> str:
        folder = PurePosixPath(near).parent
        for name in _NAMES:
            place = (folder / f"{name}.py").as_posix()
            taken = any(file == place or file.startswith(f"{place.removesuffix('.py')}/") for file in self.sources)
            if not taken:
                return place
        return halt("the project has modules of the names that this mend would give its own")

    def _add(self, module: Module, draft: Draft) -> None:
        known = self.drafts.get(module.file)
        self.drafts[module.file] = draft if known is None else known + draft

    def _call(self, module: Module, name: str, *arguments: str) -> str:
        """A call of the module's function, which is imported where it is not yet."""
        if module.file not in self._names:
            alias, draft = imported(module, self.home, self.blueprint.entry)
            self._names[module.file] = alias
            self._add(module, draft)
        return f"{self._names[module.file]}.{name}({', '.join(each for each in arguments if each)})"

    # -- comparisons -------------------------------------------------------------------------------------------------------

    def _matched(self, each: Compared) -> None:
        module = each.place.module
        text = ("not " if each.negative else "") + self._call(module, "matches", each.plain, each.kept, each.former)
        above = module.parent(each.node)
        # `not x` binds weaker than a comparison does.
        wrapped = f"({text})" if each.negative and isinstance(above, ast.Compare | ast.BinOp | ast.Await | ast.Call) and not _argument(above, each.node) else text
        self._add(module, replace(module, each.node, wrapped))

    def _renewed(self, entry: Passed) -> None:
        """Hash what was stored before, once the right password is at hand; where the connection is closed by then, as soon as the row is."""
        place, row, module = entry.place, entry.row, entry.place.module
        source = origin(place, row, entry.statement.lineno + 1)
        if source is None:
            commit = self._commit(place) if entry.kept == f"{row}.{self.column}" else ""
            lines = [f"{entry.kept} = {self._call(module, 'hashed', entry.plain)}", commit] if commit else []
            statement, behind, test = entry.statement, entry.behind, ""
        else:
            taken, execution = source
            closed = [each.lineno for each in ast.walk(place.node) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "close"]
            early = any(taken.lineno < line <= entry.statement.lineno for line in closed)
            statement, behind = (taken, True) if early else (entry.statement, entry.behind)
            test = f" and {self._call(module, 'matches', entry.plain, entry.kept, entry.former)}" if early else ""
            lines = self._written(place, row, execution, entry.plain) if not early or self._known(place, taken, (entry.plain, entry.kept, entry.former)) else []
        if lines:
            front = f"{row} is not None and " if test else ""
            text = f"if {front}{self._call(module, 'outdated', entry.kept)}{test}:\n" + "\n".join(f"    {line}" for line in lines)
            self._add(module, (after if behind else before)(module, statement, text))

    @staticmethod
    def _known(place: Place, statement: ast.stmt, texts: tuple[str, ...]) -> bool:
        """Whether all that expressions name is there right behind a statement."""
        late = {
            each.id for each in ast.walk(place.node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.lineno > statement.lineno
        }
        return not any(each.id in late for text in texts if text for each in ast.walk(syntax.expression(text)) if isinstance(each, ast.Name))

    def _written(self, place: Place, row: str, execution: Execution, plain: str, names: list[str] | None = None) -> list[str]:
        """Statements that write the new hash into a row which SQL has loaded; none where it is not seen how."""
        names = listed(statement_text(place, execution.text), self.table) if names is None else names
        naming = [*(each for each in self.table.columns if each.primary_key), *(each for each in self.table.columns if each.unique)]
        key = next((each.name for each in naming if each.name.lower() in names), "")
        if not key:
            return []
        return self._executed(place, execution, f"({self._call(place.module, 'hashed', plain)}, {self._item(place, row, key, names)})", key)

    def _item(self, place: Place, row: str, name: str, names: list[str]) -> str:
        """A column of a row: as the function reads others of it, else by name where rows are known to have names, else by position."""
        names_of = {row, *(dotted(target) for each in ast.walk(place.node) if isinstance(each, ast.Assign) and ast.unparse(each.value) == row for target in each.targets)}
        used = [each.slice for each in ast.walk(place.node) if isinstance(each, ast.Subscript) and ast.unparse(each.value) in names_of]
        values = [each.value for each in used if isinstance(each, ast.Constant)]
        named_rows = any(_NAMED_ROWS.search(text) for text in self.sources.values())
        by_place = any(isinstance(each, int) for each in values) or (not values and not named_rows)
        return f"{row}[{names.index(name.lower())}]" if by_place else f"{row}[{place.module.literal(name)}]"

    def _executed(self, place: Place, execution: Execution, values: str, key: str) -> list[str]:
        module, call = place.module, execution.call
        style = style_of(module, execution, tuple(parsed(self.sources).values()))
        if execution.wrapper is not None or style not in {"?", "%s"}:
            return []
        text = module.literal(f"UPDATE {self.table.name} SET {self.column} = {style} WHERE {key} = {style}")  # noqa: S608 - text for the user's code
        project = tuple(parsed(self.sources).values())
        if called(place, call, project) is not None:
            worded = phrasing.alike(place, call, text, values, project)
            return [worded] if worded else []
        if not isinstance(call.func, ast.Attribute):
            return []
        receiver = module.segment(call.func.value)
        waits = "await " if isinstance(module.parent(call), ast.Await) else ""
        if isinstance(call.func.value, ast.Call):
            return [f"with {receiver} as conn:", f"    conn.execute({text}, {values})"] if style == "?" and not waits else []
        cursor = any(
            isinstance(each, ast.Assign) and isinstance(each.value, ast.Call) and isinstance(each.value.func, ast.Attribute) and each.value.func.attr == "cursor" and any(module.segment(one) == receiver for one in each.targets)
            for each in ast.walk(place.node)
        )  # fmt: skip
        return [f"{waits}{receiver}.execute({text}, {values})", f"{waits}{receiver}{'.connection' if cursor else ''}.commit()"]

    def _commit(self, place: Place) -> str:
        """How a session of SQLAlchemy's is committed here, "" where it is not seen."""
        module = place.module
        for text in (module.segment(place.node), module.text):
            if match := re.search(r"(await )?\b([A-Za-z_][\w.]*)\.commit\(\)", text):
                receiver = match.group(2).partition(".")[0]
                if receiver in module.globals or any(isinstance(each, ast.arg) and each.arg == receiver for each in ast.walk(place.node.args)):
                    return f"{match.group(1) or ''}{match.group(2)}.commit()"
        for each in ast.walk(place.node):
            match each:
                case ast.Call(func=ast.Attribute(value=value, attr="query" | "execute" | "scalars" | "scalar")) if module.segment(value).isidentifier() and module.resolve(value) != "sqlite3":
                    return f"{'await ' if isinstance(module.parent(each), ast.Await) else ''}{module.segment(value)}.commit()"
        for each in (each for each in ast.walk(place.node.args) if isinstance(each, ast.arg)):
            kinds = {part.id for part in ast.walk(each) if isinstance(part, ast.Name)}
            if kinds & {"Session", "AsyncSession"}:
                return f"{'await ' if 'AsyncSession' in kinds else ''}{each.arg}.commit()"
        return next((f"{name}.session.commit()" for name in module.globals if module.imports.get(name, f".{name}").endswith(".db") or f"{name} = SQLAlchemy(" in module.text), "")

    # -- conditions --------------------------------------------------------------------------------------------------------

    def _loaded(self, query: Asked, *, upgrades: bool) -> None:
        """The query asks for the name alone; the row that it finds is forgotten where the password is another."""
        module, row = query.place.module, query.name
        if query.load is not None and query.condition is not None:
            self._add(module, _without(module, query.condition))
            kept = f"{row}.{self.column}"
            commit = self._commit(query.place)
            lines = [f"{kept} = {self._call(module, 'hashed', query.plain)}", commit] if commit else []
        else:
            kept, lines = self._unbound(query)
        indented = "\n".join(f"    {line}" for line in lines)
        if query.many:
            one = "row" if row != "row" else "each"
            own = f"{one}{kept.removeprefix(f'{row}[0]')}"
            text = f"{row} = [{one} for {one} in {row} if {self._call(module, 'matches', query.plain, own, query.former)}]"
            opened = f"if {row} and"
        else:
            text = f"if {row} is not None and not {self._call(module, 'matches', query.plain, kept, query.former)}:\n    {row} = None"
            opened = f"elif {row} is not None and"
        if upgrades and lines:
            text += f"\n{opened} {self._call(module, 'outdated', kept)}:\n{indented}"
        self._add(module, after(module, query.statement, text))

    def _unbound(self, query: Asked) -> tuple[str, list[str]]:
        """Take the condition and its value out of a statement's text; (the stored password of the row, what writes a new one)."""
        module, execution = query.place.module, query.execution
        assert execution is not None
        text = statement_text(query.place, execution.text)
        names = listed(text, self.table)
        if not isinstance(execution.text, ast.Constant) or not names:
            halt("the statement that asks for the password is put together from parts")
        segment = module.segment(execution.text)
        mark = r"(?:\?|%s|:\w+|%\(\w+\)s)"
        condition = rf"(?:\w+\.)?[\"`]?{self.column}[\"`]?\s*=\s*{mark}"
        bare, count = re.subn(rf"\s+AND\s+{condition}|{condition}\s+AND\s+", "", segment, flags=re.IGNORECASE)
        if count != 1:
            halt("the condition on the password cannot be taken out of the statement")
        if self.column not in names:
            bare = re.sub(r"(\s+FROM\b)", rf", {self.column}\1", bare, count=1, flags=re.IGNORECASE)
            names.append(self.column)
        self._add(module, replace(module, execution.text, bare))
        values = values_of(execution.parameters)
        self._add(module, _unlisted(module, execution.parameters, values[query.index]))
        row = f"{query.name}[0]" if query.many else query.name
        return self._item(query.place, row, self.column, names), self._written(query.place, row, execution, query.plain, names)

    # -- the patch ---------------------------------------------------------------------------------------------------------

    def _whole(self, *, own: str) -> Patch:
        now = {file: self.sources[file] for file in self.former if self.sources[file] != self.former[file]} | {file: draft.done() for file, draft in self.drafts.items()}
        changes = [FileChange(file, self.former[file], text) for file, text in sorted(now.items())]
        notes = ["What was stored before still opens, and is hashed at the next log-in; whoever never logs in again keeps it as it was: reset those one day.", *self.notes]
        if not own:
            changes.append(FileChange(self.home, "", self.hasher.text))
            changes += self._dependency(notes)
        package = (re.split(r"[<>=]", self.hasher.package)[0],) if self.hasher.package else ()
        return Patch(
            self.finding.id, tuple(changes), f"Hash passwords with {self.hasher.name} before {self.table.name}.{self.column} takes them"[:100], " ".join(notes),
            (f"{self.table.name}.{self.column}".lower(),), packages=package,
        )

    def _dependency(self, notes: list[str]) -> list[FileChange]:
        if not self.hasher.package:
            return []
        change = declared(self.blueprint.companions, self.hasher.package)
        if change is None and not any(named(text, self.hasher.package) for file, text in self.blueprint.companions if "env" not in file):
            notes.append(f"Add {self.hasher.package} to what the project installs.")
        return [change] if change is not None else []


def _argument(above: ast.AST, node: ast.expr) -> bool:
    return isinstance(above, ast.Call) and any(each is node for each in above.args)


def _without(module: Module, part: ast.expr | ast.keyword) -> Draft:
    """Take an argument out of its call."""
    call = module.parent(part)
    assert isinstance(call, ast.Call)
    return _cut(module, call, part)


def _unlisted(module: Module, holder: ast.expr | None, part: ast.expr) -> Draft:
    """Take a value out of a tuple, list or dictionary of bound values."""
    match holder:
        case ast.Dict(keys=keys, values=values):
            index = next(at for at, each in enumerate(values) if each is part)
            key = keys[index]
            assert key is not None
            start, end = module.span(key).start, module.span(part).end
            if index + 1 < len(keys) and (following := keys[index + 1]) is not None:
                return replace(module, Span(start, module.span(following).start), "")
            return replace(module, Span(module.span(values[index - 1]).end if index else start, end), "")
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            if isinstance(holder, ast.Tuple) and len(elements) == 2:  # noqa: PLR2004 - what is left is a tuple of one
                left = next(each for each in elements if each is not part)
                return replace(module, holder, f"({module.segment(left)},)")
            return _cut(module, holder, part)
    return halt("the values of the statement are not written out")


def _cut(module: Module, holder: ast.AST, part: ast.AST) -> Draft:
    """Take one of several parts out of what holds them, with its comma."""
    match holder:
        case ast.Call():
            parts: list[ast.AST] = sorted([*holder.args, *holder.keywords], key=lambda each: module.span(each).start)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            parts = list(elements)
        case _:
            return halt("there is no list to take it out of")
    place, span = parts.index(part), module.span(part)
    if place + 1 < len(parts):
        return replace(module, Span(span.start, module.span(parts[place + 1]).start), "")
    return replace(module, Span(module.span(parts[place - 1]).end if place else span.start, span.end), "")
