"""Owns mends of raw SQL: values out of the text into bound parameters, and the owner into the WHERE."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import argument, extend, replace
from toughen.codemod.module import Module, Span, halt, names_in, scope_of
from toughen.codemod.sqltext import Char, Hole, Region, SqlText, Token, read, regions
from toughen.codemod.statements import Execution, execution, style_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLACES = {
    "?": re.compile(r"\?"),
    "%s": re.compile(r"%\(\w+\)s|%s"),
    "$": re.compile(r"\$\d+"),
    ":": re.compile(r"(?<!:):\w+"),
}


@word
def bind(module: Module, line: int, *, style: str = "", project: Sequence[Module] = ()) -> Draft:
    """Bind the values that the statement executed at `line` has in its text.

    Shapes: f-string, `%`, `+`, `.format`; in the executing call, in one local variable, inside `text()` of SQLAlchemy,
    or in the call of a project function that forwards (text, values) (`project`: modules in which it may be defined).
    Quotes around a value go; `'%{x}%'` becomes `f"%{x}%"` among the values; values bound already keep their order.
    Of an f-string or `+` with names and values the values are bound, and a note says what was left.
    `style` is `?`, `%s`, `$` or `:` where it is known; else the drivers imported decide.

    Refuses: text from a parameter, a repeated or `+=` assignment, or another function; names and clauses only; values
    that are formatted; values in DDL; parameters that are not written out as a tuple, list or dict; text used twice.
    """
    found = execution(module, line, project)
    text = read(module, found.text)
    spots = regions(text)
    if not spots:
        halt(f"the statement at {module.file}:{line} has no value in its text")
    taken = [spot for spot in spots if not spot.reason]
    left = [spot for spot in spots if spot.reason]
    if not taken or (left and text.whole):
        halt(f"the statement at {module.file}:{line} is not bindable: {left[0].reason}")
    _settled(module, found, [hole.expression for spot in taken for hole in _holes(text, spot)])
    how = style_of(module, found, project, style)
    binder = Binder(module, text, found, how)
    draft = Draft(module, tuple(binder.edits(taken))) + binder.parameters()
    reasons = dict.fromkeys(f"{_shown(text, spot)} was left in the text: {spot.reason}." for spot in left)
    return draft.note(*reasons)


def _holes(text: SqlText, spot: Region) -> list[Hole]:
    return [item for item in text.atoms[spot.start : spot.end] if isinstance(item, Hole)]


def _shown(text: SqlText, spot: Region) -> str:
    return "`" + " ".join(hole.text for hole in _holes(text, spot)) + "`"


def _settled(module: Module, found: Execution, values: list[ast.expr]) -> None:
    """Refuse where the text's variable is executed twice, or a value's name is bound again before the execution."""
    if found.assigned is None:
        return
    function = module.enclosing(found.call) or halt("the statement stands outside of a function")
    target = found.assigned.targets[0] if isinstance(found.assigned, ast.Assign) else None
    name = target.id if isinstance(target, ast.Name) else ""
    for call in (item for item in scope_of(function) if isinstance(item, ast.Call) and item is not found.call):
        executing = isinstance(call.func, ast.Attribute) and call.func.attr.startswith(("execute", "fetch"))
        if executing and any(name in names_in(item) for item in call.args):
            halt(f"`{name}` is executed more than once")
    wanted = {item for value in values for item in names_in(value)}
    for item in scope_of(function):
        stored = isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store) and item.id in wanted
        if stored and found.assigned.lineno < item.lineno < found.call.lineno:  # type: ignore[attr-defined]
            halt(f"`{item.id}` is bound again between the statement's text and its execution")  # type: ignore[attr-defined]


class Binder:
    """Turns chosen regions of one statement into places, and their expressions into parameters."""

    def __init__(self, module: Module, text: SqlText, found: Execution, style: str) -> None:
        """Begin with no value bound."""
        self.module, self.text, self.found, self.style = module, text, found, style
        self.values: list[tuple[int, str, str]] = []
        """(places of the text in front of it, name, expression) of each bound value."""

    def edits(self, spots: list[Region]) -> list[Edit]:
        """Edits of the text's literals."""
        result: list[Edit] = []
        taken = {(item.start, item.end) for item in spots}
        kept = {id(hole.token) for item in regions(self.text) if (item.start, item.end) not in taken for hole in _holes(self.text, item)}
        covered: set[int] = set()
        for spot in spots:
            covered |= set(range(spot.start, spot.end))
            front = self.text.plain(0, spot.start)
            count = len(_PLACES[self.style].findall(front)) if self.found.parameters is not None else 0
            name = self._name(spot)
            self.values.append((count, name, self._value(spot)))
            place = {"?": "?", "%s": "%s", ":": f":{name}"}.get(self.style, "")
            result.append(self._edit(spot, place or f"${count + len(self.values)}"))
        replaced = [(edit.start, edit.end) for edit in result]
        for index, atom in enumerate(self.text.atoms):
            if isinstance(atom, Char) and index not in covered and not any(a <= atom.start < b for a, b in replaced):
                new = self._char(atom, emptied=id(atom.token) not in kept)
                if new:
                    result.append(Edit(atom.start, atom.end, new))
        for token in self.text.tokens:
            formatted = "f" in token.prefix.lower() and id(token) not in kept
            if formatted and not any(a <= token.start < b for a, b in replaced):
                plain = token.prefix.replace("f", "").replace("F", "")
                result.append(Edit(token.start, token.start + len(token.prefix), plain))
        if self.text.tail is not None:
            result.append(Edit(self.text.tail.start, self.text.tail.end, ""))
        return result

    def _char(self, atom: Char, *, emptied: bool) -> str:
        """What a literal character must become: braces of a former f-string, `%` where the driver reads places."""
        source = self.module.cut(Span(atom.start, atom.end))
        if atom.value == "%":
            fresh = self.style == "%s" and self.found.parameters is None
            wanted = "%%" if fresh else "%" if self.text.tail is not None and self.style != "%s" else source
            return wanted if wanted != source else ""
        braced = source in {"{{", "}}"} and (emptied or self.text.tail is not None)
        return source[0] if braced else ""

    def _edit(self, spot: Region, place: str) -> Edit:
        """Replace a region; where it begins or ends outside of literals, the literals are joined."""
        atoms = self.text.atoms
        first, last = atoms[spot.start], atoms[spot.end - 1]
        before = atoms[spot.start - 1] if spot.start else None
        behind = atoms[spot.end] if spot.end < len(atoms) else None
        left = first.token or (before.token if before else None)
        if left is None:
            return halt("the statement's text begins with a value")
        start = first.start if first.token else left.end
        if last.token is not None:
            right: Token | None = last.token
            end = last.end
        else:
            right = behind.token if behind else None
            end = right.body if right else last.end
        if right is left or (right and (right.prefix, right.quote) == (left.prefix, left.quote)):
            return Edit(start, end, place)
        if last.token is not None and right is not None:
            return halt("the quotes around a value stand in literals of different kinds")
        return Edit(start, last.end, place + left.quote)

    def _value(self, spot: Region) -> str:
        """The expression that is bound: the hole, or an f-string of the quoted literal's pieces."""
        pieces = (
            self.text.atoms[spot.start + 1 : spot.end - 1] if spot.quoted else self.text.atoms[spot.start : spot.end]
        )
        if len(pieces) == 1 and isinstance(pieces[0], Hole):
            return self._bare(pieces[0], quoted=spot.quoted)
        holes = [item for item in pieces if isinstance(item, Hole)]
        texts = "".join(item.value if isinstance(item, Char) else "\0" for item in pieces).replace("''", "'")
        quote = self.module.quote
        if any(quote in hole.text for hole in holes):
            quote = "'" if quote == '"' else '"'
        body = texts.replace("{", "{{").replace("}", "}}")
        if (
            "\\" in body
            or "\n" in body
            or quote in body
            or any(quote in hole.text or "\\" in hole.text for hole in holes)
        ):
            halt("a value's text cannot be written as one f-string")
        for hole in holes:
            body = body.replace("\0", f"{{{hole.text}}}", 1)
        return f"f{quote}{body}{quote}"

    def _bare(self, hole: Hole, *, quoted: bool) -> str:
        match hole.expression:
            case ast.Call(func=ast.Name(id="str"), args=[value], keywords=[]) if not quoted:
                return self.module.segment(value)
            case ast.Tuple() | ast.Starred() | ast.NamedExpr() | ast.Yield() | ast.Await():
                return f"({hole.text})"
            case _:
                return hole.text

    def _name(self, spot: Region) -> str:
        hole = _holes(self.text, spot)[0]
        names = re.findall(r"[A-Za-z_]\w*", hole.text)
        base = (names[-1] if names else "value").lower()
        used = {name for _, name, _ in self.values} | {
            m[1:] for m in re.findall(r":\w+", self.text.plain(0, len(self.text.atoms)))
        }
        name, number = base, 2
        while name in used:
            name, number = f"{base}_{number}", number + 1
        return name

    def parameters(self) -> Draft:
        """Edits of the call: its parameters, written out, with the bound values at their places."""
        given, call = self.found.parameters, self.found.call
        if self.style == ":":
            return self._named()
        if self.style == "$":
            if given is not None:
                halt("the call has parameters already")
            return argument(self.module, call, ", ".join(value for _, _, value in self.values))
        if given is None:
            joined = _tuple([value for _, _, value in self.values])
            behind = len(call.args) != 1 or bool(self.found.keyword and call.keywords) or self.found.keyword == "params"
            return argument(
                self.module, call, f"{self.found.keyword}={joined}" if behind and self.found.keyword else joined
            )
        if isinstance(given, ast.Name):
            return self._joined(given)
        if not isinstance(given, (ast.Tuple, ast.List)) or any(isinstance(item, ast.Starred) for item in given.elts):
            halt("the call's parameters are not written out where it stands")
        items = [self.module.segment(item) for item in given.elts]
        for offset, (count, _, value) in enumerate(self.values):
            items.insert(count + offset, value)
        text = _tuple(items) if isinstance(given, ast.Tuple) else f"[{', '.join(items)}]"
        return replace(self.module, given, text)

    def _joined(self, given: ast.Name) -> Draft:
        """Values around a list that is put together elsewhere: all in front of its places, or all behind them."""
        values = ", ".join(value for _, _, value in self.values)
        total = len(_PLACES[self.style].findall(self.text.plain(0, len(self.text.atoms))))
        holes = sum(isinstance(item, Hole) for item in self.text.atoms)
        counts = {count for count, _, _ in self.values}
        if holes > len(self.values) or counts not in ({0}, {total}):
            halt(f"the order of the values in `{given.id}` is unknown here")
        first = counts == {0} and total
        return replace(self.module, given, f"[{values}, *{given.id}]" if first else f"[*{given.id}, {values}]")

    def _named(self) -> Draft:
        given, call, wrapper = self.found.parameters, self.found.call, self.found.wrapper
        pairs = ", ".join(f"{self.module.literal(name)}: {value}" for _, name, value in self.values)
        if isinstance(given, ast.Dict) and given.values:
            return extend(self.module, given.values[-1], f", {pairs}")
        if given is not None:
            return halt("the call's parameters are not written out where it stands")
        direct = call.args and (call.args[0] is wrapper or isinstance(call.args[0], ast.Name))
        if not direct:
            return halt("the statement reaches the driver through another call")
        return argument(self.module, call, f"{{{pairs}}}")


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


