"""Claims about settle: a state is entered once, and whoever comes second is refused as the check refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOANS = """
from fastapi import FastAPI, HTTPException
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import declarative_base, Session

app = FastAPI()
Base = declarative_base()

class Loan(Base):
    __tablename__ = 'loans'
    id = Column(Integer, primary_key=True)
    status = Column(String, default='pending')

def approve(loan_id, db):
    loan = db.query(Loan).filter(Loan.id == loan_id).first()
    loan.status = 'approved'
    db.commit()
    return loan.status
"""


def _line(piece: str, source: str = LOANS) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if piece in line)


def test_a_state_is_entered_by_an_update_that_asks_for_another_one(changed: Callable[..., Any]) -> None:
    """The change becomes a conditional UPDATE; with no check to copy, a miss is a 409 in the file's style."""
    assert changed(LOANS, lambda m: settle(m, _line("'approved'"))) == [
        "-    loan.status = 'approved'",
        "+    if not db.query(Loan).filter(Loan.id == loan.id, Loan.status != 'approved').update({Loan.status: 'approved'}):",
        "+        raise HTTPException(status_code=409, detail='Conflict')",
    ]


def test_two_sessions_that_both_read_it_open_settle_it_once(mended: Callable[..., Any], run: Callable[..., Any], tmp_path: Path) -> None:
    """The one that comes second is refused although it read the state before, and the first sees its row changed."""
    names = run(mended(LOANS, lambda m: settle(m, _line("'approved'"))))
    engine = names["create_engine"](f"sqlite:///{tmp_path}/bank.db")
    names["Base"].metadata.create_all(engine)
    with names["Session"](engine) as db:
        db.add(names["Loan"](id=1))
        db.commit()
    with names["Session"](engine) as late:
        late.get(names["Loan"], 1)
        late.rollback()
        with names["Session"](engine) as early:
            assert names["approve"](1, early) == "approved"
        with pytest.raises(names["HTTPException"]) as refusal:
            names["approve"](1, late)
    assert refusal.value.status_code == 409


def test_the_refusal_is_that_of_the_check_of_this_row(mended: Callable[..., Any]) -> None:
    """A check of the same attribute in front gives the answer; one of another row's attribute of that name does not."""
    source = LOANS.replace(
        "    loan.status = 'approved'",
        "    if user.status != 'active':\n        raise HTTPException(403, 'Not you')\n"
        "    if loan.status == 'approved':\n        raise HTTPException(400, 'Approved already')\n    loan.status = 'approved'",
    ).replace("approve(loan_id, db)", "approve(loan_id, user, db)")
    text = mended(source, lambda m: settle(m, _line("    loan.status = 'approved'", source)))
    assert text.count("raise HTTPException(400, 'Approved already')") == 2
    assert text.count("Not you") == 1


def test_a_column_that_holds_nothing_before_is_asked_for_that(mended: Callable[..., Any]) -> None:
    """Where nothing stood before, the condition is that nothing stands there, whatever the new value is."""
    source = LOANS.replace("loan.status = 'approved'", "loan.status = str(loan_id)")
    assert "Loan.status.is_(None)).update({Loan.status: str(loan_id)})" in mended(source, lambda m: settle(m, _line("str(loan_id)", source), unset=True))


def test_a_flag_is_asked_for_as_a_flag(mended: Callable[..., Any], run: Callable[..., Any], tmp_path: Path) -> None:
    """`used = True` asks for a row that is not used, also where nothing stands there yet."""
    source = LOANS.replace("loan.status = 'approved'", "loan.status = True").replace("Column(String, default='pending')", "Column(Boolean)").replace("Column, Integer", "Boolean, Column, Integer")
    text = mended(source, lambda m: settle(m, _line("loan.status = True", source)))
    assert "Loan.status.isnot(True)).update({Loan.status: True})" in text
    names = run(text)
    engine = names["create_engine"](f"sqlite:///{tmp_path}/bank.db")
    names["Base"].metadata.create_all(engine)
    with names["Session"](engine) as db:
        db.add(names["Loan"](id=1))
        db.commit()
        assert names["approve"](1, db) is True
        with pytest.raises(names["HTTPException"]):
            names["approve"](1, db)


def test_a_row_that_is_none_until_it_is_loaded_is_known(mended: Callable[..., Any]) -> None:
    """`loan = None`, then a query inside an `if`: the name is that model's row wherever it is one."""
    load = "    loan = db.query(Loan).filter(Loan.id == loan_id).first()\n    loan.status = 'approved'"
    source = LOANS.replace(load, "    loan = None\n    if loan_id:\n        loan = db.query(Loan).filter(Loan.id == loan_id).first()\n    if loan:\n        loan.status = 'approved'")
    assert "if not db.query(Loan).filter(Loan.id == loan.id, Loan.status != 'approved')" in mended(source, lambda m: settle(m, _line("loan.status =", source)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("loan.status = loan.status.upper()", "computed"),
        ("loan['status'] = 'approved'", "no `row.column = value`"),
        ("other.status = 'approved'", "unknown"),
    ],
)
def test_what_it_does_not_know_is_refused(refused: Callable[..., Any], change: str, reason: str) -> None:
    """A value that is computed, no attribute, and a row of unknown origin are for a person."""
    source = LOANS.replace("loan.status = 'approved'", change)
    assert reason in refused(source, lambda m: settle(m, _line(change, source)))
