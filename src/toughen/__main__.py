"""Owns the start of the command: an interrupt is answered with one line even while toughen is still being imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Import the command line and run it; exit code 130 when interrupted."""
    try:
        from toughen.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing is left behind\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
