"""Owns names across files: which definition a name means, its syntax tree, and the constants that an expression holds."""

from __future__ import annotations

import ast
import textwrap
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from toughen import syntax
from toughen.survey.facts import Definition, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.blueprint import Json
    from toughen.survey.facts import FileFacts, Sighting
    from toughen.survey.sources import Sources

Function = ast.FunctionDef | ast.AsyncFunctionDef

_DEEPEST: Final = 12
_LIBRARIES: Final = frozenset({"fastapi", "flask", "starlette", "connexion", "pydantic", "sqlalchemy", "sqlmodel"})


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name that the project defines; `name` is "" for the module itself."""

    file: str
    name: str


class Missing:
    """What `fold` answers where an expression is no constant."""


MISSING: Final = Missing()


@dataclass
class Project:
    """The sources with names resolved; trees of single definitions are parsed when they are asked for."""

    sources: Sources
    import_root: str = "."
    package: str = ""
    """Name under which the root itself is imported (see `Entry.package`)."""
    _nodes: dict[tuple[str, int, int], list[ast.stmt]] = field(default_factory=dict)
    _lines: dict[str, list[str]] = field(default_factory=dict)
    _resolved: dict[tuple[str, str], Symbol | str] = field(default_factory=dict)
    asking: dict[Symbol, tuple[str, ...] | None] = field(default_factory=dict)
    """Functions in front of handlers that were looked at before: the roles that they ask for, None where they guard nothing."""

    @property
    def facts(self) -> dict[str, FileFacts]:
        """Facts of every parsed file."""
        return self.sources.facts

    @cached_property
    def folders(self) -> frozenset[str]:
        """Folders that hold Python files, and all folders above them."""
        found: set[str] = {""}
        for file in self.facts:
            folder = file.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    def sightings(self, *kinds: str) -> Iterator[tuple[str, Sighting]]:
        """All sightings of these kinds, by file."""
        for file, facts in self.facts.items():
            for each in facts.sightings:
                if each.kind in kinds:
                    yield file, each

    def scope(self, file: str, line: int) -> str:
        """Qualified name of the function around that line, "" at module level."""
        found = self.facts[file].enclosing(line)
        return found.name if found else ""

    # -- names ---------------------------------------------------------------------------------------------

    def resolve(self, file: str, name: str, scope: str = "", depth: int = 0) -> Symbol | str:
        """What a dotted name in a file means: a Symbol of the project, or the absolute name of something outside."""
        facts = self.facts.get(file)
        if facts is None or not name or depth > _DEEPEST:
            return name
        key = (file, name)
        if not scope and key in self._resolved:
            return self._resolved[key]
        found = self._resolve(file, facts, name, scope, depth)
        if not scope:
            self._resolved[key] = found
        return found

    def _resolve(self, file: str, facts: FileFacts, name: str, scope: str, depth: int) -> Symbol | str:
        while scope:
            if facts.definition(f"{scope}.{name}"):
                return Symbol(file, f"{scope}.{name}")
            scope = scope.rpartition(".")[0]
        head, _, rest = name.partition(".")
        if head in facts.assigned or facts.definition(head):
            return Symbol(file, name)
        if head in facts.imports:
            target = facts.imports[head]
            return self.absolute(file, f"{target}.{rest}" if rest else target, depth + 1)
        for star in facts.stars:
            module = self.absolute(file, star, depth + 1)
            if isinstance(module, Symbol) and not module.name and module.file != file:
                found = self.resolve(module.file, name, depth=depth + 1)
                if isinstance(found, Symbol):
                    return found
        return name

    def absolute(self, file: str, name: str, depth: int = 0) -> Symbol | str:
        """What an imported dotted name means; leading dots are relative to the file's package."""
        if depth > _DEEPEST:
            return name
        bare = name.lstrip(".")
        level = len(name) - len(bare)
        parts = bare.split(".") if bare else []
        folder = file.rpartition("/")[0]
        if level:
            for _ in range(level - 1):
                folder = folder.rpartition("/")[0]
            found = self._module(folder, parts, depth, relative=True)
            return found if found is not None else ".".join(parts)
        if parts and parts[0] in _LIBRARIES and file.startswith(f"{parts[0]}/"):
            # A folder that bears a library's name is not the library: who runs it stands in that folder.
            return name
        if self.package and parts[:1] == [self.package] and (found := self._module("", parts[1:], depth, relative=True)) is not None:
            return found
        for root in self._roots(folder):
            if (found := self._module(root, parts, depth)) is not None:
                return found
        return name

    def _roots(self, folder: str) -> Iterator[str]:
        first = "" if self.import_root == "." else self.import_root
        yield first
        while True:
            if folder != first:
                yield folder
            if not folder:
                break
            folder = folder.rpartition("/")[0]
        if "src" in self.folders:
            yield "src"

    def _module(self, folder: str, parts: list[str], depth: int, *, relative: bool = False) -> Symbol | str | None:
        """The longest prefix that is a module below the folder, and what the rest means in it."""
        prefix = f"{folder}/" if folder else ""
        for count in range(len(parts), -1 if relative else 0, -1):
            path = prefix + "/".join(parts[:count])
            for candidate in (f"{path}.py", f"{path}/__init__.py") if count else (f"{prefix}__init__.py",):
                if candidate in self.facts:
                    rest = ".".join(parts[count:])
                    if not rest:
                        return Symbol(candidate, "")
                    found = self.resolve(candidate, rest, depth=depth + 1)
                    return Symbol(candidate, rest) if found == rest else found
        return None

    def external(self, file: str, name: str) -> str:
        """The absolute name of something outside the project, "" where the project defines it."""
        found = self.resolve(file, name)
        return found if isinstance(found, str) else ""

    # -- trees ---------------------------------------------------------------------------------------------

    def statements(self, file: str, first: int, end: int) -> list[ast.stmt]:
        """The statements on these lines, with their true line numbers; [] where they cannot be cut out."""
        key = (file, first, end)
        if key in self._nodes:
            return self._nodes[key]
        lines = self._lines.get(file)
        if lines is None:
            lines = self._lines[file] = self.sources.texts.get(file, "").split("\n")
        segment = lines[first - 1 : end]
        nodes: list[ast.stmt] = []
        if segment:
            indented = segment[0][:1] in {" ", "\t"}
            source = "\n".join(["if 1:", *segment] if indented else segment)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    nodes = _parsed(source, first - 2 if indented else first - 1, indented=indented)
                except SyntaxError:
                    nodes = self._cut(file, first, end)
        self._nodes[key] = nodes
        return nodes

    def _cut(self, file: str, first: int, end: int) -> list[ast.stmt]:
        tree = syntax.tree(self.sources.texts[file])
        if tree is None:
            return []
        found = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.stmt) and node.lineno <= end and (node.end_lineno or 0) >= first
        ]
        # The innermost statements that overlap these lines: an outer one only repeats them.
        inner = {
            id(each) for node in found for each in ast.walk(node) if each is not node and isinstance(each, ast.stmt)
        }
        leaves = [node for node in found if not any(isinstance(each, ast.stmt) for each in ast.iter_child_nodes(node))]
        return leaves or [node for node in found if id(node) not in inner]

    def definition(self, symbol: Symbol) -> Definition | None:
        """The facts of a definition."""
        facts = self.facts.get(symbol.file)
        return facts.definition(symbol.name) if facts else None

    def node(self, symbol: Symbol) -> Function | ast.ClassDef | None:
        """The tree of a function or class."""
        found = self.definition(symbol)
        return self.tree(symbol.file, found) if found else None

    def tree(self, file: str, found: Definition) -> Function | ast.ClassDef | None:
        """The tree of a definition whose facts are known."""
        for statement in self.statements(file, found.first, found.end):
            for node in ast.walk(statement):
                if (
                    isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                    and node.lineno == found.line
                ):
                    return node
        return None

    def function(self, symbol: Symbol) -> Function | None:
        """The tree of a function, None for anything else."""
        node = self.node(symbol)
        return node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None

    def klass(self, symbol: Symbol) -> ast.ClassDef | None:
        """The tree of a class, None for anything else."""
        node = self.node(symbol)
        return node if isinstance(node, ast.ClassDef) else None

    def value(self, symbol: Symbol) -> ast.expr | None:
        """What a module-level name, or an attribute of a class, is bound to."""
        facts = self.facts.get(symbol.file)
        if facts is None:
            return None
        if span := facts.assigned.get(symbol.name):
            return _bound(self.statements(symbol.file, *span), symbol.name)
        owner, _, name = symbol.name.rpartition(".")
        if owner and (klass := self.klass(Symbol(symbol.file, owner))):
            return _bound(klass.body, name)
        return None

    def instance(self, symbol: Symbol) -> Symbol | None:
        """The class of a module-level instance: `settings = Settings()`."""
        value = self.value(symbol)
        if isinstance(value, ast.Call):
            found = self.resolve(symbol.file, dotted(value.func))
            if isinstance(found, Symbol) and (definition := self.definition(found)):
                if definition.kind == "class":
                    return found
                for name in definition.returns:
                    inner = self.resolve(found.file, name.removesuffix("()"))
                    if name.endswith("()") and isinstance(inner, Symbol):
                        return inner
        return None

    # -- constants -----------------------------------------------------------------------------------------

    def fold(self, node: ast.expr | None, file: str, depth: int = 0) -> Json | Missing:
        """The constant that an expression holds; names are followed through the project."""
        if node is None or depth > _DEEPEST:
            return MISSING
        match node:
            case ast.Constant(value=value):
                return value if isinstance(value, str | int | float | bool | None) else MISSING
            case ast.Name() | ast.Attribute():
                return self._fold_name(node, file, depth)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                values = [self.fold(each, file, depth + 1) for each in elements]
                return MISSING if any(isinstance(each, Missing) for each in values) else values  # type: ignore[return-value]
            case ast.Dict(keys=keys) if keys and all(isinstance(each, ast.Constant) for each in keys):
                return [each.value for each in keys if isinstance(each, ast.Constant)]  # type: ignore[misc]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                first, second = self.fold(left, file, depth + 1), self.fold(right, file, depth + 1)
                if isinstance(first, str) and isinstance(second, str):
                    return first + second
                return first + second if isinstance(first, list) and isinstance(second, list) else MISSING
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self.fold(operand, file, depth + 1)
                return -number if isinstance(number, int | float) else MISSING
            case ast.JoinedStr(values=parts):
                folded = [self.fold(each, file, depth + 1) for each in parts]
                return "".join(map(str, folded)) if not any(isinstance(each, Missing) for each in folded) else MISSING
            case ast.FormattedValue(value=inner):
                return self.fold(inner, file, depth + 1)
            case ast.Call(func=func, args=args):
                return self._fold_call(func, args, file, depth)
            case ast.BoolOp(op=ast.Or(), values=values):
                return self.fold(values[-1], file, depth + 1)
        return MISSING

    def _fold_name(self, node: ast.Name | ast.Attribute, file: str, depth: int) -> Json | Missing:
        name = dotted(node)
        if name.startswith("status.HTTP_") or ".status.HTTP_" in name:
            code = name.partition("HTTP_")[2][:3]
            return int(code) if code.isdigit() else MISSING
        if name.startswith("HTTPStatus.") or ".HTTPStatus." in name:
            from http import HTTPStatus

            status = HTTPStatus.__members__.get(name.rpartition(".")[2])
            return int(status) if status else MISSING
        if name.endswith(".value"):
            name = name.removesuffix(".value")
        found = self.resolve(file, name) if name else name
        if not isinstance(found, Symbol):
            return MISSING
        value = self.value(found)
        if value is None:
            owner, _, attribute = found.name.rpartition(".")
            if not owner or (klass := self.instance(Symbol(found.file, owner))) is None:
                return MISSING
            found = Symbol(klass.file, f"{klass.name}.{attribute}")
            value = self.value(found)
        return self.fold(value, found.file, depth + 1)

    def _fold_call(self, func: ast.expr, args: list[ast.expr], file: str, depth: int) -> Json | Missing:
        name = dotted(func)
        if name in {"str", "int", "float", "set", "list", "tuple", "frozenset", "HttpUrl", "Path"} and len(args) == 1:
            return self.fold(args[0], file, depth + 1)
        if name.endswith(("getenv", "environ.get", "config")) and len(args) > 1:
            return self.fold(args[1], file, depth + 1)
        if name.rpartition(".")[2] in {"Field", "Column"} and args:
            return self.fold(args[0], file, depth + 1)
        if isinstance(func, ast.Attribute) and func.attr == "join" and args:
            glue, parts = self.fold(func.value, file, depth + 1), self.fold(args[0], file, depth + 1)
            if isinstance(glue, str) and isinstance(parts, list):
                return glue.join(map(str, parts))
        return MISSING

    def text(self, node: ast.expr | None, file: str) -> str | None:
        """The string that an expression holds, None where it holds no known string."""
        value = self.fold(node, file)
        return value if isinstance(value, str) else None


def _parsed(source: str, shift: int, *, indented: bool) -> list[ast.stmt]:
    tree = syntax.parse(source)
    body = tree.body
    if indented and isinstance(body[0], ast.If):
        body = body[0].body
    for node in body:
        ast.increment_lineno(node, shift)
    return body


def _bound(body: list[ast.stmt], name: str) -> ast.expr | None:
    found: ast.expr | None = None
    for statement in body:
        for node in ast.walk(statement) if isinstance(statement, ast.If | ast.Try | ast.With) else (statement,):
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        if isinstance(target, ast.Name) and target.id == name:
                            found = value
                case ast.AnnAssign(target=ast.Name(id=bound), value=ast.expr() as value) if bound == name:
                    found = value
    return found


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """The value of the first of these keyword arguments."""
    return next((each.value for each in call.keywords if each.arg in names), None)


def argument(call: ast.Call, position: int, *names: str) -> ast.expr | None:
    """The argument at that position, or under one of these names."""
    if position < len(call.args) and not isinstance(call.args[position], ast.Starred):
        return call.args[position]
    return keyword(call, *names)


def source(node: ast.AST) -> str:
    """The expression as one line of source."""
    return textwrap.shorten(ast.unparse(node), 200, placeholder="...")
