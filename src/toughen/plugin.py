"""Owns `pytest --toughen`: stored proofs of races, kills and faults as tests, each replayed against the project as it is now.

Nothing of toughen's is imported before the option is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from toughen.lab.snapshot import Snapshot
    from toughen.model.finding import Outcome
    from toughen.store import StoredProof

_TOLD: pytest.StashKey[dict[str, Outcome | str]] = pytest.StashKey()


class StillBreaksError(AssertionError):
    """The break of a stored proof shows itself; the message says how."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    group = parser.getgroup("toughen")
    group.addoption("--toughen", action="store_true", help="Replay the stored proofs of races, kills and faults (.toughen/proofs/) as tests.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """With the option, every stored proof that a plain test cannot be written from is a test behind the project's own."""
    if not config.getoption("--toughen"):
        return
    from toughen.store import load, proofs

    root = next((each for each in (config.rootpath, config.invocation_params.dir) if (each / ".toughen" / "proofs").is_dir()), config.rootpath)
    collector = Proofs.from_parent(session, name="toughen", nodeid="toughen")
    session.stash[_TOLD] = {}
    for file in proofs(root):
        stored, snapshot = load(file)
        if forced(stored):
            items.append(StoredBreak.from_parent(collector, name=stored.finding, root=root, proof=(stored, snapshot)))


def forced(stored: StoredProof) -> bool:
    """Whether a proof takes what no request does: two at once, a fault, the death of a process."""
    return any(each.schedule or each.together or each.fault or each.kills for each in stored.proof.experiment.trials.values())


class Proofs(pytest.Collector):
    """Where the proofs hang in the tree of tests."""

    def collect(self) -> Iterable[pytest.Item]:
        """Nothing beside what the hook adds."""
        return ()


class StoredBreak(pytest.Item):
    """One stored proof: `toughen::race/lost-update@POST /transfer`."""

    def __init__(self, *, root: Path, proof: tuple[StoredProof, Snapshot], **rest: Any) -> None:  # noqa: ANN401 - pytest's own
        """Take the project's root and what the proof's file holds."""
        super().__init__(**rest)
        self.root = root
        self.proof = proof

    def runtest(self) -> None:
        """Pass where it is gone, fail where it still breaks, skip where nothing can be said; all that are chosen are replayed with the first of them."""
        from toughen.model.finding import Inconclusive, Proven
        from toughen.report.text import told

        known = self.session.stash[_TOLD]
        if self.name not in known:
            self._replay(known)
        match known[self.name]:
            case Proven(proof):
                raise StillBreaksError("\n".join([f"{self.name} still breaks: {proof.evidence.message}", *told(proof.evidence.facts)]))
            case Inconclusive(reason):
                pytest.skip(f"inconclusive: {reason}")
            case str(reason):
                pytest.fail(reason, pytrace=False)
            case _:
                return

    def _replay(self, known: dict[str, Outcome | str]) -> None:
        """Replay every proof that is to run, those that start alike in one boot."""
        from toughen import config
        from toughen.errors import ToughenError
        from toughen.pipeline import Run

        chosen = [each for each in self.session.items if isinstance(each, StoredBreak) and each.name not in known]
        names = {id(each.proof[0].proof): each.name for each in chosen}
        by_app: dict[str, list[StoredBreak]] = {}
        for each in chosen:
            by_app.setdefault(each.proof[0].app, []).append(each)
        for app, group in by_app.items():
            try:
                told = Run(self.root, config.read(self.root, app=app)).replays([each.proof for each in group])
            except ToughenError as error:
                known.update({each.name: f"the proofs cannot be replayed: {error.message}" for each in group})
                continue
            known.update({names[id(finding.proof)]: outcome for finding, outcome in told})

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401 - pytest's own
        """What still breaks, without a traceback of toughen's own."""
        if isinstance(excinfo.value, StillBreaksError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it is told of."""
        return self.root, None, self.nodeid
