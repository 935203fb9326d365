"""Owns the run: every measurement in turn, a line each; it exits with 1 when a bound is missed."""

from __future__ import annotations

import sys

from bench import auditing, checking, mutating, racing, scheduling, serving, surveying

PARTS = {"serving": serving, "scheduling": scheduling, "racing": racing, "mutating": mutating, "survey": surveying, "check": checking, "audit": auditing}


def main() -> int:
    """Measure the parts that are named, all of them where none is."""
    named = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in named if name not in PARTS]:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    missed = []
    for name in named:
        for figure in PARTS[name].figures():
            print(figure.line(), flush=True)
            if not figure.kept:
                missed.append(figure.name)
    print(f"missed: {'; '.join(missed)}" if missed else "every bound is kept")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
