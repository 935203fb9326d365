"""Owns the job of GitLab CI that is laid: at the end of .gitlab-ci.yml, in a stage that there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.founding.laid import Laid, appended, changed, template, text_of
from toughen.version import __version__

if TYPE_CHECKING:
    from toughen.founding.ground import Ground

FILE = ".gitlab-ci.yml"
_TESTS = ("test", "tests", "testing", "verify", "check", "quality", "security")


def laid(ground: Ground) -> Laid:
    """The job, where GitLab is the host."""
    if not ground.git:
        return Laid(FILE, "not written: this folder is in no git repository")
    if ground.host is None:
        return Laid(FILE, "not written: nothing tells that GitLab is the host; `--ci gitlab` says so")
    before = text_of(ground.base, FILE)
    if before is None:
        return Laid(FILE, "it is no file of UTF-8", by_hand=text(ground, "test"))
    if re.search(r"^toughen:|\btoughen gate\b", before, re.MULTILINE):
        return Laid(FILE, "runs the gate already")
    stage = stage_of(before)
    if stage is None:
        return Laid(FILE, "its stages are not understood", by_hand=text(ground, "test"))
    return changed(FILE, f"the gate for each merge request, in the stage {stage}", before, appended(before, text(ground, stage)))


def stage_of(text: str) -> str | None:
    """The stage of that pipeline which tests, the first one where none is called so; None where its stages cannot be read."""
    if not re.search(r"^['\"]?stages['\"]?\s*:", text, re.MULTILINE):
        return "test"
    match = re.search(r"^stages:[ \t]*(?:\[([^\]]*)\]|(?:#[^\n]*)?\r?\n((?:[ \t]*(?:-[^\n]*|#[^\n]*)?\r?\n?)+))", text, re.MULTILINE)
    if match is None:
        return None
    written = match.group(1).split(",") if match.group(1) is not None else re.findall(r"^[ \t]*-[ \t]+([^\n#]*)", match.group(2), re.MULTILINE)
    stages = [each.strip().strip("'\"") for each in written if each.strip()]
    if not stages or not all(re.fullmatch(r"[\w .:/-]+", each) for each in stages):
        return None
    return next((each for each in _TESTS if each in stages), stages[0])


def text(ground: Ground, stage: str) -> str:
    """The job's text."""
    filled = template(
        "gitlab.yml", version=__version__, stage=stage, python=ground.pythons[-1], path=ground.path, folder=ground.folder, locks=", ".join(ground.locks)
    )
    # Without a file that says what is installed the key stands alone.
    return filled if ground.locks else re.sub(r"key:\n      files: \[\]\n      prefix: (\S+)", r"key: \1", filled)
