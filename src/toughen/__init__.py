"""Owns the public verbs of toughen, for programs: check, fix, gate, replay; each executes a throw-away copy and gives what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toughen.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.model.finding import Finding, Outcome
    from toughen.model.verdict import Verdict
    from toughen.pipeline import Run

__all__ = ["__version__", "check", "fix", "gate", "replay"]


def check(path: str | Path, **settings: Any) -> Verdict:  # noqa: ANN401 - what `[tool.toughen]` knows
    """Prove where a prototype breaks. `settings` are those of `[tool.toughen]`: only, budget, app, seed.

    Raises ConfigurationError and SurveyError; what does not boot is told in the Verdict.
    """
    return _run(path, settings).check()


def fix(path: str | Path, *, write: bool = False, tests: bool = True, **settings: Any) -> Verdict:  # noqa: ANN401 - what `[tool.toughen]` knows
    """Mend what is proven; the project's files are changed only if `write` is said. Raises what `check` does, and DirtyTreeError."""
    run = _run(path, settings)
    if write:
        from toughen.harden.tree import demand_clean

        demand_clean(run.root)
    return run.fix(write=write, commit=False, tests=tests)


def gate(path: str | Path, *, only: tuple[str, ...] = (), changed: bool = False, base: str = "", **settings: Any) -> Verdict:  # noqa: ANN401 - what `[tool.toughen]` knows
    """Ask every gate, or `only` these; what each says is in the Verdict's `gates`. Raises what `check` does."""
    from toughen.gating.scope import scope_of

    run = _run(path, settings)
    return run.gate(scope_of(run.root, changed=changed or bool(base), named=base), only).verdict


def replay(proof: str | Path) -> tuple[Finding, Outcome]:
    """Execute a stored proof (a file below `.toughen/proofs/`) again. Raises ProofError and LabError."""
    from pathlib import Path

    from toughen.store import load

    file = Path(proof).resolve()
    return _run(file.parent.parent.parent, {"app": load(file)[0].app}).replay(file)


def _run(path: str | Path, settings: dict[str, Any]) -> Run:
    from pathlib import Path

    from toughen import config
    from toughen.pipeline import Run

    root = Path(path).resolve()
    return Run(root, config.read(root, **settings))
