"""Owns the examples that the help of each verb ends with, and what a shell completes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

EXAMPLES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "check": (
        ("toughen check", "all breaks of the prototype in this folder"),
        ("toughen check shop --only race --only security/sql-injection", "one place, and one break"),
        ("toughen check shop --static", "what the source alone shows; nothing is executed"),
        ("toughen check --format sarif -o toughen.sarif", "for code scanning"),
    ),
    "fix": (
        ("toughen fix --dry-run", "the diff; nothing is written"),
        ("toughen fix --commit", "one commit for each mend"),
        ("toughen fix shop --only race/lost-update", "one break"),
    ),
    "audit": (
        ("toughen audit", "who may call what; writes toughen-policy.toml for you to review"),
        ("toughen audit --no-write --format json -o matrix.json", "only look"),
    ),
    "gate": (
        ("toughen gate", "everything that must hold; 11 where a gate fell"),
        ("toughen gate --write-baseline", "what is there now may stay, and nothing may come"),
        ("toughen gate --changed", "what changed since the last commit alone"),
        ("toughen gate --changed --base origin/main", "what a branch adds"),
        ("toughen gate shop --format junit -o toughen.xml", "for a build server"),
        ("toughen gate --attest toughen.att.json --key signer.pem", "sign what the gates say"),
    ),
    "verify": (
        ("toughen verify toughen.att.json --key signer.pub.pem", "who signed it, of which source, and whether every proof ends again as it says"),
        ("toughen verify toughen.att.json shop --key signer.pub.pem --no-replay", "the signature and the source alone; nothing is executed"),
    ),
    "accept": (
        ("toughen accept repair.diff --finding .toughen/proofs/race-lost-update-POST-transfer.json", "take a repair if it holds"),
        ("toughen accept - --finding 'race/lost-update@POST /transfer' --dry-run", "one from standard input; only say whether it would be taken"),
    ),
    "mcp": (
        ("toughen mcp", "serve an agent in this folder"),
        ("toughen mcp --root shop --root forum", "two folders"),
    ),
    "report": (
        ("toughen report -o report.html", "the last run as a page"),
        ("toughen report --for buyer -o dossier.html", "keep or rewrite, with the numbers"),
    ),
    "replay": (("toughen replay .toughen/proofs/race-lost-update-POST-transfer.json", "whether it still breaks"),),
    "explain": (("toughen explain race/lost-update", "what it is, and what to do instead"),),
    "init": (
        ("toughen init --dry-run", "the diff of what would be written"),
        ("toughen init", "write it"),
        ("toughen init shop --ci gitlab", "where nothing tells who hosts it"),
    ),
    "new-rule": (("toughen new-rule race/double-booking", "one file, in a checkout of toughen"),),
}
"""Verb -> (command, what it does)."""


def epilog(verb: str) -> str | None:
    """The examples of a verb, as the last part of its help."""
    lines = [line for command, does in EXAMPLES.get(verb, ()) for line in (f"  {command}", f"      {does}")]
    # \b keeps the lines as they are.
    return "Examples:\n\n\b\n" + "\n".join(lines) if lines else None


def breaks(incomplete: str) -> list[tuple[str, str]]:
    """Breaks that begin so, with their titles."""
    from toughen.rules import load

    return [(rule.id, rule.title) for rule in load() if rule.id.startswith(incomplete)]


def places(incomplete: str) -> list[tuple[str, str]]:
    """Breaks, and the places that hold them."""
    known = breaks("")
    held = dict.fromkeys(name.partition("/")[0] for name, _ in known)
    return [*((each, f"every break of {each}") for each in held if each.startswith(incomplete)), *((name, title) for name, title in known if name.startswith(incomplete))]


def gates(incomplete: str) -> list[tuple[str, str]]:
    """Gates that begin so, with what they hold."""
    from toughen.gates import load

    return [(gate.id, gate.title) for gate in load() if gate.id.startswith(incomplete)]


def formats(incomplete: str) -> list[str]:
    """Forms of a report."""
    from toughen.report.formats import FORMATS

    return [each for each in FORMATS if each.startswith(incomplete)]


def proofs(incomplete: str) -> list[str]:
    """Stored proofs of this folder, and of the folder that is typed so far."""
    folder = Path(incomplete.partition(".toughen")[0] or ".")
    return [str(each) for each in sorted((folder / ".toughen" / "proofs").glob("*.json")) if str(each).startswith(incomplete.removeprefix("./"))]
