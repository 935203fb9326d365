"""Owns where the prototype's imports start: the folder on the path, and the root's own name where the root is a package."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.survey.sources import Sources

_PATH: Final = re.compile(r"""["'](?:\./)?([A-Za-z_]\w*)/([\w.-]+)[\w./-]*["']""")


def module_of(file: str, import_root: str) -> str:
    """The dotted module of a file, seen from the folder that imports start from."""
    if import_root not in {".", ""}:
        file = file.removeprefix(f"{import_root}/")
    name = file.removesuffix(".py").removesuffix("/__init__")
    return name.replace("/", ".")


def import_root(sources: Sources, file: str) -> str:
    """The ancestor of the entry's file under which most absolute imports of the project resolve."""
    folder = file.rpartition("/")[0]
    ancestors = [folder]
    while folder:
        folder = folder.rpartition("/")[0]
        ancestors.append(folder)
    top = ancestors[-2] if len(ancestors) > 1 else ""
    wanted = {
        module
        for path, facts in sources.facts.items()
        if not top or path.startswith(f"{top}/") or "/" not in path
        for module in facts.imported
    }
    modules = set(sources.facts) | {parent for path in sources.facts for parent in _folders(path)}
    scores: dict[str, int] = {}
    for ancestor in ancestors:
        prefix = f"{ancestor}/" if ancestor else ""
        scores[ancestor] = sum(
            any(
                f"{prefix}{'/'.join(parts[:count])}{end}" in modules
                for parts in [module.split(".")]
                for count in {len(parts), max(1, len(parts) - 1)}
                for end in (".py", "/__init__.py", "/")
            )
            for module in wanted
        )
    if not any(scores.values()):
        # Relative imports need the package's parent; without packages the file's own folder will do.
        plain = next((each for each in ancestors if f"{each}/__init__.py".lstrip("/") not in modules), "")
        relative = (
            any(target.startswith(".") for target in sources.facts[file].imports.values())
            if file in sources.facts
            else False
        )
        if relative and plain == ancestors[0]:
            plain = ancestors[1] if len(ancestors) > 1 else plain
        return plain or "."
    best = max(scores.values())
    tied = [each for each in ancestors if scores[each] == best]
    # `from .db import Base` in api/app.py wants api as a package: imports start above it.
    targets = sources.facts[file].imports.values() if file in sources.facts else ()
    reach = max((len(each) - len(each.lstrip(".")) for each in targets), default=0)
    return next((each for each in tied if len(each.split("/")) * bool(each) <= file.count("/") - reach), tied[0]) or "."


def _folders(path: str) -> Iterator[str]:
    """Folders around a file, with a slash: packages, even without an `__init__.py` (PEP 420)."""
    parts = path.split("/")[:-1]
    return ("/".join(parts[:count]) + "/" for count in range(1, len(parts) + 1))


def package_of(sources: Sources, file: str) -> str:
    """The name under which the project's root is imported, "" where imports start in the root or below it.

    The root is a package where the entry's relative imports reach it (`from .models import Base` in `main.py`), or
    where its modules are imported by a name that no folder of it bears. The name is the one that its modules and paths
    call it, else the folder's own.
    """
    called = _called(sources)
    if not called and not _reaches_root(sources, file):
        return ""
    paths = Counter(
        head
        for text in sources.texts.values()
        for head, rest in _PATH.findall(text)
        if not (sources.root / head).exists() and (sources.root / rest).exists()
    )
    own = sources.root.name
    return called or next((name for name, _ in paths.most_common(1)), own if own.isidentifier() else "project")


def _reaches_root(sources: Sources, file: str) -> bool:
    facts = sources.facts.get(file)
    targets = facts.imports.values() if facts else ()
    return any(len(each) - len(each.lstrip(".")) > file.count("/") for each in targets)


def _called(sources: Sources) -> str:
    """The name of no folder under which every import finds a module of the root."""
    below: dict[str, set[str]] = {}
    for facts in sources.facts.values():
        for module in facts.imported:
            head, _, rest = module.partition(".")
            below.setdefault(head, set()).add(rest.partition(".")[0])
    tops = {part for each in sources.texts for part in (each.partition("/")[0].removesuffix(".py"),)}
    return next(
        (
            head
            for head, parts in sorted(below.items())
            if head not in tops and parts <= tops and (len(parts) > 1 or head == sources.root.name)
        ),
        "",
    )
