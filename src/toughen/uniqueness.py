"""Owns the repair by a unique key: the model or table declares it, a migration brings it to tables that are there, and its violation is answered."""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen import migrated, sql
from toughen.codemod import Module, UnmendableError, taken, taken_saved, unique
from toughen.handling import parsed
from toughen.model.patch import FileChange, Patch, Unmended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json
    from toughen.model.finding import Finding
    from toughen.model.source import Location
    from toughen.model.trace import Exchange, Trace

_LONGEST_NAME = 63
"""Bytes of a name that PostgreSQL keeps."""


def asked(exchange: Exchange, race: Trace, table: str) -> tuple[tuple[str, ...], ...]:
    """Keys by which a request asked whether a row of the table is there, and of which the race left two; () where another question was asked."""
    rows = [each.after for each in race.changes if each.kind == "inserted" and each.table.lower() == table.lower()]
    for statement in exchange.statements:
        keys = sql.sought(statement.text, table) if statement.verb == "select" and table.lower() in statement.reads else None
        twice = [key for key in keys or () if _held_twice(rows, key)]
        if twice:
            return tuple(twice)
    return ()


def _held_twice(rows: list[dict[str, Json]], key: tuple[str, ...]) -> bool:
    values = [tuple(row.get(name) for name in key) for row in ({name.lower(): value for name, value in each.items()} for each in rows)]
    return any(values.count(each) > 1 and None not in each for each in values)


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """One patch: the key where the table is described, in a migration where the project has some, and the answer to its violation."""
    evidence = finding.evidence
    place = evidence.location if evidence else None
    if evidence is None or place is None or place.file not in sources or not evidence.fact("keys"):
        return
    table, keys = evidence.fact("table"), [tuple(each.split(",")) for each in evidence.fact("keys").split(";")]
    modelled = migrated.model_of(blueprint, sources, table)
    if modelled is not None:
        yield _modelled(finding, sources, modelled, place, keys)
        return
    home = _home(blueprint, sources, table)
    if home is None:
        yield Unmended(f"where {table} is described is not seen")
        return
    file, name = home
    texts: dict[str, str] = {}
    for key in keys:
        declared = unique(Module(file, texts.get(file, sources[file])), name, key)
        if isinstance(declared, Unmended):
            yield declared
            return
        texts[file] = declared.done()
    line = place.line + (_shift(sources[file], texts[file], place.line) if file == place.file else 0)
    answered = taken(Module(place.file, texts.get(place.file, sources[place.file])), line)
    if isinstance(answered, Unmended):
        yield answered
        return
    texts[place.file] = answered.done()
    changes = [FileChange(each, sources[each], text) for each, text in texts.items()]
    revision = _revision(sources, table, keys)
    if isinstance(revision, Unmended):
        yield revision
        return
    told = " and ".join(f"{table} ({', '.join(key)})" for key in keys)
    how = f"{revision.file} brings it to tables that are there" if revision else "tables that are there do not get it by this: " + "; ".join(_ddl(table, key) for key in keys)
    yield Patch(finding.id, (*changes, *([revision] if revision else [])), f"Let a unique key of {told} decide", f"Rows that break the key must go first; {how}.")


def _modelled(finding: Finding, sources: Mapping[str, str], model: migrated.Model, place: Location, keys: list[tuple[str, ...]]) -> Patch | Unmended:
    """The same for a model of Django's."""
    try:
        found = migrated.declared(model, sources, keys)
        if isinstance(found, Unmended):
            return found
        text, fields, migration = found
        views = Module(place.file, sources[place.file])
        stands = next((each for key in fields if (each := migrated.fixed(views, place.function or "", key))), "")
    except UnmendableError as error:
        return Unmended(str(error))
    if stands:
        return Unmended(f"a row is looked for with {stands}: how many there may be of others is not known")
    same = place.file == model.module.file
    before = text if same else sources[place.file]
    answered = taken_saved(Module(place.file, before), place.line + (_shift(sources[place.file], text, place.line) if same else 0), model.node.name)
    if isinstance(answered, Unmended):
        return answered
    texts = {**({} if same else {model.module.file: text}), place.file: answered.done()}
    told = " and ".join(f"{model.node.name} ({', '.join(key)})" for key in fields)
    how = f"{migration.file} brings it to tables that are there" if migration else f"the app {model.label} keeps no migrations: `manage.py makemigrations {model.label}` makes the one that brings it to tables that are there"
    changes = (*(FileChange(each, sources[each], after) for each, after in texts.items()), *([migration] if migration else []))
    return Patch(finding.id, changes, f"Let a unique key of {told} decide", f"Rows that break the key must go first; {how}.")


