"""Owns the environment variables that the source reads."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toughen import syntax
from toughen.model.blueprint import EnvironmentVariable
from toughen.model.source import Location
from toughen.survey.facts import dotted
from toughen.survey.models import bases
from toughen.survey.project import Missing, Project, Symbol, keyword
from toughen.survey.reliance import relied_on

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTINGS: Final = frozenset({"BaseSettings"})


def variables(project: Project) -> tuple[EnvironmentVariable, ...]:
    """Every variable once; required where a place needs it and no place of the same file supplies a default."""
    found: dict[str, EnvironmentVariable] = {}
    for each in (*_read(project), *_settings(project), *_wrapped(project), *_filed(project)):
        known = found.get(each.name)
        if known is None:
            found[each.name] = each
        elif (each.required and not known.required) or (known.default is None and each.default is not None):
            required = known.required or each.required
            default = known.default if known.default is not None else each.default
            found[each.name] = EnvironmentVariable(each.name, required, default, known.location, known.relied or each.relied)
    for name in _looked_for(project) & found.keys():
        found[name] = replace(found[name], required=False)
    return tuple(sorted(found.values(), key=lambda each: (each.location.file, each.location.line, each.location.function or "", each.name)))


def _looked_for(project: Project) -> frozenset[str]:
    """Variables that the source does without: `if "PORT" in os.environ`. Their being there says where it runs, and is not to be made up."""
    found = set()
    for text in project.sources.texts.values():
        tree = syntax.tree(text) if "environ" in text else None
        for node in ast.walk(tree) if tree is not None else ():
            match node:
                case ast.If(orelse=orelse) if any(isinstance(each, ast.Raise) for one in orelse for each in ast.walk(one)):
                    continue
                case ast.If(test=test) | ast.IfExp(test=test) | ast.Assign(value=test):
                    pass
                case _:
                    continue
            match test:
                case ast.Compare(left=ast.Constant(value=str() as name), ops=[ast.In()], comparators=[where]) if dotted(where).rpartition(".")[2] == "environ":
                    found.add(name)
    return frozenset(found)


def _place(project: Project, file: str, line: int) -> Location:
    return Location(file, line, project.scope(file, line) or None)


def _read(project: Project) -> Iterator[EnvironmentVariable]:
    for file, seen in project.sightings("environment"):
        default = seen.detail
        if default == "?":
            default = _computed(project, file, seen.line, seen.end, seen.text)
        relied = default is None and not seen.flag and relied_on(file, seen.line, seen.text, project.sources.texts)
        yield EnvironmentVariable(seen.text, seen.flag, default, _place(project, file, seen.line), relied)


def _computed(project: Project, file: str, first: int, end: int, name: str) -> str:
    """The default where the source computes it: its value where it is constant, else its source."""
    for statement in project.statements(file, first, end):
        for node in ast.walk(statement):
            if not isinstance(node, ast.Call | ast.BoolOp):
                continue
            call = node.values[0] if isinstance(node, ast.BoolOp) else node
            if not (isinstance(call, ast.Call) and call.args and project.text(call.args[0], file) == name):
                continue
            value = node.values[-1] if isinstance(node, ast.BoolOp) else None
            value = value or (call.args[1] if len(call.args) > 1 else keyword(call, "default"))
            if value is not None:
                folded = project.fold(value, file)
                return ast.unparse(value) if isinstance(folded, Missing) else str(folded)
    return ""


def _settings(project: Project) -> Iterator[EnvironmentVariable]:
    """Fields of pydantic settings classes."""
    for file, facts in project.facts.items():
        for definition in facts.definitions:
            symbol = Symbol(file, definition.name)
            if definition.kind != "class" or not definition.bases:
                continue
            above = list(bases(project, symbol))
            if not any(isinstance(each, str) and each.rpartition(".")[2] in _SETTINGS for each in above):
                continue
            node = project.klass(symbol)
            if node is not None:
                yield from _fields(project, file, definition.name, node)


def _fields(project: Project, file: str, name: str, node: ast.ClassDef) -> Iterator[EnvironmentVariable]:
    prefix = _prefix(project, file, node)
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        if each.target.id in {"model_config", "Config"} or dotted(each.annotation) == "ClassVar":
            continue
        variable = (prefix + each.target.id).upper()
        value = each.value
        if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] == "Field":
            alias = project.text(keyword(value, "env", "validation_alias", "alias"), file)
            variable = alias or variable
            given = value.args[0] if value.args else keyword(value, "default", "default_factory")
            value = None if isinstance(given, ast.Constant) and given.value is Ellipsis else given
        elif isinstance(value, ast.Constant) and value.value is Ellipsis:
            value = None
        folded = project.fold(value, file)
        default = None
        if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            default = ast.unparse(value) if isinstance(folded, Missing) else str(folded)
        yield EnvironmentVariable(variable, value is None, default, Location(file, each.lineno, name))


def _prefix(project: Project, file: str, node: ast.ClassDef) -> str:
    for each in ast.walk(node):
        match each:
            case ast.Assign(targets=[ast.Name(id="env_prefix")], value=value):
                return project.text(value, file) or ""
            case ast.Call(func=ast.Name(id="SettingsConfigDict" | "ConfigDict")):
                return project.text(keyword(each, "env_prefix"), file) or ""
    return ""


def _wrapped(project: Project) -> Iterator[EnvironmentVariable]:
    """Calls of the project's own functions that read the variable which their argument names."""
    for file, seen in project.sightings("wrapper"):
        definition = project.facts[file].enclosing(seen.line)
        if definition is None or seen.text not in definition.bases:
            continue
        position = definition.bases.index(seen.text)
        own = Symbol(file, definition.name)
        function = project.function(own)
        needed = seen.flag or (function is not None and not _supplied(function, seen.detail) and any(isinstance(each, ast.Raise) for each in ast.walk(function)))
        for user, text in project.sources.texts.items():
            if user in project.facts and f"{definition.name.rpartition('.')[2]}(" in text:
                yield from _calls(project, user, own, definition.bases, position, needed)


