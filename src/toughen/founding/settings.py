"""Owns the settings that are laid: `[tool.toughen]` in pyproject.toml, or toughen.toml where there is none."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from toughen.founding.laid import Laid, appended, changed, text_of

if TYPE_CHECKING:
    from toughen.founding.ground import Ground

OURS, THEIRS = "toughen.toml", "pyproject.toml"


def laid(ground: Ground) -> Laid:
    """The application by its name, so that another one which comes later does not change what is tested."""
    project, own = ground.folder + THEIRS, ground.folder + OURS
    if (ground.root / OURS).exists():
        return Laid(own, "is there already")
    before = text_of(ground.base, project)
    if before:
        try:
            data = tomllib.loads(before)
        except tomllib.TOMLDecodeError:
            return _own(ground, own, f", because {THEIRS} cannot be read")
        tools = data.get("tool", {})
        if isinstance(tools, dict) and "toughen" in tools:
            return Laid(project, "has [tool.toughen] already")
        after = appended(before, f"[tool.toughen]\n{_lines(ground)}")
        if _readable(after):
            return changed(project, "[tool.toughen]", before, after)
    return _own(ground, own, "" if before == "" else f", because {THEIRS} cannot be extended")


def _own(ground: Ground, file: str, why: str) -> Laid:
    return changed(file, f"the settings{why}", "", _lines(ground))


def _lines(ground: Ground) -> str:
    return (
        f"# Named, so that another application which comes later does not change what is tested.\napp = {json.dumps(ground.app, ensure_ascii=False)}\n"
        '# The least severity that fails; "low" is what holds without this line.\n# threshold = "medium"\n'
    )


def _readable(text: str) -> bool:
    try:
        return "app" in tomllib.loads(text)["tool"]["toughen"]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return False
