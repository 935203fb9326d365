"""Owns twins: further boots of a prototype on the snapshot of a first one, with the same identities and journeys."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toughen.lab import migrations
from toughen.lab.credentials import Wallet
from toughen.lab.memory import Memory
from toughen.lab.opening import open_lab
from toughen.lab.servers import kind_of
from toughen.lab.target import LabTarget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toughen.lab.boot import Lab
    from toughen.lab.snapshot import Snapshot
    from toughen.model.identity import Identity
    from toughen.model.trial import Trial


@contextmanager
def mended(tree: Path, first: LabTarget, snapshot: Snapshot) -> Iterator[LabTarget]:
    """A changed tree of the same prototype, with a memory and journeys of its own. Raises BootError."""
    entry = first.blueprint.entry
    assert entry is not None
    with open_lab(tree, entry, first.lab.environment, first.lab.variables, server=kind_of(first.lab.world.server)) as lab:
        lab.redo(first.lab.steps)
        lab.world.bring(snapshot)
        migrations.further(lab, first.lab.project)
        wallet = logged_in(lab, first.wallet.everybody())
        yield LabTarget(lab, first.blueprint, wallet, first.snapshot, dict(first.learned), memory=Memory(together=first.memory.together, rehearsing=first.memory.rehearsing))


def logged_in(lab: Lab, identities: Iterable[Identity]) -> Wallet:
    """The identities, each with a fresh credential where one can be had."""
    wallet = Wallet()
    for identity in identities:
        wallet.add(identity)
    for identity in identities:
        wallet.renew(lab, identity)
    return wallet


@dataclass(frozen=True, slots=True)
class Probe:
    """A trial that needs a credential, and the status that it has where the credential is accepted."""

    trial: Trial
    status: int | None


def adopted(lab: Lab, first: LabTarget, snapshot: Snapshot, probe: Probe | None = None) -> LabTarget:
    """A booted lab of the same tree put on the snapshot; it shares what was learned with the first.

    Credentials are the first's where this boot accepts them (a secret that is made at random when the prototype is
    imported is another one here), else fresh ones.
    """
    with first.lab.world.lock:
        pristine, root = first.lab.world.pristine, lab.world.root

        def there(folder: str, names: list[str]) -> list[str]:
            """Links that the copy has already: `copytree` cannot write one over another."""
            return [each for each in names if (Path(folder) / each).is_symlink() and (root / Path(folder).relative_to(pristine) / each).is_symlink()]

        shutil.copytree(pristine, root, symlinks=True, dirs_exist_ok=True, ignore=there)
    lab.redo(first.lab.steps)
    lab.written |= first.lab.written
    lab.world.load(snapshot)
    wallet = Wallet()
    for identity in first.wallet.everybody():
        wallet.add(identity)
    twin = LabTarget(lab, first.blueprint, wallet, first.snapshot, first.learned, memory=first.memory)
    if probe is not None and twin.anew(probe.trial).last.status != probe.status:
        twin.wallet = logged_in(lab, first.wallet.everybody())
    return twin
