"""Owns SQL text as the source builds it: characters and holes with their bytes, and what SQL sees around each hole."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.codemod.module import Module, Span, halt

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENING = re.compile(r"([rRbBuUfF]{0,2})('''|\"\"\"|'|\")")
_SPEC = re.compile(r"%(?:\((\w+)\))?([sdi%])")
_FIELD = re.compile(r"\{(\w*)\}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "\n": ""}
_OPERATORS = ("=", "<", ">", "+", "-", "/", "|", "%")
_VALUE_WORDS = {"LIKE", "ILIKE", "GLOB", "REGEXP", "LIMIT", "OFFSET", "BETWEEN", "THEN", "ELSE", "IS", "NOT"}
_CLAUSES = re.compile(r"\b(SELECT|FROM|WHERE|SET|ORDER\s+BY|GROUP\s+BY|HAVING|LIMIT|OFFSET|VALUES|INTO|ON|RETURNING)\b")
_TYPED = {"INTERVAL", "DATE", "TIME", "TIMESTAMP", "AS", "COLLATE"}


@dataclass(frozen=True, slots=True)
class Token:
    """One string literal of the source: where it and its body lie."""

    start: int
    body: int
    end: int
    """End of the body; the quotes follow."""
    prefix: str
    quote: str

    @property
    def stop(self) -> int:
        """End with the quotes."""
        return self.end + len(self.quote)


@dataclass(frozen=True, slots=True)
class Char:
    """One character of the text, and the bytes that write it."""

    value: str
    start: int
    end: int
    token: Token


@dataclass(frozen=True, slots=True)
class Hole:
    """A place that an expression fills; `token` is None where it stands between literals (`"..." + x`)."""

    expression: ast.expr
    text: str
    start: int
    end: int
    token: Token | None
    plain: bool = True
    """False where a conversion or format changes the value (`{x!r}`, `{x:>5}`)."""


Atom = Char | Hole


@dataclass
class SqlText:
    """The text of one statement: atoms in order, its literals, and the parts that go once no hole is left."""

    atoms: list[Atom] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    tail: Span | None = None
    """` % (...)` or `.format(...)`."""
    whole: bool = False
    """True where all holes must go or none (`%` and `.format`)."""

    def plain(self, start: int, end: int) -> str:
        """Characters of a stretch of atoms; NUL for holes."""
        return "".join(item.value if isinstance(item, Char) else "\0" for item in self.atoms[start:end])


def read(module: Module, node: ast.expr) -> SqlText:
    """Read a string expression: literals, f-strings, `+`, `%` with a literal left side, `.format`. Refuses others."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return _literal(module, node)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, two = _operand(module, left), _operand(module, right)
            if one.tail or two.tail or one.whole or two.whole:
                halt("the statement's text is put together by + and another operator")
            return SqlText(one.atoms + two.atoms, one.tokens + two.tokens)
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return _percent(module, node, read(module, left), left, right)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return _formatted(module, node, read(module, value), value)
        case _:
            return halt("the statement's text is not built from literals in one expression")


