r"""Owns the mechanical words: replace, put before or after, wrap, add an import, parameter, decorator, argument.

Each takes a Module and nodes of its tree and gives a Draft; each raises UnmendableError where its precondition fails.
Lines are written with four spaces a step and `\\n`; they come out in the file's own indentation and newlines.
"""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.codemod.draft import Draft, Edit
from toughen.codemod.module import Module, Span, bound_names, dotted, halt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.module import FunctionNode

_STEP = 4


def replace(module: Module, node: ast.AST | Span, text: str) -> Draft:
    """Write `text` in the place of a node (a decorated definition with its decorators) or span."""
    span = node if isinstance(node, Span) else module.span(node)
    return Draft(module, (Edit(span.start, span.end, text),))


def extend(module: Module, node: ast.AST, text: str) -> Draft:
    """Write `text` right behind a node, as a part of it."""
    end = module.span(node).end
    return replace(module, Span(end - 1, end), module.cut(Span(end - 1, end)) + text)


def before(module: Module, statement: ast.stmt, lines: str) -> Draft:
    """Put lines in front of a statement (and its decorators). Refuses a statement that does not start its line."""
    start = alone(module, statement).start
    at = module.line_start(start)
    return Draft(module, (Edit(at, at, layout(module, lines, module.indent(statement)) + module.newline),))


def after(module: Module, statement: ast.stmt, lines: str) -> Draft:
    """Put lines behind a statement and the comment on its last line. Refuses a statement that shares its line."""
    span = alone(module, statement)
    at = module.line_end(span.end)
    return Draft(module, (Edit(at, at, module.newline + layout(module, lines, module.indent(statement))),))


def follow(module: Module, statement: ast.stmt, lines: str) -> Draft:
    """Put a definition behind a statement, with the blank lines that definitions have around them in the file."""
    span = alone(module, statement)
    at = module.line_end(span.end)
    gap = module.newline * (2 if module.indent(statement) else 3)
    text = gap + layout(module, lines.strip("\n"), module.indent(statement))
    rest = module.cut(Span(at, min(len(module.data), at + len(module.newline) * 2))).strip(" \t")
    if rest and not rest.startswith(module.newline * 2):
        text += gap.removesuffix(module.newline)
    return Draft(module, (Edit(at, at, text),))


def remove(module: Module, statement: ast.stmt) -> Draft:
    """Take a statement away with its line; `pass` stays where it was the only one of its block."""
    span = alone(module, statement)
    if len(module.block(statement)) == 1:
        return replace(module, span, "pass")
    start, end = module.line_start(span.start), module.line_end(span.end)
    end += len(module.newline) if module.cut(Span(end, end + len(module.newline))) == module.newline else 0
    return replace(module, Span(start, end), "")


def wrap(module: Module, statements: Sequence[ast.stmt], head: str, tail: str = "", steps: int = 1) -> Draft:
    """Indent adjacent statements by `steps` (one) between `head` (`try:`) and `tail` (`finally:` and its lines).

    Lines that begin inside a string are left alone. Refuses statements that share a line or are not adjacent in
    one block.
    """
    block = module.block(statements[0])
    first = next(index for index, item in enumerate(block) if item is statements[0])
    if [id(item) for item in block[first : first + len(statements)]] != [id(item) for item in statements]:
        halt("the statements to be wrapped are not adjacent")
    start = module.line_start(alone(module, statements[0]).start)
    end = module.line_end(alone(module, statements[-1]).end)
    indent = module.indent(statements[0])
    number = min([statements[0].lineno, *(item.lineno for item in getattr(statements[0], "decorator_list", []))])
    lines: list[str] = [layout(module, head, indent)]
    for line in range(number, (statements[-1].end_lineno or number) + 1):
        text = module.line(line)
        keep = line in module.inner_lines or not text.strip()
        lines.append(text if keep else module.unit * steps + text)
    if tail:
        lines.append(layout(module, tail, indent))
    return Draft(module, (Edit(start, end, module.newline.join(lines)),))


