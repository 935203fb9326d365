"""Owns the matrix as text: a line for each route, a column for each kind of user, and what is missing or waits for a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.model.matrix import ANONYMOUS, INVALID, Access, Whose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.matrix import Cell, Matrix

_LEGEND = "yes: it works · own, all, every: on his own objects, on all of his tenant, of other tenants too · -: refused · !: works and must not · ?: undecided · n/a: untested"
_WIDEST, _MOST = 48, 40
_WORDS = {Whose.NONE: "yes", Whose.OWN: "own", Whose.OTHER: "all", Whose.FOREIGN: "every"}
_RANK = (Whose.NONE, Whose.OWN, Whose.OTHER, Whose.FOREIGN)


def render(matrix: Matrix) -> str:
    """The table, then every cell that is missing, undecided or untested, with its reason."""
    return "\n".join([*_table(matrix), *_open(matrix)]) + "\n"


def counted(matrix: Matrix) -> str:
    """One line for a report of something else."""
    return f"Who may call what: {_counts(matrix)} (`toughen audit` shows them)."


def _table(matrix: Matrix) -> Iterator[str]:
    routes = list(dict.fromkeys(each.route for each in matrix.cells))
    columns = [ANONYMOUS, *(["invalid"] if any(each.who in INVALID for each in matrix.cells) else []), *matrix.roles]
    rows = [(route, [word(matrix.of(route), column) for column in columns]) for route in sorted(routes, key=lambda each: (each.partition(" ")[2], each))]
    width = min(_WIDEST, max((len(route) for route in routes), default=5))
    wide = [max(len(column), *(len(words[number]) for _, words in rows)) if rows else len(column) for number, column in enumerate(columns)]
    yield f"{'route':<{width}}  " + "  ".join(f"{column:<{wide[number]}}" for number, column in enumerate(columns)).rstrip()
    for route, words in rows:
        name = route if len(route) <= width else route[: width - 1] + "…"
        yield f"{name:<{width}}  " + "  ".join(f"{word:<{wide[number]}}" for number, word in enumerate(words)).rstrip()
    yield ""
    yield _LEGEND
    yield ""


def word(cells: tuple[Cell, ...], column: str) -> str:
    """What a kind of user can do, in one word."""
    own = [each for each in cells if (each.who in INVALID if column == "invalid" else each.who == column)]
    if not own:
        return ""
    works = [each for each in own if each.works]
    marks = ("!" if any(each.access is Access.MISSING for each in own) else "") + ("?" if any(each.access is Access.UNDECIDED for each in own) else "")
    if works:
        return _WORDS[max((each.whose for each in works), key=_RANK.index)] + marks
    return "n/a" if all(each.access is Access.UNTESTED for each in own) else "-"


def _counts(matrix: Matrix) -> str:
    return f"{len(matrix.cells)} cells: " + ", ".join(f"{matrix.count(access)} {access.value}" for access in Access)


def _open(matrix: Matrix) -> Iterator[str]:
    yield f"{_counts(matrix)}."
    if matrix.seconds:
        yield f"Asked with {matrix.requests} requests in {matrix.seconds:.1f} s: {len(matrix.cells) / matrix.seconds:.0f} cells a second."
    yield from (f"Note: {each}." for each in matrix.notes)
    for access, title in ((Access.MISSING, "An authorization is missing"), (Access.UNDECIDED, "Waiting for your yes or no"), (Access.UNTESTED, "Untested")):
        found = [each for each in matrix.cells if each.access is access]
        if found:
            yield ""
            yield f"{title} ({len(found)}):"
            yield from _told(found)


def _told(cells: list[Cell]) -> Iterator[str]:
    """Cells of one route and one reason on one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in cells:
        groups.setdefault((each.route, each.reason), []).append(each.subject)
    for (route, reason), subjects in list(groups.items())[:_MOST]:
        shown = ", ".join(subjects[:4]) + (f" and {len(subjects) - 4} more" if len(subjects) > 4 else "")  # noqa: PLR2004 - a line's width
        yield f"  {route}  by {shown}: {reason}"
    if len(groups) > _MOST:
        yield f"  and {len(groups) - _MOST} more: see the JSON report"
