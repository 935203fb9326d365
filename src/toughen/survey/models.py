"""Owns typed values as the source declares them: annotations, pydantic models, dataclasses and enums become Parameters."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from toughen import syntax
from toughen.model.blueprint import Json, Parameter, Place
from toughen.survey.facts import dotted
from toughen.survey.project import MISSING, Missing, Project, Symbol, keyword

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCALARS: Final = {
    "str": ("string", None), "int": ("integer", None), "float": ("number", None), "bool": ("boolean", None),
    "bytes": ("string", "binary"), "datetime": ("string", "date-time"), "date": ("string", "date"),
    "time": ("string", "time"), "timedelta": ("string", "duration"), "UUID": ("string", "uuid"),
    "UUID4": ("string", "uuid"), "UUID1": ("string", "uuid"), "Decimal": ("number", None),
    "EmailStr": ("string", "email"), "NameEmail": ("string", "email"), "HttpUrl": ("string", "uri"),
    "AnyUrl": ("string", "uri"), "AnyHttpUrl": ("string", "uri"), "FileUrl": ("string", "uri"),
    "SecretStr": ("string", "password"), "StrictStr": ("string", None), "StrictInt": ("integer", None),
    "StrictBool": ("boolean", None), "StrictFloat": ("number", None), "PositiveInt": ("integer", "positive"),
    "NonNegativeInt": ("integer", "natural"), "PositiveFloat": ("number", "positive"),
    "NonNegativeFloat": ("number", "natural"), "constr": ("string", None), "conint": ("integer", None),
    "confloat": ("number", None), "condecimal": ("number", None), "conlist": ("array", None),
    "IPvAnyAddress": ("string", "ipv4"), "PastDate": ("string", "date"), "FutureDate": ("string", "date"),
    "AwareDatetime": ("string", "date-time"), "NaiveDatetime": ("string", "date-time"), "UploadFile": ("file", None),
}  # fmt: skip
_LISTS: Final = frozenset(
    {"list", "List", "set", "Set", "frozenset", "FrozenSet", "Sequence", "Iterable", "tuple", "Tuple"}
)
_OBJECTS: Final = frozenset({"dict", "Dict", "Mapping", "MutableMapping", "Json", "JSON", "TypedDict"})
_BASES: Final = frozenset(
    {"BaseModel", "SQLModel", "Schema", "RootModel", "TypedDict", "Struct", "BaseSettings", "NamedTuple"}
)
_DEEPEST: Final = 8
_MOST: Final = 300


@dataclass(frozen=True, slots=True)
class Shape:
    """What an annotation admits."""

    type: str = "any"
    """As in Parameter, or `file`."""
    format: str | None = None
    enum: tuple[Json, ...] = ()
    optional: bool = False
    model: Symbol | None = None
    """The class of an object whose fields are known."""
    items: Shape | None = None
    metadata: tuple[tuple[str, ast.expr], ...] = ()
    """What `Annotated` adds, each with the file that it stands in."""
    arguments: ast.Call | None = None
    """`constr(...)` and its kin."""


def shape(project: Project, file: str, node: ast.expr | None, depth: int = 0) -> Shape:  # noqa: C901 - one case for each form of annotation
    """Read an annotation."""
    if node is None or depth > _DEEPEST:
        return Shape()
    match node:
        case ast.Constant(value=None):
            return Shape(optional=True)
        case ast.Constant(value=str() as text):
            try:
                return shape(project, file, syntax.expression(text), depth + 1)
            except SyntaxError:
                return Shape()
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([shape(project, file, each, depth + 1) for each in (left, right)])
        case ast.Subscript(value=value, slice=index):
            name = dotted(value).rpartition(".")[2]
            elements = index.elts if isinstance(index, ast.Tuple) else [index]
            if name == "Optional":
                return replace(shape(project, file, elements[0], depth + 1), optional=True)
            if name == "Union":
                return _union([shape(project, file, each, depth + 1) for each in elements])
            if name == "Annotated":
                inner = shape(project, file, elements[0], depth + 1)
                return replace(inner, metadata=(*inner.metadata, *((file, each) for each in elements[1:])))
            if name == "Literal":
                values = tuple(each.value for each in elements if isinstance(each, ast.Constant))
                return Shape(_type_of(values), enum=values)  # type: ignore[arg-type]
            if name in _LISTS:
                return Shape("array", items=shape(project, file, elements[0], depth + 1))
            if name in _OBJECTS:
                return Shape("object")
            if name in {"ClassVar", "Callable", "Type", "type"}:
                return Shape("none")
            return shape(project, file, value, depth + 1)
        case ast.Call(func=func):
            return replace(shape(project, file, func, depth + 1), arguments=node)
        case ast.Name() | ast.Attribute():
            return _named(project, file, dotted(node), depth)
    return Shape()


def _named(project: Project, file: str, name: str, depth: int) -> Shape:
    found = project.resolve(file, name)
    last = name.rpartition(".")[2]
    if isinstance(found, Symbol):
        definition = project.definition(found)
        if definition is None:
            value = project.value(found)
            # An alias: UserId = Annotated[int, Path(gt=0)]
            return shape(project, found.file, value, depth + 1) if value is not None else Shape()
        if definition.kind != "class":
            return Shape()
        values = enum_values(project, found)
        if values:
            return Shape(_type_of(values), enum=values)
        return Shape("object", model=found) if is_model(project, found) else Shape("class", model=found)
    known = _SCALARS.get(found.rpartition(".")[2]) or _SCALARS.get(last)
    if known:
        return Shape(*known)
    if last in _LISTS:
        return Shape("array")
    return Shape("object") if last in _OBJECTS else Shape()


def _union(parts: list[Shape]) -> Shape:
    real = [each for each in parts if each.type != "any" or not each.optional]
    optional = any(each.optional for each in parts)
    chosen = next((each for each in real if each.model), None) or (real[0] if real else Shape())
    return replace(chosen, optional=optional or chosen.optional)


def _type_of(values: tuple[object, ...]) -> str:
    match values[0] if values else None:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
    return "any"


def bases(project: Project, symbol: Symbol, depth: int = 0) -> Iterator[Symbol | str]:
    """Every base class, the nearest first; outside the project by absolute name."""
    definition = project.definition(symbol)
    if definition is None or depth > _DEEPEST:
        return
    for name in definition.bases:
        if not name or "=" in name:
            continue
        found = project.resolve(symbol.file, name)
        if found == symbol:
            continue
        yield found
        if isinstance(found, Symbol):
            yield from bases(project, found, depth + 1)


def is_model(project: Project, symbol: Symbol) -> bool:
    """Whether a class is a pydantic model or a relative of one."""
    definition = project.definition(symbol)
    if definition and any(
        head.rpartition(".")[2] in {"dataclass", "define", "attrs"} for head in definition.decorators
    ):
        return True
    return any(isinstance(each, str) and each.rpartition(".")[2] in _BASES for each in bases(project, symbol))


def enum_values(project: Project, symbol: Symbol) -> tuple[Json, ...]:
    """Values of an Enum's members, () for other classes."""
    names = {each.rpartition(".")[2] for each in bases(project, symbol) if isinstance(each, str)}
    if not names & {"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"} or (node := project.klass(symbol)) is None:
        return ()
    found: list[Json] = []
    for each in node.body:
        if isinstance(each, ast.Assign) and len(each.targets) == 1 and isinstance(each.targets[0], ast.Name):
            value = project.fold(each.value, symbol.file)
            if isinstance(each.value, ast.Call) and dotted(each.value.func).rpartition(".")[2] == "auto":
                value = each.targets[0].id.lower() if "StrEnum" in names else len(found) + 1
            if not isinstance(value, Missing) and not each.targets[0].id.startswith("_"):
                found.append(value)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Above:
    """Models around a field, and how many more may be entered: a model that holds itself has no end."""

    models: tuple[Symbol, ...] = ()
    budget: list[int] = field(default_factory=lambda: [_MOST])

    def admits(self, symbol: Symbol) -> bool:
        """Whether that model's fields may be read here."""
        return symbol not in self.models and len(self.models) < _DEEPEST and self.budget[0] > 0

    def enter(self, symbol: Symbol) -> Above:
        """The same, inside that model."""
        self.budget[0] -= 1
        return Above((*self.models, symbol), self.budget)