def use(module: Module, statement: str) -> Draft:
    """Add an import (`import x`, `import x as y`, `from x import y, z`): each name once.

    An existing `from x import ...` of the file's head is extended; else a line follows the head's last import (in front of
    relative ones where it is none), or the docstring and `from __future__`. Refuses where a name already means something else in the file.
    """
    node = syntax.parse(statement).body[0]
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return halt(f"`{statement}` is no import")
    new = [alias for alias in node.names if not _held(module, node, alias)]
    if not new:
        return Draft(module)
    if isinstance(node, ast.ImportFrom):
        for item in _head(module):
            if (
                isinstance(item, ast.ImportFrom)
                and (item.module, item.level) == (node.module, node.level)
                and _plain(item)
            ):
                last = item.names[-1]
                gap = ", "
                if last.lineno != item.lineno and module.line(last.lineno).strip().startswith(last.name):
                    gap = "," + module.newline + module.indent(last)
                return extend(module, last, "".join(gap + written(alias) for alias in new))
        origin = "." * node.level + (node.module or "")
        statement = f"from {origin} import {', '.join(map(written, new))}"
    head = _head(module)
    if head:
        # What is absolute stands in front of the file's relative imports.
        above = [item for item in head if not (isinstance(item, ast.ImportFrom) and item.level)] if not getattr(node, "level", 0) else []
        at = module.line_end(module.span((above or head)[-1]).end)
        return Draft(module, (Edit(at, at, module.newline + statement),))
    at = module.line_start(module.span(module.tree.body[0]).start) if module.tree.body else len(module.data)
    return Draft(module, (Edit(at, at, statement + module.newline * 2),))


def _held(module: Module, node: ast.Import | ast.ImportFrom, alias: ast.alias) -> bool:
    """True when the name is imported so already; refuses where it means something else."""
    name = alias.asname or alias.name.partition(".")[0]
    wanted = f"{'.' * node.level}{node.module or ''}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
    if isinstance(node, ast.Import) and not alias.asname:
        wanted = name
    held = dict(_top_imports(module))
    if name in held:
        if held[name] not in {wanted, _MOVED.get(wanted)}:
            halt(f"`{name}` already means {held[name]} in {module.file}")
        return True
    rest = [item for item in module.tree.body if not isinstance(item, (ast.Import, ast.ImportFrom))]
    return halt(f"`{name}` already means something else in {module.file}") if name in set(bound_names(rest)) else False


def written(alias: ast.alias) -> str:
    """An alias as it is written."""
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


_MOVED = {"fastapi.HTTPException": "starlette.exceptions.HTTPException"}


def _plain(node: ast.ImportFrom) -> bool:
    return all(alias.name != "*" for alias in node.names)


def _top_imports(module: Module) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            found += [
                (a.asname or a.name.partition(".")[0], a.name if a.asname else a.name.partition(".")[0])
                for a in node.names
            ]
        elif isinstance(node, ast.ImportFrom):
            found += [(a.asname or a.name, f"{'.' * node.level}{node.module or ''}.{a.name}") for a in node.names]
    return found


def _head(module: Module) -> list[ast.stmt]:
    """Docstring, `from __future__` and the first run of imports; [] where the file starts otherwise."""
    found: list[ast.stmt] = []
    for index, node in enumerate(module.tree.body):
        docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not isinstance(node, (ast.Import, ast.ImportFrom)):
            break
        found.append(node)
    return found


def parameter(module: Module, function: FunctionNode, text: str, *, first: bool = False) -> Draft:
    """Add a parameter: in front (behind `self`), or behind the last that may precede it. Refuses a taken name."""
    node = syntax.parse(f"def f({text}): ...").body[0]
    new = node.args if isinstance(node, ast.FunctionDef) else halt(f"`{text}` is not a parameter")
    name = new.args[0].arg
    arguments = function.args
    existing = [*arguments.posonlyargs, *arguments.args]
    if name in {item.arg for item in (*existing, *arguments.kwonlyargs)}:
        halt(f"{function.name} already has a parameter `{name}`")
    plain = existing[: len(existing) - len(arguments.defaults)]
    if first:
        behind = existing[:1] if existing and existing[0].arg in {"self", "cls"} else []
        if new.defaults and len(plain) > len(behind):
            halt(f"`{text}` has a default and cannot come first")
    else:
        behind = existing if new.defaults else plain
    if behind:
        end = module.span(behind[-1]).end
        position = len(behind) - len(plain)
        if position > 0:
            end = _closed(module, end, arguments.defaults[position - 1])
        return Draft(
            module, (Edit(end, end, f", {text}" if _same_line(module, behind) else _own_line(module, behind, text)),)
        )
    opening = module.data.index(b"(", module.offset(function.lineno, function.col_offset)) + 1
    rest = existing[len(behind) :] or arguments.kwonlyargs or arguments.vararg or arguments.kwarg
    return Draft(module, (Edit(opening, opening, f"{text}, " if rest else text),))


