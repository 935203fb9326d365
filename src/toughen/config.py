"""Owns settings: `[tool.toughen]` of the prototype's pyproject.toml (or toughen.toml), checked whole before the first attack."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from toughen import spelling
from toughen.errors import ConfigurationError
from toughen.introductions import introductions
from toughen.waivers import waivers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toughen.model.configured import Configured
    from toughen.model.gate import Waiver


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a run may be told."""

    app: str | None = None
    """`module:attribute`, `module:factory()` or `path/to/file.py:attribute`."""
    only: tuple[str, ...] = ()
    """Breaks (`race/lost-update`) or places (`race`) to look for; empty looks for all."""
    static: bool = False
    """Survey only: execute nothing."""
    budget: float = 300.0
    """Seconds for exploring and proving together."""
    seed: int = 0
    environment: tuple[tuple[str, str], ...] = ()
    """Environment variables for the prototype (name, value)."""
    threshold: str = "low"
    """Least severity that makes the exit code 10."""
    identities: tuple[Configured, ...] = ()
    """Who is used beside the minted ones: what neither sign-up, log-in nor the source leads to."""
    waivers: tuple[Waiver, ...] = ()
    """Faults of gates that somebody answers for until a day."""
    advisories: str = ""
    """A folder or an archive of advisories (OSV), or the address of a service that has them; empty asks PyPI's, by pip-audit."""


_SEVERITIES = ("low", "medium", "high", "critical")


def read(root: Path, **overrides: Any) -> Config:  # noqa: ANN401
    """The settings of a project, with what the command line says on top.

    Raises ConfigurationError that names every fault at once.
    """
    table: dict[str, Any] = {}
    texts: list[tuple[str, str, tuple[str, ...]]] = []
    for file, keys in ((root / "pyproject.toml", ("tool", "toughen")), (root / "toughen.toml", ())):
        if file.is_file():
            try:
                text = file.read_text(encoding="utf-8", errors="replace")
                found: Any = tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                if file.name == "toughen.toml":
                    raise ConfigurationError(f"toughen.toml cannot be read: {spelling.syntax(text, error)}", subject=file) from error
                continue
            for key in keys:
                found = found.get(key, {}) if isinstance(found, dict) else {}
            if isinstance(found, dict):
                table |= found
                texts.append((file.name, text, keys))
    faults: list[str] = []
    values = {**_checked(table, faults, texts), **{key: value for key, value in overrides.items() if value is not None}}
    config = replace(Config(), **values)
    faults += _faults(config, root)
    if faults:
        raise ConfigurationError("; ".join(faults), subject=table, hint="see `toughen check --help` and `toughen explain`")
    return config


def _checked(table: dict[str, Any], faults: list[str], texts: Sequence[tuple[str, str, tuple[str, ...]]]) -> dict[str, Any]:
    known = {field.name for field in fields(Config)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            file, text, keys = next(((name, text, keys) for name, text, keys in reversed(texts) if re.search(rf"\b{re.escape(key)}\b", text)), texts[-1])
            faults.append(f"{file}, {spelling.place(text, *keys, key)}: [tool.toughen] has no setting {key!r}{spelling.meant(key, sorted(known))}")
        elif key == "only":
            values[key] = tuple(str(each) for each in value) if isinstance(value, list) else (str(value),)
        elif key == "identities":
            values[key] = introductions(value, faults)
        elif key == "waivers":
            values[key] = waivers(value, faults, datetime.now(UTC).date())
        elif key == "environment":
            values[key] = tuple((str(name), str(each)) for name, each in value.items()) if isinstance(value, dict) else ()
        else:
            wanted = {"app": str, "static": bool, "budget": (int, float), "seed": int, "threshold": str, "advisories": str}[key]
            if isinstance(value, wanted) and not (isinstance(value, bool) and wanted is not bool):  # type: ignore[arg-type]
                values[key] = value
            else:
                faults.append(f"[tool.toughen] {key} = {value!r} is of the wrong kind")
    return values


def _faults(config: Config, root: Path) -> list[str]:
    faults: list[str] = []
    if config.only:
        from toughen.rules import load

        ids = {rule.id for rule in load()}
        places = {each.partition("/")[0] for each in ids}
        faults += [f"there is no break {each!r}{spelling.meant(each, sorted(ids | places), 99)}" for each in config.only if each not in ids | places]
    if config.budget <= 0:
        faults.append("the budget must be more than 0 seconds")
    if config.advisories and "://" not in config.advisories and not (root / config.advisories).exists():
        faults.append(f"advisories = {config.advisories!r}: there is no such file or folder in {root.name}")
    if config.threshold not in _SEVERITIES:
        faults.append(f"threshold must be one of {', '.join(_SEVERITIES)}")
    return faults
