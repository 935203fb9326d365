"""Owns the readers that build objects of what they read: a canary in what pickle or YAML is given is a sighting."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from .recorder import RECORDER

if TYPE_CHECKING:
    from .hooks import Finder

_LOOKED_AT = 2000
_YAML = ("load", "load_all", "full_load", "unsafe_load", "full_load_all", "unsafe_load_all")


def register(finder: Finder) -> None:
    """Put the hooks in place before the prototype takes the functions by name."""
    finder.when("pickle", hook_pickle)
    finder.when("yaml", hook_yaml)


def hook_pickle(module: Any) -> None:
    """`pickle.loads` says that it was called: what it is given came out of an encoding, which hides a canary."""
    module.loads = _telling(module.loads, "pickle.loads", hidden=True)


def hook_yaml(module: Any) -> None:
    """The functions of PyYAML that may build objects tell what they are given."""
    for name in _YAML:
        real = getattr(module, name, None)
        if real is not None:
            setattr(module, name, _telling(real, "yaml." + name))


def _telling(real: Any, event: str, hidden: bool = False) -> Any:
    @wraps(real)
    def told(*args: Any, **keywords: Any) -> Any:
        if RECORDER.active and RECORDER.markers and args:
            try:
                given = args[0][:_LOOKED_AT] if isinstance(args[0], (str, bytes, bytearray)) else ""
                text = given if isinstance(given, str) else bytes(given).decode("utf-8", "replace")
                RECORDER.sight(event, (RECORDER.markers[0] if hidden else text,))
            except Exception:
                pass
        return real(*args, **keywords)

    return told
