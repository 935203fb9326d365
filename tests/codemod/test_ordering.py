"""Claims about defer: what is told to others comes behind the commit, and nothing that is needed before is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import defer

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = """
def order(db, data):
    row = Order(item=data.item)
    db.add(row)
    send_mail(data.email, f"ordered {data.item}")
    row.told = True
    db.commit()
    return row.id
"""


def _line(piece: str, source: str = ORDER) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if piece in line)


def test_what_is_told_comes_behind_the_commit(changed: Callable[..., Any]) -> None:
    """The call goes behind the commit of its block, and nothing else moves."""
    line = '    send_mail(data.email, f"ordered {data.item}")'
    assert changed(ORDER, lambda m: defer(m, _line("send_mail"))) == [f"-{line}", f"+{line}"]


def test_a_mail_within_a_with_is_moved_whole(mended: Callable[..., Any]) -> None:
    """`with smtplib.SMTP(...) as server:` goes with what it sends."""
    source = ORDER.replace('    send_mail(data.email, f"ordered {data.item}")', '    with smtplib.SMTP("mail") as server:\n        server.sendmail("us", data.email, "ordered")')
    text = mended(source, lambda m: defer(m, _line("sendmail", source)))
    assert text.index("db.commit()") < text.index("with smtplib") < text.index("        server.sendmail") < text.index("return row.id")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    send_mail(", "    row.charge = send_mail(", "is used"),
        ("    db.commit()\n", "", "no commit follows"),
        ("    row.told = True\n", "    if not row.item:\n        return None\n", "may leave"),
        ("    row.told = True\n", "    data = None\n", "bound again"),
    ],
)
def test_what_must_stay_is_left(refused: Callable[..., Any], old: str, new: str, reason: str) -> None:
    """A result that is used, a commit that is not there, a way out in between and names that change are for a person."""
    source = ORDER.replace(old, new)
    assert reason in refused(source, lambda m: defer(m, _line("send_mail", source)))
