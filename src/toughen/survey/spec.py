"""Owns routes that a specification file declares: connexion's `add_api`, with operationId naming the handler."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from toughen.survey import openapi, yaml
from toughen.survey.facts import dotted
from toughen.survey.project import Symbol, argument, keyword
from toughen.survey.routers import calls_on
from toughen.survey.routes import Found, plain

if TYPE_CHECKING:
    import ast

    from toughen.model.blueprint import Json
    from toughen.survey.routers import Graph, Router


def specified(graph: Graph) -> list[Found]:
    """Routes of every specification that is added to a connexion application that the root reaches."""
    project = graph.project
    reached = {each.router.key: each for each in graph.reached()}
    found: list[Found] = []
    for file, seen in project.sightings("link"):
        if seen.text != "add_api":
            continue
        for call in calls_on(project, file, seen.line, seen.end, "add_api"):
            base = dotted(call.func.value) if hasattr(call.func, "value") else ""
            key = graph.find(file, project.scope(file, call.lineno), base)
            if key not in reached or reached[key].router.kind != "connexion":
                continue
            document = _document(graph, reached[key].router, file, call)
            override = project.text(keyword(call, "base_path"), file)
            for operation in openapi.operations(document):
                handler = project.absolute(file, operation.handler) if operation.handler else ""
                symbol = handler if isinstance(handler, Symbol) else None
                definition = project.definition(symbol) if symbol else None
                path, _ = plain((override or "") + operation.path)
                found.append(
                    Found(
                        (operation.method,), path, symbol if definition else None, definition.line if definition else 0,
                        reached[key], call, (), operation.parameters, operation.body, operation.security,
                    )
                )  # fmt: skip
    return found


def _document(graph: Graph, router: Router, file: str, call: ast.Call) -> Json:
    project = graph.project
    name = project.text(argument(call, 0, "specification"), file)
    if not name:
        return None
    folder = project.text(keyword(router.call, "specification_dir"), router.file) or ""
    base = posixpath.dirname(router.file)
    for place in (posixpath.join(base, folder, name), posixpath.join(folder, name), posixpath.join(base, name), name):
        text = project.sources.extras.get(posixpath.normpath(place))
        if text is not None:
            try:
                return yaml.parse(text)
            except yaml.YamlError:
                return None
    return None
