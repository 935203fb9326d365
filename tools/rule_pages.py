"""Writes docs/rules from the rules' own words: one page a break, and an index."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from toughen.rules import load

if TYPE_CHECKING:
    from toughen.rule import Rule


def page(rule: Rule) -> str:
    """The public page of one rule."""
    numbers = [f"[CWE-{each}](https://cwe.mitre.org/data/definitions/{each}.html)" for each in rule.cwe]
    numbers += [f"OWASP {rule.owasp}"] if rule.owasp else []
    numbers += [f"ASVS 5.0 {rule.asvs}"] if rule.asvs else []
    text = inspect.cleandoc(type(rule).__doc__ or "")
    return f"# {rule.id}\n\n**{rule.title}** ({', '.join([rule.severity.value, *numbers])})\n\n{text}\n"


def main() -> None:
    """Write every page below the folder that is named, and drop pages of rules that are gone."""
    folder = Path(sys.argv[1])
    written = {folder / "README.md"}
    lines = ["# Breaks", "", "Made by `make docs` from the rules' own words.", ""]
    for rule in load():
        place = folder / f"{rule.id}.md"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(page(rule), encoding="utf-8")
        written.add(place)
        lines.append(f"- [{rule.id}]({rule.id}.md): {rule.title}")
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for place in folder.rglob("*.md"):
        if place not in written:
            place.unlink()
    print(f"{len(written) - 1} pages in {folder}")


if __name__ == "__main__":
    main()
