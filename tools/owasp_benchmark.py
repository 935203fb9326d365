"""Measures toughen on the odd-numbered cases of OWASP's benchmark for Python: true-positive rate minus false-positive rate by category.

    python tools/owasp_benchmark.py CHECKOUT WORK [CATEGORY ...] [--even]

CHECKOUT is OWASP-Benchmark/BenchmarkPython. For each category a copy is made in WORK that holds its odd-numbered cases only, and `toughen check`
is run on it once; a case counts as found where a break that fits the category is proven on one of its routes. Nothing suspected counts.
Results are written to WORK/CATEGORY.json and printed as a table.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

BREAKS = {
    "cmdi": ("security/command-injection",),
    "codeinj": ("security/code-injection",),
    "deserialization": ("security/code-injection",),
    "pathtraver": ("security/path-traversal",),
    "redirect": ("security/open-redirect",),
    "securecookie": ("security/insecure-cookie",),
    "sqli": ("security/sql-injection",),
    "xss": ("security/xss",),
}
"""What proves a category; the others (hashes, random numbers, XPath, LDAP, XXE, trust boundaries) have no break of toughen's."""
SECONDS = 3600.0
_CASE = re.compile(r"BenchmarkTest(\d{5})")


def expected(checkout: Path) -> dict[str, tuple[str, bool]]:
    """Case -> (category, whether it is vulnerable)."""
    file = next(checkout.glob("expectedresults-*.csv"))
    rows = [row for row in csv.reader(file.read_text().splitlines()) if row and row[0].startswith("BenchmarkTest")]
    return {row[0]: (row[1], row[2] == "true") for row in rows}


def measure(checkout: Path, work: Path, category: str, cases: dict[str, bool]) -> dict[str, object]:
    """Check a copy with these cases only."""
    root = work / category
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(checkout, root, ignore=shutil.ignore_patterns(".git", "BenchmarkTest*", "results", "scripts"))
    for case in cases:
        for page in checkout.rglob(f"{case}.*"):
            place = root / page.relative_to(checkout)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(page, place)
    report = work / f"{category}.report.json"
    only = [part for each in BREAKS[category] for part in ("--only", each)]
    command = [sys.executable, "-m", "toughen", "check", str(root), *only, "--budget", str(SECONDS), "--format", "json", "-o", str(report)]
    done = subprocess.run(command, timeout=2 * SECONDS, check=False, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(report.read_text()) if report.is_file() else {"findings": [], "coverage": {"unreached": []}, "verdict": done.stderr[-800:]}
    proven = [each for each in told["findings"] if each["status"] == "proven"]
    found = {match.group(0) for each in proven if (match := _CASE.search(each["route"]["path"]))}
    unreached = {match.group(0) for each in told["coverage"]["unreached"] if (match := _CASE.search(each["path"]))}
    bad, good = [case for case, real in cases.items() if real], [case for case, real in cases.items() if not real]
    result = {
        "category": category, "vulnerable": len(bad), "sound": len(good), "true": sorted(found & set(bad)), "false": sorted(found & set(good)),
        "missed": sorted(set(bad) - found), "unreached": sorted(unreached), "verdict": told["verdict"], "seconds": told.get("timings", {}).get("total_s"),
    }
    (work / f"{category}.json").write_text(json.dumps(result, indent=1))
    return result


def row(result: dict[str, object]) -> str:
    """`pathtraver  78 cases: 40 of 45 found, 0 of 33 false: +0.89`."""
    true, false, bad, good = (len(result["true"]), len(result["false"]), int(str(result["vulnerable"])), int(str(result["sound"])))  # type: ignore[arg-type]
    score = (true / bad if bad else 0.0) - (false / good if good else 0.0)
    unreached = len(result["unreached"])  # type: ignore[arg-type]
    return f"{result['category']!s:16} {true:3} of {bad:3} found, {false:3} of {good:3} false alarms: {score:+.2f}   ({unreached} routes unreached, {result['seconds']} s)"


def main() -> int:
    """Measure the categories that are named, all that have a break where none is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("categories", nargs="*", default=sorted(BREAKS), metavar="CATEGORY")
    parser.add_argument("--even", action="store_true", help="the even-numbered cases instead")
    options = parser.parse_args()
    if unknown := sorted(set(options.categories) - set(BREAKS)):
        parser.error(f"no break of toughen's fits {', '.join(unknown)}; there are {', '.join(sorted(BREAKS))}")
    known = expected(options.checkout)
    options.work.mkdir(parents=True, exist_ok=True)
    for category in options.categories:
        cases = {case: real for case, (kind, real) in known.items() if kind == category and (int(case[-5:]) % 2 == 0) == options.even}
        print(row(measure(options.checkout.resolve(), options.work.resolve(), category, cases)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
