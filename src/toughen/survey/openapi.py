"""Owns the reading of OpenAPI documents (2.0, 3.0, 3.1): operations with their parameters as paths to leaves."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from toughen.model.blueprint import Json, Parameter, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

_METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
_DEEPEST: Final = 8
_MOST: Final = 8_000
_CENT: Final = 0.01
_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "array", "object"})
_PLACES: Final = {
    "path": Place.PATH,
    "query": Place.QUERY,
    "header": Place.HEADER,
    "cookie": Place.COOKIE,
    "formData": Place.FORM,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a document says about one method of one path."""

    method: str
    path: str
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    """json, form or multipart."""
    body_model: str | None = None
    security: tuple[str, ...] = ()
    """Names of the schemes that it asks for."""
    handler: str | None = None
    """connexion's operationId, with x-openapi-router-controller in front."""
    summary: str = ""


def operations(document: object) -> tuple[Operation, ...]:
    """Every operation of a document; what is malformed is left out."""
    if not isinstance(document, dict) or not isinstance(paths := document.get("paths"), dict):
        return ()
    reader = _Reader(document)
    found: list[Operation] = []
    base = document.get("basePath")
    prefix = base.rstrip("/") if isinstance(base, str) and "swagger" in document else _server_path(document)
    for path, item in paths.items():
        item = reader.follow(item)  # noqa: PLW2901 - the same item, its reference followed
        if not isinstance(item, dict):
            continue
        found.extend(
            reader.operation(method.upper(), prefix + str(path), item, operation)
            for method in _METHODS
            if isinstance(operation := item.get(method), dict)
        )
    return tuple(found)


def _server_path(document: dict[str, Any]) -> str:
    """The path of a relative server URL, which connexion puts in front of its routes."""
    servers = document.get("servers")
    if isinstance(servers, list) and servers and isinstance(servers[0], dict):
        url = servers[0].get("url")
        if isinstance(url, str):
            path = re.sub(r"^https?://[^/]*", "", url).rstrip("/")
            return path if path.startswith("/") and "{" not in path else ""
    return ""


def key(method: str, path: str) -> tuple[str, str]:
    """What two templates of the same route share: names of path parameters and a final slash do not count."""
    return method.upper(), re.sub(r"\{[^}]*\}|<[^>]*>", "{}", path).rstrip("/") or "/"


