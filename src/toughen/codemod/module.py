"""Owns one parsed source file of the prototype: byte offsets, lookups by name and line, imports and style."""

from __future__ import annotations

import ast
import builtins
import io
import re
import tokenize
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NoReturn

from toughen import syntax
from toughen.errors import ToughenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
LIMIT = 2_000_000
"""Bytes of source beyond which a file is not mended: nobody reviews such a file."""
_BOM = "\ufeff"
_LINE = re.compile(rb"\r\n|\n|\r")
_BUILTINS = frozenset(dir(builtins))


class UnmendableError(ToughenError):
    """A precondition of a mend does not hold; the message is the first sentence of the brief."""


def halt(reason: str) -> NoReturn:
    """Leave the word that is being applied with this reason."""
    raise UnmendableError(reason)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `end` (exclusive) of a file in UTF-8."""

    start: int
    end: int


@lru_cache(maxsize=32)
def _read(source: str) -> tuple[ast.Module, dict[ast.AST, ast.AST]]:
    """The tree of a text, which nobody changes, and the parent of each of its nodes."""
    tree = syntax.parse(source)
    return tree, {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


class Module:
    """A source file, parsed once. Spans are byte offsets into `data`; a BOM, CRLF and tabs are kept as they are.

    Raises UnmendableError for text that does not parse, is larger than LIMIT or nests too deeply.
    """

    def __init__(self, file: str, text: str) -> None:
        """Parse `text`, the content of `file` (POSIX path relative to the project's root)."""
        self.file = file
        self.text = text
        self.data = text.encode("utf-8", "surrogatepass")
        if len(self.data) > LIMIT:
            halt(f"{file} is larger than {LIMIT} bytes")
        self._skip = len(_BOM.encode()) if text.startswith(_BOM) else 0
        source = text.removeprefix(_BOM)
        try:
            self.tree, self._parents = _read(source)
        except SyntaxError as error:
            halt(f"{file} does not parse: {error}")
        body = self.data[self._skip :]
        self._starts = [self._skip] + [self._skip + match.end() for match in _LINE.finditer(body)]

    # places

    def offset(self, line: int, column: int) -> int:
        """Byte offset of a 1-based line and a column in UTF-8 bytes."""
        return self._starts[line - 1] + column

    def span(self, node: ast.AST) -> Span:
        """Bytes of a node; of a decorated definition from its first `@`."""
        line, column = node.lineno, node.col_offset  # type: ignore[attr-defined]
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        start = self.offset(line, column)
        if decorators:
            start = self.data.rindex(b"@", 0, self.offset(decorators[0].lineno, decorators[0].col_offset))
        return Span(start, self.offset(node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]

    def cut(self, span: Span) -> str:
        """Text of a span."""
        return self.data[span.start : span.end].decode("utf-8", "surrogatepass")

    def segment(self, node: ast.AST) -> str:
        """Source text of a node as it is written."""
        return self.cut(self.span(node))

    def line_start(self, at: int) -> int:
        """Offset of the start of the line that holds byte `at`."""
        return self._starts[max(bisect_right(self._starts, at) - 1, 0)]

    def line_end(self, at: int) -> int:
        """Offset of the end of the line that holds byte `at`, before its newline."""
        match = _LINE.search(self.data, at)
        return match.start() if match else len(self.data)

    def line(self, number: int) -> str:
        """Text of a 1-based line without its newline."""
        start = self._starts[number - 1]
        return self.cut(Span(start, self.line_end(start)))

    # style

    @cached_property
    def newline(self) -> str:
        """The newline that the file uses most."""
        found = Counter(match.group() for match in _LINE.finditer(self.data))
        return found.most_common(1)[0][0].decode() if found else "\n"

    @cached_property
    def unit(self) -> str:
        """One step of indentation: a tab or some spaces."""
        for node in ast.walk(self.tree):
            for block in blocks(node):
                parent, child = node, block[0]
                column = getattr(parent, "col_offset", None)
                if column is None or child.lineno == parent.lineno:  # type: ignore[attr-defined]
                    continue
                inner, outer = self.indent(child), self.indent(parent)
                if inner.startswith(outer) and len(inner) > len(outer):
                    return inner[len(outer) :]
        return "    "

    @cached_property
    def quote(self) -> str:
        """The quote that most one-line strings of the file use."""
        found = Counter(
            text.lstrip("rRbBuUfF")[0]
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.lineno == node.end_lineno
            for text in [self._peek(node)]
            if text.lstrip("rRbBuUfF")[:1] in {"'", '"'} and not text.lstrip("rRbBuUfF").startswith(('"""', "'''"))
        )
        return "'" if found["'"] > found['"'] else '"'

    def _peek(self, node: ast.expr) -> str:
        start = self.offset(node.lineno, node.col_offset)
        return self.data[start : start + 6].decode("utf-8", "replace")

    def literal(self, value: str) -> str:
        """A Python string literal in the file's quotes."""
        escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        other = '"' if self.quote == "'" else "'"
        if self.quote in escaped and other not in escaped:
            return f"{other}{escaped}{other}"
        return self.quote + escaped.replace(self.quote, "\\" + self.quote) + self.quote

    def indent(self, node: ast.AST) -> str:
        """White space in front of the line on which a node starts."""
        line = self.line(node.lineno)  # type: ignore[attr-defined]
        return line[: len(line) - len(line.lstrip(" \t\f"))]

    @cached_property
    def inner_lines(self) -> frozenset[int]:
        """Lines that begin inside a string: their white space is data and is never re-indented."""
        found: set[int] = set()
        opened: list[int] = []
        names = {value: key for key, value in tokenize.tok_name.items()}
        opening = names.get("FSTRING_START", -1)
        closing = names.get("FSTRING_END", -1)
        reader = io.StringIO(self.text.removeprefix(_BOM), newline=None).readline
        try:
            for token in tokenize.generate_tokens(reader):
                if token.type == tokenize.STRING:
                    found.update(range(token.start[0] + 1, token.end[0] + 1))
                elif token.type == opening:
                    opened.append(token.start[0])
                elif token.type == closing and opened:
                    found.update(range(opened.pop() + 1, token.end[0] + 1))
        except (tokenize.TokenError, SyntaxError) as error:
            halt(f"{self.file} cannot be split into tokens: {error}")
        return frozenset(found)

    # relations

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that holds this one."""
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around this one, innermost first."""
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def enclosing(self, node: ast.AST) -> FunctionNode | None:
        """The function that holds a node (not the node itself)."""
        return next((item for item in self.ancestors(node) if isinstance(item, FUNCTIONS)), None)

    def statement_of(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that holds a node."""
        for item in (node, *self.ancestors(node)):
            if isinstance(item, ast.stmt):
                return item
        return halt(f"no statement of {self.file} holds that expression")

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The list of statements in which this one stands."""
        above = self._parents.get(statement)
        for candidate in blocks(above) if above else ():
            if any(item is statement for item in candidate):
                return candidate
        return halt(f"the statement at {self.file}:{statement.lineno} stands in no block")

    # lookups

    @cached_property
    def functions(self) -> tuple[FunctionNode, ...]:
        """All functions and methods, in the order of the source."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, FUNCTIONS)]
        return tuple(sorted(found, key=lambda node: node.lineno))

    def qualified(self, node: FunctionNode | ast.ClassDef) -> str:
        """`Users.create`; a function inside a function is written `outer.inner`."""
        above = [item.name for item in self.ancestors(node) if isinstance(item, DEFINITIONS)]
        return ".".join([*reversed(above), node.name])

    def function(self, name: str, line: int = 0) -> FunctionNode:
        """The function of that qualified name (`a.<locals>.b`, `a.b`, or a unique `b`); `line` decides ties."""
        wanted = name.replace(".<locals>", "")
        found = [node for node in self.functions if self.qualified(node) == wanted]
        found = found or [node for node in self.functions if node.name == wanted.rpartition(".")[2]]
        if len(found) > 1 and line:
            found = [node for node in found if self.first_line(node) <= line <= (node.end_lineno or 0)] or found
        match found:
            case [only]:
                return only
            case []:
                return halt(f"{self.file} has no function {name}")
            case _:
                return halt(f"{self.file} defines {name} {len(found)} times")

    @staticmethod
    def first_line(node: FunctionNode | ast.ClassDef) -> int:
        """Line of the first decorator, or of the definition."""
        return min([node.lineno, *(item.lineno for item in node.decorator_list)])

    def function_at(self, line: int) -> FunctionNode:
        """The innermost function that spans a line."""
        found = [node for node in self.functions if self.first_line(node) <= line <= (node.end_lineno or 0)]
        return found[-1] if found else halt(f"no function spans {self.file}:{line}")

    def classes(self) -> list[ast.ClassDef]:
        """All classes, in the order of the source."""
        return list(self._classes)

    @cached_property
    def _classes(self) -> tuple[ast.ClassDef, ...]:
        return tuple(sorted((node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)), key=lambda node: node.lineno))

    def class_named(self, name: str) -> ast.ClassDef:
        """The class of that name (its last part where it is dotted)."""
        found = [node for node in self.classes() if node.name == name.rpartition(".")[2]]
        return found[0] if len(found) == 1 else halt(f"{self.file} defines class {name} {len(found)} times")

    def statement(self, line: int) -> ast.stmt:
        """The innermost statement that spans a line; the last one where several share it."""
        found = [node for node in self._statements if node.lineno <= line <= (node.end_lineno or node.lineno)]
        if not found:
            return halt(f"no statement stands at {self.file}:{line}")
        return min(found, key=lambda node: ((node.end_lineno or line) - node.lineno, -node.col_offset))

    @cached_property
    def _statements(self) -> list[ast.stmt]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.stmt)]

    # names

    @cached_property
    def imports(self) -> dict[str, str]:
        """Each name bound by an import, anywhere in the file, with its dotted origin (`jsonify` -> `flask.jsonify`)."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                origin = "." * node.level + (node.module or "")
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{origin}.{alias.name}"
        return found

    def resolve(self, node: ast.expr) -> str:
        """Dotted name of an expression with its first part replaced by what an import binds to it; "" for others."""
        name = dotted(node)
        head, dot, rest = name.partition(".")
        return self.imports.get(head, head) + dot + rest if name else ""

    @cached_property
    def globals(self) -> frozenset[str]:
        """Names bound at module level, including by imports."""
        return frozenset(bound_names(self.tree.body))

    def is_known(self, name: str) -> bool:
        """True when a name is a builtin or bound at module level."""
        return name in _BUILTINS or name in self.globals


def dotted(node: ast.AST) -> str:
    """`a.b.c` for names and attributes, "" for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            head = dotted(value)
            return f"{head}.{attribute}" if head else ""
        case _:
            return ""


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The non-empty statement lists of a node."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield block
    if isinstance(node, ast.Try):
        for handler in node.handlers:
            yield handler.body


def bound_names(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Names that statements bind in their own scope: imports, definitions, assignments, loops, handlers."""
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
                continue
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from (alias.asname or alias.name.partition(".")[0] for alias in aliases)
        yield from (
            item.id for item in scope(statement) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)
        )
        for block in blocks(statement):
            yield from bound_names(block)


def scope(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a node without entering functions, classes or lambdas inside it; in the order of the source."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*DEFINITIONS, ast.Lambda)):
            yield from scope(child)


def scope_of(function: FunctionNode) -> Iterator[ast.AST]:
    """Nodes of a function's own body, without the functions inside it."""
    for statement in function.body:
        yield from scope(statement) if not isinstance(statement, DEFINITIONS) else ()


def own(statement: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a statement without the statements inside it: of an `if` its test."""
    yield statement
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield from scope(child)


def names_in(node: ast.AST) -> set[str]:
    """Names that an expression or statement reads."""
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load)}