def _ddl(table: str, key: tuple[str, ...]) -> str:
    return f"CREATE UNIQUE INDEX {_named(table, key)} ON {table} ({', '.join(key)})"


def _named(table: str, key: tuple[str, ...]) -> str:
    return "_".join(("uq", table, *key))[:_LONGEST_NAME]


def _home(blueprint: Blueprint, sources: Mapping[str, str], table: str) -> tuple[str, str] | None:
    """(file, class or table) where a table is described: its model, else its DDL; None where that is not one place."""
    known = blueprint.table(table)
    model = (known.model or "").rpartition(".")[2] if known is not None else ""
    modules = parsed(sources)
    classes = [file for file, module in modules.items() if model and any(each.name == model and _maps(module, each) for each in module.classes())]
    if len(classes) == 1:
        return classes[0], model
    made = re.compile(rf"CREATE\s+TABLE\s+(IF\s+NOT\s+EXISTS\s+)?[\"'`]?{re.escape(table)}\b", re.IGNORECASE)
    files = [file for file, text in sources.items() if made.search(text) and file in modules]
    return (files[0], table) if len(files) == 1 else None


def _maps(module: Module, node: ast.ClassDef) -> bool:
    text = module.segment(node)
    return "Column" in text or "Mapped" in text or "mapped_column" in text


def _shift(before: str, after: str, line: int) -> int:
    """By how many lines a statement moved that stood at a line."""
    head = before.split("\n")[line - 1]
    rest = before.split("\n")[line - 1 :]
    moved = after.split("\n")
    return next((at - line for at in range(line, len(moved) + 1) if moved[at - 1] == head and moved[at - 1 :] == rest), 0)


# -- Alembic -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Version:
    file: str
    revision: str
    earlier: tuple[str, ...]


def _revision(sources: Mapping[str, str], table: str, keys: list[tuple[str, ...]]) -> FileChange | Unmended | None:
    """The next revision of the project's Alembic migrations; None where it has none."""
    known = [version for file, module in parsed(sources).items() if "/versions/" in f"/{file}" and (version := _version(file, module)) is not None]
    if not known:
        return None
    heads = [each for each in known if not any(each.revision in other.earlier for other in known)]
    if len(heads) != 1:
        return Unmended(f"the migrations have {len(heads)} heads")
    head = heads[0]
    slug = "_".join((table, "unique", *keys[0]))
    number = hashlib.sha256(f"{head.revision} {table} {keys}".encode()).hexdigest()[:12]
    file = (PurePosixPath(head.file).parent / f"{number}_{slug}.py").as_posix()
    made = "\n".join(f"        batch.create_unique_constraint({_named(table, key)!r}, {list(key)!r})" for key in keys)
    dropped = "\n".join(f'        batch.drop_constraint({_named(table, key)!r}, type_="unique")' for key in reversed(keys))
    told = " and ".join(", ".join(key) for key in keys)
    text = _TEMPLATE.format(table=table, told=told, number=number, head=head.revision, made=made, dropped=dropped).replace("'", '"')
    return FileChange(file, "", text)


_TEMPLATE = '''"""{table}: no two rows with the same {told}

Revision ID: {number}
Revises: {head}
"""
from alembic import op

revision = "{number}"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("{table}") as batch:
{made}


def downgrade() -> None:
    with op.batch_alter_table("{table}") as batch:
{dropped}
'''


def _version(file: str, module: Module) -> _Version | None:
    held: dict[str, ast.expr] = {}
    for node in module.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                held[name] = value
    revision, earlier = held.get("revision"), held.get("down_revision")
    if not isinstance(revision, ast.Constant) or not isinstance(revision.value, str):
        return None
    return _Version(file, revision.value, tuple(str(each.value) for each in ast.walk(earlier) if isinstance(each, ast.Constant) and each.value) if earlier is not None else ())
