"""Owns what a PostgreSQL database says of its own shape: tables, columns, keys, sequences."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.lab.rows import quoted
from toughen.model.blueprint import Column
from toughen.model.blueprint import Table as Described

if TYPE_CHECKING:
    import psycopg

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_MARK = f"""
SELECT coalesce(sum(hashtextextended(c.oid::text || ' ' || c.xmin::text || ' ' || a.mark, 0)), 0)::text FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (
  SELECT (SELECT coalesce(string_agg(xmin::text, ' ' ORDER BY attnum), '') FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0)
      || (SELECT coalesce(string_agg(oid::text || ' ' || xmin::text, ' ' ORDER BY oid), '') FROM pg_constraint WHERE conrelid = c.oid) AS mark) a
WHERE {_OURS}
"""
"""One number for the shape of everything: another one after any change, found without looking at the rows."""
_COLUMNS = f"""
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '', a.attidentity <> '',
       pg_get_expr(d.adbin, d.adrelid), t.typtype, t.oid::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_OURS}
  AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
ORDER BY n.nspname = 'public' DESC, 1, c.oid, a.attnum
"""
_KEYS = f"""
SELECT n.nspname, c.relname, k.contype::text, pg_get_constraintdef(k.oid), f.relname,
       ARRAY(SELECT attname::text FROM unnest(k.conkey) WITH ORDINALITY u(number, place) JOIN pg_attribute ON attrelid = k.conrelid AND attnum = u.number ORDER BY u.place),
       ARRAY(SELECT attname::text FROM unnest(k.confkey) WITH ORDINALITY u(number, place) JOIN pg_attribute ON attrelid = k.confrelid AND attnum = u.number ORDER BY u.place)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class f ON f.oid = k.confrelid
WHERE {_OURS} ORDER BY 1, 2, k.conname
"""
_INDEXES = f"""
SELECT n.nspname, c.relname, pg_get_indexdef(i.indexrelid), i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum = ANY (i.indkey))
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS} ORDER BY 1, 2, 3
"""
_SEQUENCES = f"SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND {_OURS} ORDER BY 1, 2"
_LABELS = "SELECT enumtypid::bigint, enumlabel FROM pg_enum ORDER BY enumtypid, enumsortorder"
_REST = f"""
SELECT 'view', n.nspname || '.' || c.relname, pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {_OURS}
UNION ALL SELECT 'function', p.oid::regprocedure::text, md5(p.prosrc) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS}
UNION ALL SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
ORDER BY 1, 2, 3
"""
_KINDS = (
    (r"\[\]$", "json"), (r"^bool", "boolean"), (r"^(big|small)?int|^integer", "integer"), (r"^timestamp", "datetime"), (r"^date$", "date"), (r"^jsonb?$", "json"),
    (r"^(character|text|varchar|citext|uuid|inet|time\b)", "string"), (r"^(numeric|real|double|money)", "number"), (r"^bytea", "blob"),
)


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table as it is read and written."""

    name: str
    """As the lab calls it: plain, with its schema where another table is called so."""
    quoted: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    written: tuple[str, ...]
    """Columns that a row is made of: those that the database computes are left out."""
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything but the rows."""

    mark: str
    """Another one after any change, and another one for the same shape made twice."""
    digest: str
    """The same for the same shape, whenever and wherever it was made."""
    tables: tuple[TableShape, ...]
    sequences: tuple[str, ...]
    """Quoted, with their schemas."""
    described: tuple[Described, ...] = field(compare=False, default=())


def mark(live: psycopg.Connection[Any]) -> str:
    """One number for the shape of everything."""
    row = live.execute(_MARK).fetchone()
    return str(row[0]) if row else ""


def shape(live: psycopg.Connection[Any], marked: str) -> Shape:
    """The shape as it is now."""
    columns, keys, indexes = (live.execute(text).fetchall() for text in (_COLUMNS, _KEYS, _INDEXES))
    sequences, labels, rest = (live.execute(text).fetchall() for text in (_SEQUENCES, _LABELS, _REST))
    said = [[row[:9] for row in columns], keys, indexes, sequences, sorted(str(label) for _, label in labels), rest]
    digest = hashlib.blake2b(repr(said).encode(), digest_size=12).hexdigest()
    grouped: dict[tuple[str, str], list[Any]] = {}
    for row in columns:
        grouped.setdefault((row[0], row[1]), []).append(row)
    names: dict[tuple[str, str], str] = {}
    for schema, table in grouped:
        # Those in `public` come first.
        names[schema, table] = f"{schema}.{table}" if table in names.values() else table
    tables, described = [], []
    for place, rows in grouped.items():
        primary: tuple[str, ...] = next((tuple(key[5]) for key in keys if (key[0], key[1]) == place and key[2] == "p"), ())
        tables.append(
            TableShape(
                names[place], ".".join(quoted(part) for part in place), tuple(row[2] for row in rows), tuple(row[3] for row in rows),
                tuple(row[2] for row in rows if not row[5]), primary,
            )
        )
        described.append(_described(names[place], place, rows, keys, indexes, labels))
    return Shape(marked, digest, tuple(tables), tuple(".".join(quoted(part) for part in row) for row in sequences), tuple(described))


def _described(name: str, place: tuple[str, str], rows: list[Any], keys: list[Any], indexes: list[Any], labels: list[Any]) -> Described:
    own = [key for key in keys if (key[0], key[1]) == place]
    primary: list[str] = next((key[5] for key in own if key[2] == "p"), [])
    uniques = {tuple(sorted(index[4])): tuple(index[4]) for index in indexes if (index[0], index[1]) == place and index[3] and sorted(index[4]) != sorted(primary)}
    uniques |= {tuple(sorted(key[5])): tuple(key[5]) for key in own if key[2] == "u"}
    refers = {key[5][0]: (str(key[4]), str(key[6][0])) for key in own if key[2] == "f" and len(key[5]) == 1 and key[6]}
    columns = []
    for _, _, column, kind, required, _, identity, default, family, type_id in rows:
        length = re.search(r"\((\d+)\)", kind)
        told = "string" if family == "e" else next((told for pattern, told in _KINDS if re.search(pattern, kind)), "any")
        columns.append(
            Column(
                column, told, nullable=not required, primary_key=column in primary, unique=(column,) in uniques, references=refers.get(column),
                enum=tuple(str(label) for owner, label in labels if owner == type_id), max_length=int(length.group(1)) if length and told == "string" else None,
                has_default=bool(default) or identity,
            )
        )
    return Described(name, tuple(columns), tuple(uniques.values()))
