"""Owns how a model of Django's gets a unique key: the constraint in its class, and the migration beside it, as `makemigrations` writes it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.codemod import Module, unique_model
from toughen.codemod.constraints import fields_of
from toughen.codemod.module import dotted, halt
from toughen.handling import parsed
from toughen.model.patch import FileChange, Unmended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint

_LONGEST_NAME = 63
"""Bytes of a name that PostgreSQL keeps."""
_NUMBER = re.compile(r"^(\d+)_")
_LOOKS = frozenset({"filter", "get", "exists"})


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the project's, where it is declared."""

    module: Module
    node: ast.ClassDef
    label: str
    """Of its app."""
    folder: PurePosixPath
    """Of its app."""


@dataclass(frozen=True, slots=True)
class _Version:
    module: Module
    name: str
    earlier: tuple[str, ...]
    """Names of the migrations of the same app that it depends on, or stands for."""


def model_of(blueprint: Blueprint, sources: Mapping[str, str], table: str) -> Model | None:
    """The Django model of a table; None where it is none of the project's, or several may be it."""
    known = blueprint.table(table)
    name = (known.model or "").rpartition(".")[2] if known is not None else ""
    modules = parsed(sources)
    found = [(module, node) for module in modules.values() if name and _DECLARES.search(module.text) for node in module.classes() if node.name == name and fields_of(node)]
    own = [each for each in found if known is not None and known.location is not None and each[0].file == known.location.file]
    for some in (own, found):
        if len(some) == 1:
            module, node = some[0]
            folder = _app(module.file)
            return Model(module, node, _label(modules, folder), folder)
    return None


_DECLARES = re.compile(r"^(?:from|import) (?:django|rest_framework)\b", re.MULTILINE)


def declared(found: Model, sources: Mapping[str, str], keys: list[tuple[str, ...]]) -> tuple[str, list[tuple[str, ...]], FileChange | None] | Unmended:
    """(the text of the model's file, the fields of each key, the migration; None where the app keeps none).

    Raises UnmendableError.
    """
    modules = parsed(sources)
    held = fields_of(found.node)
    text, named = found.module.text, []
    for key in keys:
        missing = [each for each in key if each not in held]
        if missing:
            halt(f"{found.node.name} declares no field of the column {missing[0]}")
        fields = tuple(name for column, name in held.items() if column in key)
        draft = unique_model(Module(found.module.file, text), found.node.name, fields, _named(found, fields), _above(found, modules))
        if isinstance(draft, Unmended):
            return draft
        text = draft.done()
        named.append(fields)
    return text, named, _migration(found, modules, named)


def fixed(module: Module, function: str, fields: tuple[str, ...]) -> str:
    """A field that the function asks for by a value which stands in the source (`status="booked"`): rows of other values may be many; "" where none is."""
    for call in (each for each in ast.walk(module.function(function)) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in _LOOKS):
        for each in call.keywords:
            literal = isinstance(each.value, ast.Constant) or dotted(each.value).rpartition(".")[2].isupper()
            if literal and (each.arg or "").removesuffix("_id") in {one.removesuffix("_id") for one in fields}:
                return f"{each.arg}={module.segment(each.value)}"
    return ""


def _named(found: Model, fields: tuple[str, ...]) -> str:
    return "_".join(("unique", found.label, found.node.name.lower(), *fields))[:_LONGEST_NAME]


def _app(file: str) -> PurePosixPath:
    """The folder of the app that a file with models belongs to."""
    folder = PurePosixPath(file).parent
    while folder.name == "models":
        folder = folder.parent
    return folder


def _label(modules: Mapping[str, Module], folder: PurePosixPath) -> str:
    """The label of an app: what its configuration says, else the folder's name."""
    apps = modules.get((folder / "apps.py").as_posix())
    for node in ast.walk(apps.tree) if apps is not None else ():
        match node:
            case ast.Assign(targets=[ast.Name(id="label")], value=ast.Constant(value=str() as label)):
                return label
    return folder.name


def _above(found: Model, modules: Mapping[str, Module]) -> str:
    """The Meta that a model without one inherits, as text; "" for none. Refuses where several may be it."""
    held = []
    for base in found.node.bases:
        name = dotted(base)
        last = name.rpartition(".")[2]
        if not name or last == "Model":
            continue
        classes = [node for module in (found.module, *modules.values()) for node in module.classes() if node.name == last]
        inner = [item for item in classes[0].body if isinstance(item, ast.ClassDef) and item.name == "Meta"] if classes else []
        if any("constraints" in map(dotted, item.targets) for each in inner for item in each.body if isinstance(item, ast.Assign)):
            halt(f"{found.node.name} inherits constraints")
        if inner or (not classes and not last.endswith("Mixin")):
            held.append(name)
    return f"{held[0]}.Meta" if len(held) == 1 else "" if not held else halt(f"{found.node.name} inherits the Meta of several classes")


# -- the migration -----------------------------------------------------------------------------------------------------


def _migration(found: Model, modules: Mapping[str, Module], keys: list[tuple[str, ...]]) -> FileChange | None:
    folder = found.folder / "migrations"
    known = [each for module in modules.values() if PurePosixPath(module.file).parent == folder for each in _version(module, found.label)]
    if not known:
        return None
    leaves = [each for each in known if not any(each.name in other.earlier for other in known)]
    if len(leaves) != 1:
        halt(f"the migrations of {found.label} have {len(leaves)} leaves")
    leaf = leaves[0]
    number = int(match.group(1)) + 1 if (match := _NUMBER.match(leaf.name)) else len(known) + 1
    model = found.node.name.lower()
    first, *others = (f"{model}_{_named(found, key)}" for key in keys)
    name = f"{number:04d}_{first}{'_and_more' if others else ''}"
    made = "".join(_OPERATION.format(model=model, fields=", ".join(f'"{each}"' for each in key) + ("," if len(key) == 1 else ""), name=_named(found, key)) for key in keys)
    text = _TEMPLATE.format(label=found.label, leaf=leaf.name, made=made)
    return FileChange((folder / f"{name}.py").as_posix(), "", text.replace('"', leaf.module.quote))


_TEMPLATE = """from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("{label}", "{leaf}"),
    ]

    operations = [
{made}    ]
"""
_OPERATION = """        migrations.AddConstraint(
            model_name="{model}",
            constraint=models.UniqueConstraint(fields=({fields}), name="{name}"),
        ),
"""


def _version(module: Module, label: str) -> Iterator[_Version]:
    for node in module.classes():
        if node.name == "Migration":
            earlier = [pair for item in node.body if isinstance(item, ast.Assign) and {"dependencies", "replaces"} & set(map(dotted, item.targets)) for pair in ast.walk(item.value)]
            names = [pair.elts[1].value for pair in earlier if isinstance(pair, ast.Tuple) and len(pair.elts) == 2 and all(isinstance(each, ast.Constant) for each in pair.elts) and pair.elts[0].value == label]  # type: ignore[attr-defined]  # noqa: PLR2004
            yield _Version(module, PurePosixPath(module.file).stem, tuple(map(str, names)))
