"""Owns the switch that woven guards ask, and the import of woven files in place of the project's."""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.machinery
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

NAME = "__toughen__"


class _Nothing:
    """A context that holds nothing."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


def _unasked() -> None:
    """A dependency that asks nothing."""


class Switch:
    """Which guard is off, and which were asked by which test."""

    def __init__(self) -> None:
        self.off = 0
        self.test = ""
        self.asked_by: dict[int, set[str]] = {}
        self.noting = False

    def remove(self) -> None:
        """Have the project's files imported as they are."""
        sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, Finder)]

    def on(self, number: int) -> bool:
        """Whether a guard guards."""
        if self.noting:
            self.asked_by.setdefault(number, set()).add(self.test)
        return number != self.off

    def kept(self, number: int, **keyword: Any) -> dict[str, Any]:
        """A keyword, or none."""
        return keyword if self.on(number) else {}

    def listed(self, number: int, value: Any) -> tuple[Any, ...]:
        """An element, or none."""
        return (value,) if self.on(number) else ()

    def worn(self, number: int, decorator: Any) -> Any:
        """A decorator, or none: what it stands on is then called as it is."""
        return decorator if self.on(number) else _bare

    def asked(self, number: int, dependency: Any) -> Any:
        """A dependency, or one that asks nothing."""
        return dependency if self.on(number) else _unasked

    def caught(self, number: int, kinds: Any) -> Any:
        """Exceptions that a handler catches, or none."""
        return kinds if self.on(number) else ()

    def within(self, number: int, context: Callable[[], Any]) -> Any:
        """A context, or one that holds nothing."""
        return context() if self.on(number) else _Nothing()

    def said(self, number: int, text: str, part: str, other: str) -> str:
        """A statement's text, or with something else in the place of a part."""
        return text if self.on(number) else text.replace(part, other, 1)

    def unlocked(self, number: int, query: Any) -> Any:
        """A query that locks its rows, or the same without."""
        if not self.on(number):
            if hasattr(query, "_for_update_arg"):
                query._for_update_arg = None
            elif hasattr(getattr(query, "query", None), "select_for_update"):
                query.query.select_for_update = False
        return query


def _bare(function: Any) -> Any:
    return function


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the woven text under the file's own name."""

    text = ""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return compile(self.text, path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the project's modules where they are, and has them compiled from woven text."""

    def __init__(self, root: str, texts: Mapping[str, str]) -> None:
        self._texts = {os.path.realpath(os.path.join(root, name)): text for name, text in texts.items()}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """The spec of a woven module; None leaves it to the others."""
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        text = self._texts.get(os.path.realpath(spec.origin)) if spec is not None and spec.origin else None
        if spec is None or text is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        loader = _Loader(fullname, spec.origin or "")
        loader.text = text
        spec.loader = loader
        spec.cached = None
        return spec


def install(root: str, texts: Mapping[str, str]) -> Switch:
    """Put the switch among the builtins, and the finder before all others."""
    switch = Switch()
    setattr(builtins, NAME, switch)
    sys.meta_path.insert(0, Finder(root, texts))
    return switch