def _supplied(function: ast.FunctionDef | ast.AsyncFunctionDef, default: str | None) -> bool:
    """Whether a wrapper has a value for what is missing; an empty one, or a parameter that is None where nobody gives it, is none."""
    given = function.args
    held = dict(zip([each.arg for each in given.args][len(given.args) - len(given.defaults) :], given.defaults, strict=True))
    asked = [each.args[1] for each in ast.walk(function) if isinstance(each, ast.Call) and dotted(each.func).endswith(("getenv", "environ.get")) and len(each.args) > 1]
    nothing = any(isinstance(each, ast.Name) and isinstance(own := held.get(each.id), ast.Constant) and own.value in {None, ""} for each in asked)
    return bool(default) and not nothing


def _filed(project: Project) -> Iterator[EnvironmentVariable]:
    """Keys of what python-dotenv's `dotenv_values` read: they come from the file alone, or from it first."""
    for file, text in project.sources.texts.items():
        tree = syntax.tree(text) if "dotenv_values" in text else None
        nodes = list(ast.walk(tree)) if tree is not None else []
        held = {
            target.id
            for node in nodes if isinstance(node, ast.Assign)
            if any(isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] == "dotenv_values" for each in ast.walk(node.value))
            for target in node.targets if isinstance(target, ast.Name)
        }
        for node in nodes:
            match node:
                case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as key), ctx=ast.Load()) if name in held:
                    yield EnvironmentVariable(key, required=True, default=None, location=_place(project, file, node.lineno))
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=str() as key), *rest]) if name in held:
                    default = str(rest[0].value) if rest and isinstance(rest[0], ast.Constant) else None
                    yield EnvironmentVariable(key, required=False, default=default, location=_place(project, file, node.lineno))


def _argument(node: ast.Call, parameters: tuple[str, ...], position: int) -> ast.expr | None:
    """What a call gives for a parameter; a method's first one is the object before the dot."""
    by_name = keyword(node, parameters[position]) if position < len(parameters) else None
    place = position - (parameters[0] in {"self", "cls"} and isinstance(node.func, ast.Attribute))
    return by_name if by_name is not None else node.args[place] if 0 <= place < len(node.args) else None


def _is(project: Project, file: str, func: ast.expr, wrapper: Symbol) -> bool:
    """Whether a call's function is that one: by name, or as a method of the class around it."""
    if project.resolve(file, dotted(func)) == wrapper:
        return True
    own = isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id in {"self", "cls"}
    return own and file == wrapper.file and "." in wrapper.name


def _calls(
    project: Project, file: str, wrapper: Symbol, parameters: tuple[str, ...], position: int, needed: bool  # noqa: FBT001 - a fact of the wrapper
) -> Iterator[EnvironmentVariable]:
    short = wrapper.name.rpartition(".")[2]
    lines = project.sources.texts[file].split("\n")
    seen: set[int] = set()
    for number, line in enumerate(lines, 1):
        if f"{short}(" not in line or f"def {short}(" in line:
            continue
        for statement in project.statements(file, number, _end(lines, number)):
            for node in ast.walk(statement):
                if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] != short:
                    continue
                if id(node) in seen or not _is(project, file, node.func, wrapper):
                    continue
                seen.add(id(node))
                name = project.text(_argument(node, parameters, position), file)
                if not name:
                    continue
                given = _argument(node, parameters, position + 1) or keyword(node, "default")
                folded = project.fold(given, file)
                default = None
                if given is not None and folded is not None:
                    default = ast.unparse(given) if isinstance(folded, Missing) else str(folded)
                asked = keyword(node, "required")
                required = (needed and given is None) or (isinstance(asked, ast.Constant) and asked.value is True)
                yield EnvironmentVariable(name, required, default, _place(project, file, number))


def _end(lines: list[str], number: int) -> int:
    """The line where the brackets that open on this line are closed again."""
    depth = 0
    for index in range(number - 1, min(number + 20, len(lines))):
        depth += lines[index].count("(") - lines[index].count(")")
        if depth <= 0:
            return index + 1
    return number
