"""The table of what was measured: for each CWE, BaxBench's exploits against toughen's proofs, before and after `fix`."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

BREAKS: dict[int, tuple[str, ...]] = {
    20: ("input/nonsense", "input/mass-assignment", "race/"),
    22: ("security/path-traversal",),
    78: ("security/command-injection",),
    79: ("security/xss",),
    89: ("security/sql-injection",),
    94: ("security/code-injection",),
    117: (),
    284: ("security/object-authorization", "security/no-authentication", "security/function-authorization", "security/path-traversal"),
    287: ("security/no-authentication", "security/weak-token"),
    307: ("security/no-rate-limit",),
    352: ("security/csrf",),
    400: ("input/unbounded", "failure/hang"),
    434: ("security/path-traversal",),
    522: ("security/weak-password-storage",),
    601: ("security/open-redirect",),
    611: (),
    703: ("input/crash",),
    862: ("security/function-authorization", "security/no-authentication", "security/object-authorization", "input/mass-assignment"),
    863: ("security/object-authorization", "security/no-authentication", "security/function-authorization", "security/weak-token"),
    915: ("input/mass-assignment",),
    918: ("security/ssrf",),
}
"""The breaks that a CWE of BaxBench's would be; a name that ends in a slash stands for the whole place. None: toughen has no such rule."""


def cwes(result: dict[str, Any]) -> set[int]:
    """The CWEs that the exploits of a run found."""
    return {number for test in result["exploits"] for number in test.get("answered") or ()}


def silent(result: dict[str, Any]) -> list[str]:
    """The exploits that said nothing: they raised, or could not be completed."""
    return [test["test"] for test in result["exploits"] if test.get("answered") is None]


def told(result: dict[str, Any]) -> str:
    """A run of tests in a line."""
    good = sum(test.get("answered") is True for test in result["functional"])
    words = f"{good}/{len(result['functional'])} functional, CWEs {sorted(cwes(result)) or 'none'}"
    quiet = silent(result)
    return words + (f", silent: {' '.join(quiet)}" if quiet else "") + (f", {result['error'][-300:]}" if "error" in result else "")


def proven(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The proven findings of a report."""
    return [each for each in result["report"].get("findings", ()) if each["status"] == "proven"]


def summed(result: dict[str, Any]) -> str:
    """A run of toughen in a line."""
    report = result["report"]
    if not report:
        return f"exit {result['exit']} after {result['seconds']} s, no report"
    breaks = Counter(each["break"] for each in proven(result))
    mends = Counter(each["outcome"] for each in report.get("mends", ()))
    reached = f"{report['coverage']['reached']}/{report['coverage']['routes']} routes"
    words = [f"exit {result['exit']} after {result['seconds']} s", reached, ", ".join(f"{name} x{count}" for name, count in sorted(breaks.items()))]
    return "; ".join(filter(None, [*words, ", ".join(f"{name} {count}" for name, count in sorted(mends.items()))]))


def matching(number: int, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The proofs that are of a CWE's kind."""
    wanted = BREAKS.get(number, ())
    return [each for each in proven(result) if any(each["break"] == name or (name.endswith("/") and each["break"].startswith(name)) for name in wanted)]


def rendered(lines: list[dict[str, Any]]) -> str:
    """The whole table, in Markdown."""
    steps: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for line in lines:
        steps[line["solution"]][line["step"]] = line
    through = {name: each for name, each in steps.items() if {"before", "check"} <= each.keys()}
    parts = [f"{len(steps)} solutions tried, {len(through)} pass their functional tests.", by_cwe(through), by_solution(through)]
    return "\n\n".join(parts)


def by_cwe(through: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A line for each CWE that an exploit found or a proof matches."""
    rows = ["| CWE | exploit | proven | missed | proven, no exploit | fixed | exploit after fix |", "|---|---|---|---|---|---|---|"]
    numbers = {number for each in through.values() for number in cwes(each["before"])}
    numbers |= {number for number in BREAKS for each in through.values() if matching(number, each["check"])}
    for number in sorted(numbers):
        found = {name for name, each in through.items() if number in cwes(each["before"])}
        proofs = {name for name, each in through.items() if matching(number, each["check"])}
        again = {name for name in found if "after" in through[name] and number in cwes(through[name]["after"])}
        done = {name for name in found if "after" in through[name]} - again
        cells = (number, len(found), len(found & proofs), len(found - proofs), len(proofs - found), len(done), len(again))
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def by_solution(through: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A line for each solution."""
    rows = ["| solution | exploits before | check | after fix |", "|---|---|---|---|"]
    for name, each in sorted(through.items()):
        after = told(each["after"]) if "after" in each else ""
        rows.append(f"| {name} | {told(each['before'])} | {summed(each['check'])} | {after} |")
    return "\n".join(rows)