def _closed(module: Module, left: int, node: ast.expr) -> int:
    """End of an expression with the parentheses around it that were opened behind byte `left`."""
    span = module.span(node)
    end = span.end
    for _ in range(module.data[left : span.start].count(b"(")):
        end = module.data.index(b")", end) + 1
    return end


def _same_line(module: Module, behind: list[ast.arg]) -> bool:
    last = behind[-1]
    return not module.line(last.lineno).strip().startswith(last.arg)


def _own_line(module: Module, behind: list[ast.arg], text: str) -> str:
    return "," + module.newline + module.indent(behind[-1]) + text


def decorate(module: Module, function: FunctionNode, text: str) -> Draft:
    """Put a decorator nearest to the function, below its routes. Refuses one that is there already."""
    wanted = ast.dump(syntax.expression(text.removeprefix("@")))
    if any(ast.dump(item) == wanted for item in function.decorator_list):
        halt(f"{function.name} already has the decorator @{text.removeprefix('@')}")
    at = module.offset(function.lineno, 0)
    if module.cut(Span(at, module.offset(function.lineno, function.col_offset))).strip():
        halt(f"{function.name} shares its line with another statement")
    return Draft(module, (Edit(at, at, f"{module.indent(function)}@{text.removeprefix('@')}{module.newline}"),))


def argument(module: Module, call: ast.Call, text: str) -> Draft:
    """Add an argument behind the others. Refuses a keyword that is there already and a bare generator argument."""
    keyword = syntax.expression(f"f({text})")
    new = keyword.keywords if isinstance(keyword, ast.Call) else []
    if new and new[0].arg and new[0].arg in {item.arg for item in call.keywords}:
        halt(f"the call already has an argument {new[0].arg}")
    parts: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    if not parts:
        end = module.span(call).end
        start = module.span(call.func).end
        opening = module.data.index(b"(", start) + 1
        return Draft(module, (Edit(opening, end - 1, text + module.cut(Span(opening, end - 1)).strip()),))
    if len(parts) == 1 and isinstance(parts[0], ast.GeneratorExp):
        halt("the call takes a generator: another argument needs parentheses")
    *others, last = sorted(parts, key=lambda item: module.span(item).start)
    left = module.span(others[-1]).end if others else module.data.index(b"(", module.span(call.func).end) + 1
    end = _closed(module, left, last.value if isinstance(last, ast.keyword) else last)
    starts_line = module.line(last.lineno).strip().startswith(module.segment(last).split("\n")[0].strip())
    gap = "," + module.newline + module.indent(last) if starts_line and last.lineno != call.lineno else ", "
    return Draft(module, (Edit(end, end, gap + text),))


def alone(module: Module, statement: ast.stmt) -> Span:
    """Span of a statement that has its lines to itself; refuses others (`a; b`, `if x: y`)."""
    span = module.span(statement)
    head = module.cut(Span(module.line_start(span.start), span.start))
    rest = module.cut(Span(span.end, module.line_end(span.end))).strip()
    if head.strip() or (rest and not rest.startswith(("#", "\\"))):
        halt(f"the statement at {module.file}:{statement.lineno} shares its line with another")
    if rest.startswith("\\"):
        halt(f"the statement at {module.file}:{statement.lineno} is continued by a backslash")
    return span


def layout(module: Module, lines: str, indent: str = "") -> str:
    """Lines in the file's own steps and newlines, below `indent`; no newline at the end."""
    done: list[str] = []
    for line in textwrap.dedent(lines).rstrip("\n").split("\n"):
        bare = line.lstrip(" ")
        steps, rest = divmod(len(line) - len(bare), _STEP)
        done.append(indent + module.unit * steps + " " * rest + bare if bare else "")
    return module.newline.join(done)


def same(left: ast.AST, right: ast.AST) -> bool:
    """True when two nodes are the same code, wherever they stand."""
    return ast.dump(left) == ast.dump(right)


def receiver(call: ast.Call) -> str:
    """Dotted name of what a method is called on; "" for others."""
    return dotted(call.func.value) if isinstance(call.func, ast.Attribute) else ""