_TAIL = re.compile(
    r"\b(?:ORDER\s+BY|GROUP\s+BY|HAVING|LIMIT|OFFSET|RETURNING|FOR\s+UPDATE|FOR\s+SHARE|FETCH\s+FIRST)\b|;"
)


@word
def scope_sql(
    module: Module,
    line: int,
    column: str,
    caller: str,
    *,
    style: str = "",
    through: str = "",
    project: Sequence[Module] = (),
) -> Draft:
    """Add `AND column = caller` to the statement executed at `line`, and the caller to its parameters.

    Shapes: SELECT, UPDATE or DELETE with a WHERE in constant text (also in one local variable, `text()`, or a call of a
    forwarding project function), values written out as tuple, list or dict, or one name (`values` -> `[*values,
    caller]`). An OR in the WHERE is put in parentheses; in a JOIN an unqualified column gets the first table's alias.
    `through` is a condition with `{}` where the comparisons go, for an owner that is two tables away:
    `account_id IN (SELECT id FROM accounts WHERE {})`.
    Refuses: INSERT, UNION, no WHERE, sub-selects before the WHERE's end, a WHERE that names the column already.
    """
    found = execution(module, line, project)
    if caller.strip():
        try:
            syntax.expression(caller)
        except SyntaxError:
            halt("the caller is not an expression")
    text = read(module, found.text)
    flat = re.sub(r"'[^']*'", lambda match: "'" + "x" * (len(match.group()) - 2) + "'", text.plain(0, len(text.atoms)))
    upper = flat.upper()
    if not re.match(r"\s*(SELECT|UPDATE|DELETE)\b", upper) or re.search(r"\b(UNION|INTERSECT|EXCEPT)\b", upper):
        halt("only one SELECT, UPDATE or DELETE can be limited to an owner")
    where = _outer(upper, re.compile(r"\bWHERE\b"))
    if where is None:
        halt("the statement has no WHERE to extend")
    start = where.end()
    stop = _outer(upper, _TAIL, start)
    end = stop.start() if stop else len(flat)
    end = start + len(flat[start:end].rstrip())
    if re.search(rf"(?<!\w){re.escape(column.rpartition('.')[2])}\s*=", flat[start:end], re.IGNORECASE):
        halt(f"the statement's WHERE already names {column}")
    style = style_of(module, found, project, style)
    places = _PLACES[style]
    count = len(places.findall(flat[:end]))
    name = re.sub(r"\W+", "_", column.rpartition(".")[2])
    place = {":": f":{name}", "$": f"${len(places.findall(flat)) + 1}"}.get(style, style)
    last = text.atoms[end - 1]
    if not isinstance(last, Char):
        halt("the statement's WHERE ends with a value put into its text")
    alternatives = _outer(upper, re.compile(r"\bOR\b"), start, end) is not None
    times = max(through.count("{}"), 1)
    owner = through.replace("{}", f"{column} = {place}") if through else f"{_qualified(flat, column)} = {place}"
    if style in {"?", "%s"}:
        caller = ", ".join([caller] * times)
    behind = f"{')' if alternatives else ''} AND {owner}"
    edits = [Edit(last.start, last.end, module.cut(Span(last.start, last.end)) + behind)]
    if alternatives:
        first = text.atoms[start + len(flat[start:end]) - len(flat[start:end].lstrip())]
        edits.insert(0, Edit(first.start, first.end, "(" + module.cut(Span(first.start, first.end))))
    return Draft(module, tuple(edits)) + _extended(module, found, (style, count, name, caller))