def fields(
    project: Project,
    symbol: Symbol,
    place: Place,
    path: tuple[str | int, ...] = (),
    *,
    required: bool = True,
    above: Above | None = None,
) -> list[Parameter]:
    """The leaves of a model's fields, those of its bases first."""
    above = (above or Above()).enter(symbol)
    found: dict[str, list[Parameter]] = {}
    for base in reversed([each for each in bases(project, symbol) if isinstance(each, Symbol)]):
        found.update(_own_fields(project, base, place, path, required=required, above=above))
    found.update(_own_fields(project, symbol, place, path, required=required, above=above))
    return [each for listed in found.values() for each in listed]


def _own_fields(
    project: Project, symbol: Symbol, place: Place, path: tuple[str | int, ...], *, required: bool, above: Above
) -> dict[str, list[Parameter]]:
    node = project.klass(symbol)
    found: dict[str, list[Parameter]] = {}
    for each in node.body if node else ():
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        name = each.target.id
        kind = shape(project, symbol.file, each.annotation)
        if name.startswith("_") or name == "model_config" or kind.type == "none":
            continue
        if isinstance(each.value, ast.Call) and dotted(each.value.func).rpartition(".")[2] == "Relationship":
            continue
        call, default = setting(project, symbol.file, each.value, kind)
        alias = _alias(project, symbol.file, call) or name
        needed = required and default is MISSING and not (each.value is not None and call is None)
        found[name] = leaves(
            project, symbol.file, kind, place, (*path, alias), call=call, default=default, required=needed, above=above
        )
    return found


