"""Owns how MySQL says that a statement waits for another's lock."""

from __future__ import annotations

import re
from typing import Any

from .my_server import server
from .waiting import Waiting, Watch

_STATUS = "SHOW ENGINE INNODB STATUS"
"""The tables of information_schema that tell the same are read anew every tenth of a second only, and never where they are asked more often."""
_THREAD = re.compile(r"thread id (\d+)")
_OTHER = "SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for % lock' OR state LIKE 'User lock%'"
"""Locks of whole tables, and of names."""


class _Watch(Watch):
    """The watch over MySQL's sessions."""

    def blocked(self, session: Any, running: list[Waiting]) -> set[int]:
        status = session.rows(_STATUS)
        text = str(status[0][-1]) if status else ""
        _, _, listed = text.partition("LIST OF TRANSACTIONS FOR EACH SESSION")
        waiting = [_THREAD.search(each) for each in listed.split("---TRANSACTION ") if "\nLOCK WAIT " in each]
        found = {int(each.group(1)) for each in waiting if each is not None}
        return found | {int(row[0]) for row in session.rows(_OTHER) if row[0]}

    def cancel(self, session: Any, pid: int) -> None:
        session.rows("KILL QUERY " + str(pid))


WATCH = _Watch(server)
"""The one watch of this process."""
