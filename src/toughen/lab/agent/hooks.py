"""Owns the import hook: what must be patched in a third-party module is patched when that module is first imported."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

Patch = Callable[[ModuleType], None]


class _Loader:
    """Runs the module's own loader, then the patches; afterwards the module shows its own loader again."""

    def __init__(self, loader: Any, patches: list[Patch], *, replace: bool) -> None:
        self._loader = loader
        self._patches = patches
        self._replace = replace

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        if self._replace:
            return None
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        if not self._replace:
            self._loader.exec_module(module)
        apply(module, self._patches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def apply(module: ModuleType, patches: list[Patch]) -> None:
    """Run patches on a module; one that fails is told on stderr and leaves the module as it is."""
    for patch in patches:
        try:
            patch(module)
        except Exception as error:
            sys.stderr.write("toughen_agent: " + module.__name__ + " is not hooked: " + repr(error) + "\n")


def later(package: str | None, module: str, function: str) -> Patch:
    """A patch by a module of ours that is loaded when it is wanted: most prototypes have none of what it is for."""

    def patch(hooked: ModuleType) -> None:
        getattr(import_module("." + module, package), function)(hooked)

    return patch


class Finder:
    """A meta-path finder that wraps the loaders of the modules that have patches."""

    def __init__(self) -> None:
        """Start without patches."""
        self._patches: dict[str, list[Patch]] = {}
        self._replaced: set[str] = set()
        self._busy: set[str] = set()

    def when(self, name: str, patch: Patch, *, replace: bool = False) -> None:
        """Patch a module once it is imported; now, where it already is. `replace` leaves out its own code."""
        self._patches.setdefault(name, []).append(patch)
        if replace:
            self._replaced.add(name)
        module = sys.modules.get(name)
        if module is not None:
            apply(module, [patch])

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find the module as all other finders do, and wrap its loader."""
        if name not in self._patches or name in self._busy:
            return None
        self._busy.add(name)
        try:
            for finder in sys.meta_path:
                find = None if finder is self else getattr(finder, "find_spec", None)
                spec = find(name, path, target) if find is not None else None
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(spec.loader, self._patches[name], replace=name in self._replaced)
                    return spec  # type: ignore[no-any-return]
        finally:
            self._busy.discard(name)
        return None

    def install(self) -> None:
        """Go first on the meta path."""
        sys.meta_path.insert(0, self)