@dataclass(frozen=True, slots=True)
class _Reader:
    document: dict[str, Any]
    budget: list[int] = field(default_factory=lambda: [_MOST])
    """Schemas that one operation may still look at: references make small documents endless."""

    def follow(self, node: object, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
        """The node that a local `$ref` names."""
        while isinstance(node, dict) and isinstance(node.get("$ref"), str) and depth < _DEEPEST:
            depth += 1
            target: Any = self.document
            for part in node["$ref"].removeprefix("#").strip("/").split("/"):
                name = part.replace("~1", "/").replace("~0", "~")
                target = target.get(name) if isinstance(target, dict) else None
            rest = {name: value for name, value in node.items() if name != "$ref"}
            node = {**target, **rest} if isinstance(target, dict) and rest else target
        return node

    def operation(self, method: str, path: str, item: dict[str, Any], operation: dict[str, Any]) -> Operation:
        self.budget[0] = _MOST
        parameters: dict[tuple[Place, tuple[str | int, ...]], Parameter] = {}
        body: str | None = None
        model: str | None = None
        for listed in (item.get("parameters"), operation.get("parameters")):
            for raw in listed if isinstance(listed, list) else []:
                each = self.follow(raw)
                if not isinstance(each, dict) or not isinstance(each.get("name"), str):
                    continue
                if each.get("in") == "body":
                    body = "json"
                    schema = each.get("schema")
                    model = _model(schema)
                    found = self.flatten(Place.JSON, (), schema, required=bool(each.get("required", True)))
                else:
                    found = self._single(each)
                    if each.get("in") == "formData":
                        body = "multipart" if each.get("type") == "file" else body or "form"
                parameters.update({(one.place, one.path): one for one in found})
        request = self.follow(operation.get("requestBody"))
        if isinstance(request, dict):
            body, model, found = self._body(request)
            parameters.update({(one.place, one.path): one for one in found})
        security = operation.get("security", self.document.get("security"))
        return Operation(
            method,
            path,
            tuple(parameters.values()),
            body,
            model,
            _schemes(security),
            _handler(item, operation),
            str(operation.get("summary") or ""),
        )

    def _single(self, each: dict[str, Any]) -> list[Parameter]:
        place = _PLACES.get(str(each.get("in")))
        if place is None:
            return []
        schema = each.get("schema")
        content = each.get("content")
        if schema is None and isinstance(content, dict):
            schema = next((one.get("schema") for one in content.values() if isinstance(one, dict)), None)
        if schema is None:
            schema = {name: value for name, value in each.items() if name not in {"in", "name", "required"}}
        if each.get("type") == "file":
            place = Place.FILE
        required = each.get("required") is True or place is Place.PATH
        example = each.get("example")
        leaf = self.leaf(place, (each["name"],), schema, required=required, example=example)
        return [leaf] if leaf else []

    def _body(self, request: dict[str, Any]) -> tuple[str | None, str | None, list[Parameter]]:
        content = request.get("content")
        if not isinstance(content, dict) or not content:
            return None, None, []
        media = next((one for one in content if "json" in str(one)), None)
        media = media or next((one for one in content if "multipart" in str(one)), None)
        media = media or next(iter(content))
        described = content[media] if isinstance(content[media], dict) else {}
        schema = described.get("schema")
        kind = "json" if "json" in str(media) else "multipart" if "multipart" in str(media) else "form"
        if kind == "form" and "urlencoded" not in str(media):
            kind = "json"
        example = described.get("example")
        required = request.get("required") is not False
        place = Place.JSON if kind == "json" else Place.FORM
        return kind, _model(schema), self.flatten(place, (), schema, required=required, example=example)

    def flatten(
        self,
        place: Place,
        path: tuple[str | int, ...],
        schema: object,
        *,
        required: bool,
        example: Json = None,
        above: tuple[str, ...] = (),
    ) -> list[Parameter]:
        """The leaves below a schema; a container is a leaf only where nothing is known of its content, or it recurs."""
        node = self.merged(schema)
        names = tuple(_references(schema))
        if len(path) > _DEEPEST or self.budget[0] <= 0:
            return []
        if set(names) & set(above):
            leaf = self.leaf(place, path, schema, required=required, example=example)
            return [leaf] if leaf and not (path and path[-1] == 0) else []
        above = (*above, *names)
        if example is None:
            example = _example(node)
        properties = node.get("properties")
        if isinstance(properties, dict) and properties:
            listed = node.get("required")
            needed = {str(one) for one in listed} if isinstance(listed, list) else set()
            found: list[Parameter] = []
            for name, inner in properties.items():
                if self.merged(inner).get("readOnly") is True:
                    continue
                below = example.get(name) if isinstance(example, dict) else None
                found += self.flatten(
                    place,
                    (*path, str(name)),
                    inner,
                    required=required and name in needed,
                    example=below,
                    above=above,
                )
            return found
        items = node.get("items")
        if isinstance(items, dict) and place is Place.JSON:
            below = example[0] if isinstance(example, list) and example else None
            found = self.flatten(place, (*path, 0), items, required=required, example=below, above=above)
            if found:
                return found
        leaf = self.leaf(place, path, node, required=required, example=example)
        return [leaf] if leaf else []

    def leaf(
        self, place: Place, path: tuple[str | int, ...], schema: object, *, required: bool, example: Json = None
    ) -> Parameter | None:
        """One value; an array in a query or a form is described by its elements, for it is sent as repeated values."""
        node = self.merged(schema)
        if place is not Place.JSON and isinstance(node.get("items"), dict):
            inner = self.merged(node["items"])
            node = {**inner, **{name: node[name] for name in ("default",) if name in node}}
        kind = _type(node)
        form = node.get("format") if isinstance(node.get("format"), str) else None
        if place is Place.FORM and (form == "binary" or node.get("contentMediaType")):
            place = Place.FILE
        if place is Place.FILE:
            form = "binary"
        minimum, maximum = _bounds(node, kind)
        values = node.get("enum")
        enum = tuple(values) if isinstance(values, list) else (node["const"],) if "const" in node else ()
        return Parameter(
            place,
            path,
            kind,
            required=required,
            format=form,
            enum=enum,
            default=node.get("default"),
            example=example if example is not None else _example(node),
            minimum=minimum,
            maximum=maximum,
            min_length=_natural(node.get("minLength")),
            max_length=_natural(node.get("maxLength")),
            pattern=node["pattern"] if isinstance(node.get("pattern"), str) else None,
        )

    def merged(self, schema: object, depth: int = 0) -> dict[str, Any]:
        """The schema with references followed, `allOf` joined, and the first alternative that is not null."""
        found = self.follow(schema)
        self.budget[0] -= 1
        if not isinstance(found, dict) or depth > _DEEPEST or self.budget[0] <= 0:
            return {}
        node: dict[str, Any] = found
        if isinstance(parts := node.get("allOf"), list):
            whole: dict[str, Any] = {}
            for part in parts:
                whole = _join(whole, self.merged(part, depth + 1))
            node = _join(whole, {name: value for name, value in node.items() if name != "allOf"})
        for word in ("anyOf", "oneOf"):
            if isinstance(parts := node.get(word), list):
                chosen = [each for each in map(self.follow, parts) if not _is_null(each)]
                rest = {name: value for name, value in node.items() if name != word}
                first = self.merged(chosen[0], depth + 1) if chosen else {}
                node = _join(first, {name: value for name, value in rest.items() if name != "title"})
        return node


def _join(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    joined = {**first, **second}
    for word in ("properties", "required"):
        one, other = first.get(word), second.get(word)
        if isinstance(one, dict) and isinstance(other, dict):
            joined[word] = {**one, **other}
        elif isinstance(one, list) and isinstance(other, list):
            joined[word] = [*one, *other]
    return joined


def _references(schema: object) -> Iterator[str]:
    """Names of the schemas that a schema means itself: not those of its properties."""
    if isinstance(schema, dict):
        if isinstance(name := schema.get("$ref"), str):
            yield name
        for word in ("allOf", "anyOf", "oneOf"):
            for each in parts if isinstance(parts := schema.get(word), list) else ():
                if isinstance(each, dict) and isinstance(name := each.get("$ref"), str):
                    yield name


def _is_null(node: object) -> bool:
    return isinstance(node, dict) and (node.get("type") == "null" or node.get("enum") == [None] or not node)


def _type(node: dict[str, Any]) -> str:
    kind = node.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "any")
    if isinstance(kind, str) and kind in _TYPES:
        return kind
    if kind == "file":
        return "string"
    sample = node["const"] if "const" in node else next(iter(node.get("enum") or ()), None)
    match sample:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
    return "object" if "properties" in node or "additionalProperties" in node else "any"


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _natural(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _bounds(node: dict[str, Any], kind: str) -> tuple[float | None, float | None]:
    """Inclusive bounds; an exclusive one moves by 1 for integers and by a cent for other numbers."""
    step = 1 if kind == "integer" else _CENT
    minimum, maximum = _number(node.get("minimum")), _number(node.get("maximum"))
    low, high = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    if low is True and minimum is not None:
        minimum += step
    elif (bound := _number(low)) is not None:
        minimum = max(bound + step, minimum) if minimum is not None else bound + step
    if high is True and maximum is not None:
        maximum -= step
    elif (bound := _number(high)) is not None:
        maximum = min(bound - step, maximum) if maximum is not None else bound - step
    return minimum, maximum


def _example(node: dict[str, Any]) -> Json:
    if "example" in node:
        value: Json = node["example"]
        return value
    listed = node.get("examples")
    return listed[0] if isinstance(listed, list) and listed else None


def _model(schema: object) -> str | None:
    if not isinstance(schema, dict):
        return None
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        # FastAPI makes such a schema up for the fields of a form.
        return None if name.startswith("Body_") else name
    for word in ("allOf", "anyOf", "oneOf"):
        listed = schema.get(word)
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and isinstance(each.get("$ref"), str):
                return str(each["$ref"]).rpartition("/")[2]
    return None


def _schemes(security: object) -> tuple[str, ...]:
    """Schemes of all alternatives; none where an empty alternative lets everybody in."""
    if not isinstance(security, list) or any(each == {} for each in security):
        return ()
    return tuple(dict.fromkeys(str(name) for each in security if isinstance(each, dict) for name in each))


def _handler(item: dict[str, Any], operation: dict[str, Any]) -> str | None:
    name = operation.get("operationId")
    if not isinstance(name, str):
        return None
    for node in (operation, item):
        for word in ("x-openapi-router-controller", "x-swagger-router-controller"):
            if isinstance(node.get(word), str):
                return f"{node[word]}.{name}"
    return name
