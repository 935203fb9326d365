"""Owns what was read from a request: values by place and path, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from toughen.model.blueprint import Json, Parameter, Place

_MAILBOXES = frozenset({"from", "to", "cc", "bcc", "sender", "reply-to", "return-path"})
"""Headers of a message that hold an address (RFC 5322 3.6)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in the request a value came from."""

    place: Place | None
    """None for the request object itself."""
    path: tuple[str | int, ...] = ()

    def below(self, key: str | int) -> Origin:
        """The value under a key."""
        return Origin(self.place, (*self.path, key))


@dataclass
class Note:
    """What is known of one value."""

    required: bool = False
    type: str | None = None
    default: Json = None
    enum: tuple[Json, ...] = ()
    compared: list[Json] = field(default_factory=list)


@dataclass
class Reading:
    """What was read: parameters by place and path."""

    notes: dict[Origin, Note] = field(default_factory=dict)
    roots: set[Place] = field(default_factory=set)
    raw: bool = False
    """Whether the body is read as it stands."""
    decoded: bool = False
    """Whether it is handed to a library that makes an object of it."""
    document: str | None = None
    """What a body that was read as it stands was parsed as: text, xml, email."""

    def note(self, origin: Origin) -> Note:
        """The note of a value, made when it is first met."""
        return self.notes.setdefault(origin, Note())

    @property
    def body(self) -> str | None:
        """Kind of body that is read."""
        if Place.JSON in self.roots:
            return "json"
        if Place.FILE in self.roots:
            return "multipart"
        if self.document is not None and Place.FORM not in self.roots:
            return self.document
        return "form" if Place.FORM in self.roots else None

    def parameters(self) -> list[Parameter]:
        """Leaves, as undeclared Parameters; a container whose content is read is no leaf."""
        inner = {
            Origin(origin.place, origin.path[:count]) for origin in self.notes for count in range(1, len(origin.path))
        }
        found: list[Parameter] = []
        for origin, note in self.notes.items():
            if origin.place is None or not origin.path or origin in inner:
                continue
            path = origin.path
            if origin.place is not Place.JSON and not (origin.place is Place.FORM and self.body == self.document):
                path = (next((key for key in path if isinstance(key, str)), ""),)
            values = note.enum or (
                tuple(dict.fromkeys(note.compared)) if len(set(map(repr, note.compared))) > 1 else ()
            )
            kind = note.type or (type_of(note.default) if note.default is not None else None)
            kind = kind or (type_of(values[0]) if values else None) or _usual(origin.place)
            parameter = Parameter(
                origin.place, path, kind, required=note.required, enum=values, default=note.default, declared=False,
                format="binary" if origin.place is Place.FILE else "email" if self.document == "email" and str(path[0]).lower() in _MAILBOXES else None,
            )  # fmt: skip
            if path[0] != "" and all((each.place, each.path) != (origin.place, path) for each in found):
                found.append(parameter)
        return found


def _usual(place: Place) -> str:
    return "any" if place is Place.JSON else "string"


def type_of(value: object) -> str | None:
    """JSON Schema type of a constant."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return None