def setting(project: Project, file: str, value: ast.expr | None, kind: Shape) -> tuple[ast.Call | None, Json | Missing]:
    """The Field/Query/Body call of a field, and its default; MISSING where it has none."""
    call = value if isinstance(value, ast.Call) and _is_setting(value) else None
    extra = next((each for _, each in kind.metadata if isinstance(each, ast.Call) and _is_setting(each)), None)
    if value is not None and call is None:
        folded = project.fold(value, file)
        return extra, (None if isinstance(folded, Missing) else folded)
    chosen = call or extra
    if chosen is None:
        return None, MISSING
    given = chosen.args[0] if chosen.args else keyword(chosen, "default")
    if call is None and not keyword(chosen, "default"):
        given = None
    if given is None:
        return chosen, (None if keyword(chosen, "default_factory") is not None else MISSING)
    if isinstance(given, ast.Constant) and given.value is Ellipsis:
        return chosen, MISSING
    folded = project.fold(given, file)
    return chosen, (None if isinstance(folded, Missing) else folded)


_SETTINGS: Final = frozenset({"Field", "Query", "Body", "Form", "File", "Header", "Cookie", "Path", "field", "Param"})


def _is_setting(call: ast.Call) -> bool:
    return dotted(call.func).rpartition(".")[2] in _SETTINGS


def _alias(project: Project, file: str, call: ast.Call | None) -> str | None:
    return project.text(keyword(call, "alias", "validation_alias"), file) if call else None


def leaves(
    project: Project,
    file: str,
    kind: Shape,
    place: Place,
    path: tuple[str | int, ...],
    *,
    call: ast.Call | None = None,
    default: Json | Missing = MISSING,
    required: bool = True,
    above: Above | None = None,
) -> list[Parameter]:
    """The Parameters of one value: one, or one for each leaf of a model or a list."""
    above = above or Above()
    if kind.type == "array" and place is Place.JSON:
        if kind.items is not None and kind.items.model not in above.models:
            found = leaves(project, file, kind.items, place, (*path, 0), required=required, above=above)
            if found:
                return found
    elif kind.type == "array" and kind.items is not None:
        kind = replace(kind.items, metadata=kind.metadata)
    if kind.model is not None and above.admits(kind.model) and place in {Place.JSON, Place.FORM, Place.QUERY}:
        found = fields(project, kind.model, place, path, required=required, above=above)
        if found:
            return found
    return [_leaf(project, file, kind, place, path, call=call, default=default, required=required)]


def _leaf(
    project: Project,
    file: str,
    kind: Shape,
    place: Place,
    path: tuple[str | int, ...],
    *,
    call: ast.Call | None,
    default: Json | Missing,
    required: bool,
) -> Parameter:
    form = kind.format
    type_ = {"class": "any", "none": "any", "file": "string"}.get(kind.type, kind.type)
    if kind.type == "file":
        place, form = Place.FILE, "binary"
    step = 1 if type_ == "integer" else 0.01
    bounds: dict[str, float] = {}
    if form in {"positive", "natural"}:
        bounds = {"gt" if form == "positive" else "ge": 0}
        form = None
    texts: dict[str, str] = {}
    example: Json = None
    for home, source in ((file, kind.arguments), *kind.metadata, (file, call)):
        for each in source.keywords if isinstance(source, ast.Call) else ():
            value = project.fold(each.value, home)
            if each.arg in {"gt", "ge", "lt", "le", "min_length", "max_length"} and isinstance(value, int | float):
                bounds[each.arg] = value
            elif each.arg in {"pattern", "regex"} and isinstance(value, str):
                texts["pattern"] = value
            elif each.arg in {"example", "examples"} and not isinstance(value, Missing):
                example = value[0] if each.arg == "examples" and isinstance(value, list) and value else value
    minimum = bounds.get("ge", bounds["gt"] + step if "gt" in bounds else None)
    maximum = bounds.get("le", bounds["lt"] - step if "lt" in bounds else None)
    return Parameter(
        place,
        path,
        type_,
        required=required,
        format=form,
        enum=kind.enum,
        default=None if isinstance(default, Missing) else default,
        example=example,
        minimum=minimum,
        maximum=maximum,
        min_length=int(bounds["min_length"]) if "min_length" in bounds else None,
        max_length=int(bounds["max_length"]) if "max_length" in bounds else None,
        pattern=texts.get("pattern"),
    )