def _outer(text: str, pattern: re.Pattern[str], start: int = 0, end: int | None = None) -> re.Match[str] | None:
    """The first match outside of parentheses."""
    for match in pattern.finditer(text, start, len(text) if end is None else end):
        between = text[: match.start()]
        if between.count("(") == between.count(")"):
            return match
    return None


def _qualified(text: str, column: str) -> str:
    joined = re.search(r"\bFROM\s+(\w+)(?:\s+(?:AS\s+)?(\w+))?\s+(?:\w+\s+)*?JOIN\b", text, re.IGNORECASE)
    if "." in column or joined is None:
        return column
    alias = joined.group(2)
    plain = not alias or alias.upper() in {"INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "JOIN"}
    return f"{joined.group(1) if plain else alias}.{column}"


def _extended(
    module: Module, found: Execution, added: tuple[str, int, str, str]
) -> Draft:
    style, count, name, caller = added
    given, call = found.parameters, found.call
    match given:
        case None if style == ":":
            return argument(module, call, f"{{{module.literal(name)}: {caller}}}")
        case None if style == "$" or not count:
            return argument(module, call, caller if style == "$" else _tuple([caller]))
        case ast.Dict(values=[*_, last]) if style == ":":
            return extend(module, last, f", {module.literal(name)}: {caller}")
        case _ if style == "$":
            return argument(module, call, caller)
        case ast.Tuple(elts=items) | ast.List(elts=items) if not any(isinstance(item, ast.Starred) for item in items):
            if count > len(items):
                halt("the statement has more places than values")
            texts = [module.segment(item) for item in items]
            texts.insert(count, caller)
            return replace(module, given, _tuple(texts) if isinstance(given, ast.Tuple) else f"[{', '.join(texts)}]")
        case ast.Name(id=values):
            return replace(module, given, f"[*{values}, {caller}]")
        case _:
            return halt("the statement's parameters are not written out where it is executed")
