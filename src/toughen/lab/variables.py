"""Owns plausible dummies for environment variables that the prototype needs and nothing supplies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.model.blueprint import Blueprint

_SHAPES = (
    (r"(DATABASE|DB|SQLALCHEMY|SQL).*(URL|URI|DSN)$", "sqlite:///./toughen-lab.db"),
    (r"(REDIS|BROKER|CELERY).*", "redis://localhost:6379/0"),
    (r"(URL|URI|ENDPOINT|ORIGIN|ORIGINS)$", "http://localhost:8000"),
    (r"ALGORITHM$", "HS256"),
    (r"(EXPIRE|EXPIRES|EXPIRATION|TTL|MINUTES|SECONDS|DAYS|TIMEOUT|MAX|LIMIT|SIZE|COUNT)", "30"),
    (r"PORT$", "5432"),
    (r"HOST(NAME)?$", "localhost"),
    (r"(EMAIL|MAIL_FROM|FROM|SENDER)$", "lab@example.com"),
    (r"(DEBUG|ENABLE|ENABLED|USE_|IS_)", "0"),
    (r"(FILE|PATH|DIR|FOLDER)$", "./toughen-lab"),
)


def dummies(blueprint: Blueprint, root: Path) -> dict[str, str]:
    """Values for the required variables that neither a default nor the project's own .env supplies."""
    supplied = _dotenv(root)
    return {
        each.name: _dummy(each.name) for each in blueprint.environment
        if each.required and each.name not in supplied and each.name not in {"PATH", "HOME", "USER", "TMPDIR", "LANG"}
    }


def _dotenv(root: Path) -> set[str]:
    file = root / ".env"
    if not file.is_file():
        return set()
    return set(re.findall(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", file.read_text(errors="replace"), re.MULTILINE))


def _dummy(name: str) -> str:
    for pattern, value in _SHAPES:
        if re.search(pattern, name, re.IGNORECASE):
            return value
    return "toughen-lab-0123456789abcdef0123456789abcdef"
