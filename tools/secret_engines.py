"""Compare the keys that toughen sees in folders with what detect-secrets and Kingfisher report there, without network.

    python tools/secret_engines.py FOLDER... [--detect-secrets PROGRAM] [--kingfisher PROGRAM] [--each]

Counts are places (file and line); "elsewhere" are the places of an engine in files of tests, migrations and other languages than Python and `.env`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

from toughen.errors import SurveyError
from toughen.model.blueprint import Blueprint
from toughen.published import lying
from toughen.survey import read, survey
from toughen.survey.companions import companions
from toughen.survey.history import history
from toughen.survey.project import Project
from toughen.survey.secrets import secrets

_OURS = re.compile(r"\.py$|(^|/)\.env$")
_TEST = re.compile(r"(^|/)(tests?|migrations|fixtures)/|(^|/)(test_|conftest)")


def main() -> int:
    """Print a table, and with `--each` every place that not all of them see."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--detect-secrets", default="detect-secrets")
    parser.add_argument("--kingfisher", default="kingfisher")
    parser.add_argument("--each", action="store_true")
    given = parser.parse_args()
    print("| folder | toughen | detect-secrets: same / more / elsewhere | Kingfisher: same / more / elsewhere | seconds |")
    print("|---|---|---|---|---|")
    for folder in given.folders:
        engines = (lambda: _toughen(folder), lambda: _detect_secrets(given.detect_secrets, folder), lambda: _kingfisher(given.kingfisher, folder))  # noqa: B023 - run at once
        timed = [(time.monotonic(), engine(), time.monotonic()) for engine in engines]
        ours, *others = [found for _, found, _ in timed]
        cells = []
        for found in others:
            near = {each for each in found if _OURS.search(each[0]) and not _TEST.search(each[0])}
            cells.append(f"{len(near & ours)} / {len(near - ours)} / {len(found - near)}")
        print(f"| {folder.name} | {len(ours)} | {' | '.join(cells)} | {' / '.join(f'{after - before:.1f}' for before, _, after in timed)} |")
        for name, found in zip(("toughen", "detect-secrets", "kingfisher"), (ours, *others), strict=True) if given.each else ():
            for file, line in sorted(found - (ours & set.union(*others))):
                print(f"    {name}: {file}:{line}")
    return 0


def _toughen(folder: Path) -> set[tuple[str, int]]:
    sources = read(folder)
    try:
        blueprint = survey(sources)
    except SurveyError:
        blueprint = Blueprint(folder.name, "", None, secrets=secrets(Project(sources)), companions=companions(folder), history=history(folder, sources.texts))
    return {(each.location.file, each.location.line) for each in lying(blueprint, sources.texts)}


def _detect_secrets(program: str, folder: Path) -> set[tuple[str, int]]:
    said = subprocess.run([program, "scan", "--no-verify", "--all-files"], cwd=folder, capture_output=True, text=True, check=True).stdout
    return {(file, each["line_number"]) for file, found in json.loads(said)["results"].items() for each in found if not file.startswith((".git/", ".toughen/"))}


def _kingfisher(program: str, folder: Path) -> set[tuple[str, int]]:
    command = [program, "scan", str(folder), "--no-validate", "--no-update-check", "--format", "json"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    document, _ = json.JSONDecoder().raw_decode(said)
    found = set()
    for each in document["findings"]:
        path = str(each["finding"].get("path") or "").removeprefix(f"{folder}/").removeprefix(f"{folder.resolve()}/")
        found.add((path, int(each["finding"].get("line") or 0)))
    return found


if __name__ == "__main__":
    sys.exit(main())