def builds_text(node: ast.expr) -> bool:
    """True for expressions that `read` may take."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return builds_text(left) or builds_text(right)
        case ast.BinOp(left=left, op=ast.Mod()):
            return builds_text(left)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return builds_text(value)
        case _:
            return False


def _operand(module: Module, node: ast.expr) -> SqlText:
    if builds_text(node):
        return read(module, node)
    span = module.span(node)
    return SqlText([Hole(node, module.segment(node), span.start, span.end, None)])


def _literal(module: Module, node: ast.expr) -> SqlText:
    span = module.span(node)
    values = (
        [item for item in node.values if isinstance(item, ast.FormattedValue)]
        if isinstance(node, ast.JoinedStr)
        else []
    )
    result = SqlText()
    at = span.start
    while at < span.end:
        rest = module.cut(Span(at, span.end))
        gap = re.match(r"(?:\s|\\\r?\n|#[^\n]*\n)*", rest)
        at += len(gap.group().encode()) if gap else 0
        opening = _OPENING.match(module.cut(Span(at, span.end)))
        if opening is None:
            break
        at = _token(module, result, at, opening, values)
    if values:
        halt("the holes of an f-string could not be matched with its source")
    return result


def _token(module: Module, result: SqlText, at: int, opening: re.Match[str], values: list[ast.FormattedValue]) -> int:
    prefix, quote = opening.group(1), opening.group(2)
    body = at + len(opening.group())
    source = module.data[body:].decode("utf-8", "surrogatepass")
    pieces, length = _body(source, quote, formatted="f" in prefix.lower(), raw="r" in prefix.lower())
    token = Token(at, body, body + len(source[:length].encode("utf-8", "surrogatepass")), prefix, quote)
    result.tokens.append(token)
    offset = body
    for value, text in pieces:
        end = offset + len(text.encode("utf-8", "surrogatepass"))
        if value is None:
            if not values:
                halt("the holes of an f-string could not be matched with its source")
            result.atoms.append(_hole(values.pop(0), text, offset, end, token))
        elif value:
            result.atoms.append(Char(value, offset, end, token))
        offset = end
    return token.stop


def _hole(value: ast.FormattedValue, text: str, start: int, end: int, token: Token) -> Hole:
    inner = text[1:-1].strip()
    plain = value.format_spec is None and value.conversion in {-1, ord("s")}
    try:
        written = ast.dump(syntax.expression(f"({inner.removesuffix('!s')})"))
    except SyntaxError:
        written = ""
    if plain and written != ast.dump(value.value):
        halt("a hole of the f-string cannot be read")
    return Hole(value.value, inner.removesuffix("!s").strip(), start, end, token, plain)


def _body(source: str, quote: str, *, formatted: bool, raw: bool) -> tuple[list[tuple[str | None, str]], int]:
    """Split a literal's body into (character, source) pairs, None for holes; and the body's length."""
    pieces: list[tuple[str | None, str]] = []
    at = 0
    while not source.startswith(quote, at):
        char = source[at] if at < len(source) else halt("a literal does not end")
        if char == "\\":
            size = 3 if source.startswith("\\\r\n", at) else 2
            key = "\n" if size == 3 else source[at + 1]  # noqa: PLR2004
            if raw:
                pieces += [("\\", "\\"), (source[at + 1], source[at + 1])]
                size = 2
            elif key in _ESCAPES:
                pieces.append((_ESCAPES[key], source[at : at + size]))
            else:
                halt("the statement's text holds an escape that is not plain")
        elif formatted and source.startswith(("{{", "}}"), at):
            size = 2
            pieces.append((char, source[at : at + 2]))
        elif formatted and char == "{":
            size = _braces(source, at)
            pieces.append((None, source[at : at + size]))
        else:
            size = 1
            pieces.append((char, char))
        at += size
    return pieces, at


def _braces(source: str, start: int) -> int:
    depth, at, string = 0, start, ""
    while at < len(source):
        char = source[at]
        if string:
            string = "" if char == string else string
        elif char in "'\"":
            string = char
        elif char in "{[(":
            depth += 1
        elif char in "}])":
            depth -= 1
            if depth == 0:
                return at + 1 - start
        at += 1
    return halt("a hole of an f-string does not end")


def _percent(module: Module, node: ast.BinOp, text: SqlText, left: ast.expr, right: ast.expr) -> SqlText:
    named = {}
    if isinstance(right, ast.Dict):
        named = {k.value: v for k, v in zip(right.keys, right.values, strict=True) if isinstance(k, ast.Constant)}
    given = list(right.elts) if isinstance(right, ast.Tuple) else [right]
    if any(isinstance(item, ast.Starred) for item in given):
        halt("the values of the % operator are unpacked")

    def pick(match: re.Match[str]) -> ast.expr | None:
        if match.group(2) == "%":
            return None
        if match.group(1):
            return named.get(match.group(1)) or halt(f"the % operator has no value {match.group(1)}")
        return given.pop(0) if given else halt("the % operator has fewer values than places")

    return _filled(module, node, text, left, (_SPEC, pick))


def _formatted(module: Module, node: ast.Call, text: SqlText, left: ast.expr) -> SqlText:
    given = list(node.args)
    named = {word.arg: word.value for word in node.keywords}
    if None in named or any(isinstance(item, ast.Starred) for item in given):
        halt("the values of .format are unpacked")
    counter = iter(range(len(given)))

    def pick(match: re.Match[str]) -> ast.expr | None:
        name = match.group(1)
        index = int(name) if name.isdigit() else next(counter, -1) if not name else None
        if index is None:
            return named.get(name) or halt(f".format has no value {name}")
        return given[index] if 0 <= index < len(given) else halt(".format has fewer values than places")

    return _filled(module, node, text, left, (_FIELD, pick))


def _filled(module: Module, node: ast.expr, text: SqlText, left: ast.expr, how: tuple) -> SqlText:  # type: ignore[type-arg]
    pattern, pick = how
    if any(isinstance(item, Hole) for item in text.atoms):
        halt("the statement's text is formatted twice")
    plain = text.plain(0, len(text.atoms))
    atoms: list[Atom] = []
    at = 0
    for match in pattern.finditer(plain):
        first, last = text.atoms[match.start()], text.atoms[match.end() - 1]
        atoms += text.atoms[at : match.start()]
        at = match.end()
        value = pick(match)
        if not isinstance(first, Char) or not isinstance(last, Char):
            continue
        if value is None:
            atoms.append(Char("%", first.start, last.end, first.token))
        else:
            atoms.append(Hole(value, module.segment(value), first.start, last.end, first.token))
    atoms += text.atoms[at:]
    rest = [item.value for item in atoms if isinstance(item, Char) and item.start + 1 == item.end]
    if (pattern is _SPEC and "%" in rest) or (pattern is _FIELD and {"{", "}"} & set(rest)):
        halt("the statement's text is formatted with more than plain places")
    end = module.span(left).end
    while module.cut(Span(end, end + 1)) == ")" or module.cut(Span(end, end + 1)).isspace():
        if module.cut(Span(end, end + 1)) == ")" or module.cut(Span(end, module.span(node).end)).lstrip().startswith(
            ")"
        ):
            end += 1
        else:
            break
    return SqlText(atoms, text.tokens, Span(end, module.span(node).end), whole=True)


@dataclass(frozen=True, slots=True)
class Region:
    """Atoms `start` to `end` that one placeholder replaces: a hole, or a quoted literal with its holes."""

    start: int
    end: int
    quoted: bool
    reason: str = ""
    """Why it cannot be bound; "" where it can."""


def regions(text: SqlText) -> list[Region]:
    """The holes of a statement, each with the quotes around it and whether SQL takes a value there."""
    verb = re.match(r"\s*(?:--[^\n]*\n\s*)*(\w+)", text.plain(0, len(text.atoms)))
    data = verb is not None and verb.group(1).upper() in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE"}
    found: list[Region] = []
    for start, end, quote in _stretches(text):
        reason = "" if data else "only SELECT, INSERT, UPDATE and DELETE take bound values"
        holes = [item for item in text.atoms[start:end] if isinstance(item, Hole)]
        if any(not item.plain for item in holes):
            reason = reason or "a value is formatted before it enters the statement"
        reason = reason or _position(text, start, end, quote)
        found.append(Region(start, end, bool(quote), reason))
    return found


def _stretches(text: SqlText) -> Iterator[tuple[int, int, str]]:
    """(start, end, quote) of each hole outside of quotes and each quoted literal that holds one."""
    at, count = 0, len(text.atoms)
    while at < count:
        atom = text.atoms[at]
        if isinstance(atom, Hole):
            yield at, at + 1, ""
        elif atom.value in {"'", '"', "`"}:
            end = _quote_end(text.atoms, at, atom.value)
            if end >= count:
                halt("a quote of the statement does not end")
            if any(isinstance(item, Hole) for item in text.atoms[at:end]):
                yield at, end + 1, atom.value
            at = end
        elif text.plain(at, at + 2) == "--":
            while at < count and not _is_char(text.atoms[at], "\n"):
                if isinstance(text.atoms[at], Hole):
                    halt("a comment of the statement holds a value")
                at += 1
        at += 1


def _quote_end(atoms: list[Atom], start: int, quote: str) -> int:
    """Index of the quote that ends the literal begun at `start`; a doubled quote does not end it."""
    end = start + 1
    while end < len(atoms) and not _is_char(atoms[end], quote):
        end += 1
        while end + 1 < len(atoms) and _is_char(atoms[end], quote) and _is_char(atoms[end + 1], quote):
            end += 2
    return end


def _is_char(atom: Atom, value: str) -> bool:
    return isinstance(atom, Char) and atom.value == value


def _position(text: SqlText, start: int, end: int, quote: str) -> str:
    left, right = text.plain(0, start), text.plain(end, len(text.atoms))
    if quote == "`":
        return "a name in backticks cannot be bound"
    if not quote and (re.search(r"[\w\0.]$", left) or re.match(r"[\w\0.(]", right)):
        return "the value is a part of a name or number"
    head = re.sub(r"'[^']*'", "''", left).upper().rstrip()
    last = re.search(r"([A-Z_]+)$", head)
    name = last.group(1) if last else ""
    if name in _TYPED:
        return f"a value after {name} cannot be bound"
    if quote == "'" or head.endswith(_OPERATORS) or name in _VALUE_WORDS:
        return ""
    if re.search(r"\bBETWEEN\s+\S+\s+AND$", head) or (head.endswith("*") and not head.endswith("SELECT *")):
        return ""
    if re.search(r"\b(IN|VALUES)\s*\($", head) and re.match(r"\s*\)", right):
        return "a list of places or values is put in"
    if head.endswith(("(", ",")) and _in_list(head):
        return ""
    return "a name or a clause of the statement is put in, which cannot be bound"


def _in_list(head: str) -> bool:
    """True when the text ends inside `IN (`, `VALUES (`, a function's arguments, or after `LIMIT a,`."""
    depth, at = 0, len(head) - 1
    while at >= 0:
        if head[at] == ")":
            depth += 1
        elif head[at] == "(":
            if depth == 0:
                break
            depth -= 1
        at -= 1
    if at < 0:
        clauses = _CLAUSES.findall(head)
        return bool(clauses) and clauses[-1] == "LIMIT"
    before = head[:at].rstrip()
    if re.search(r"\bINTO\s+[\w.\"`\0]+$", before) or not before:
        return False
    return bool(re.search(r"(\bIN|\bVALUES|\b[A-Z_]+)$", before)) or before.endswith(",")
