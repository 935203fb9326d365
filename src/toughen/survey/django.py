"""Owns what a Django project says of itself as a whole: where its application object is, its settings, its database engine."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from toughen import syntax
from toughen.survey.facts import dotted
from toughen.survey.project import Symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.survey.project import Project
    from toughen.survey.sources import Sources

SETTINGS: Final = "DJANGO_SETTINGS_MODULE"
_MAKERS: Final = {"django.core.wsgi.get_wsgi_application": "wsgi", "django.core.asgi.get_asgi_application": "asgi"}
_ENGINE: Final = re.compile(r"django\.(?:contrib\.gis\.)?db\.backends\.(\w+)|django_prometheus\.db\.backends\.(\w+)|^(postgres|postgresql|mysql|sqlite)(?:ql)?://")
_ENGINES: Final = {"sqlite3": "sqlite", "sqlite": "sqlite", "postgresql": "postgresql", "postgresql_psycopg2": "postgresql", "postgis": "postgresql", "postgres": "postgresql", "mysql": "mysql", "spatialite": "sqlite"}
_SETTING: Final = re.compile(r"DJANGO_SETTINGS_MODULE['\"]?\s*[,=:]\s*['\"]?([A-Za-z_][\w.]*)")
_STARTS: Final = ("procfile", "dockerfile", "docker-compose", "compose")
_TELLING: Final = frozenset({"INSTALLED_APPS", "ROOT_URLCONF", "DATABASES", "MIDDLEWARE"})
_FEW: Final = 4
_SAMPLES: Final = (".env", ".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")
_ORDER: Final = ("local", "dev", "base", "settings", "common", "test", "prod")
"""Words in the names of settings, in the order in which a throw-away copy would take them."""
_LOCAL: Final = re.compile(r"local|dev", re.IGNORECASE)


def applications(project: Project) -> Iterator[tuple[str, str, str]]:
    """(file, attribute, wsgi or asgi) of every module-level name that holds what Django's own makers made."""
    for file, facts in project.facts.items():
        makers = {name: _MAKERS[target] for name, target in facts.imports.items() if target in _MAKERS}
        if not makers:
            continue
        held: dict[str, str] = {}
        for name in facts.assigned:
            value = project.value(Symbol(file, name))
            for node in ast.walk(value) if value is not None else ():
                called = dotted(node.func) if isinstance(node, ast.Call) else dotted(node) if isinstance(node, ast.Name) else ""
                if called in makers and isinstance(node, ast.Call):
                    held[name] = makers[called]
                elif called in held:
                    held.setdefault(name, held[called])
        yield from ((file, name, kind) for name, kind in held.items())


def managers(sources: Sources) -> list[str]:
    """The `manage.py` files that start Django's commands, nearest to the root first."""
    found = [file for file, text in sources.texts.items() if file.rpartition("/")[2] == "manage.py" and "django.core.management" in text]
    return sorted(found, key=lambda file: (file.count("/"), file))


def root_of(sources: Sources, file: str) -> str | None:
    """The folder that imports start from: that of the `manage.py` above a file; None where there is none."""
    folders = {each.rpartition("/")[0] for each in managers(sources)}
    above = file.rpartition("/")[0]
    while True:
        if above in folders:
            return above or "."
        if not above:
            return None
        above = above.rpartition("/")[0]


def settings_named(sources: Sources, folder: str) -> str | None:
    """The settings that the project is started with: what starts it says so, else `manage.py`, else the sample of its environment.

    Where what is named holds no settings itself, those for a development machine beside it.
    """
    prefix = "" if folder in {".", ""} else f"{folder}/"
    texts = [text for name, text in sources.extras.items() if name.rpartition("/")[2].lower().startswith(_STARTS)]
    texts += [sources.texts.get(f"{prefix}manage.py", ""), *(_sample(sources, f"{prefix}{name}") for name in _SAMPLES), *(_sample(sources, name) for name in _SAMPLES)]
    texts += [text for file, text in sources.texts.items() if file.startswith(prefix) and file.endswith(("wsgi.py", "asgi.py"))]
    named = [name for text in texts for name in _SETTING.findall(text)]
    held: str | None = next((name for name in named if _holds(sources, prefix, name)), None)
    if held is not None:
        return held
    beside = [module for name in named for module in _within(sources, prefix, name)]
    return min(beside, key=lambda name: next((rank for rank, word in enumerate(_ORDER) if word in name.rpartition(".")[2]), len(_ORDER)), default=None)


def _sample(sources: Sources, name: str) -> str:
    try:
        return (sources.root / name).read_text(encoding="utf-8", errors="replace")[:100_000]
    except OSError:
        return ""


def _holds(sources: Sources, prefix: str, name: str) -> bool:
    """Whether a module holds settings, its own or those of another that it takes all of."""
    base = prefix + name.replace(".", "/")
    facts = next((sources.facts[file] for file in (f"{base}.py", f"{base}/__init__.py") if file in sources.facts), None)
    return facts is not None and bool(_TELLING & set(facts.assigned) or facts.stars or len(facts.assigned) > _FEW)


def _within(sources: Sources, prefix: str, name: str) -> list[str]:
    base = prefix + name.replace(".", "/") + "/"
    found = [f"{name}.{file.removeprefix(base).removesuffix('.py')}" for file in sources.facts if file.startswith(base) and "/" not in file.removeprefix(base)]
    return [each for each in found if not each.endswith(".__init__") and _holds(sources, prefix, each)]


def settings_files(project: Project) -> list[str]:
    """Files that hold settings of Django's: those that name the installed apps, or the URLconf; a development machine's last."""
    found = [file for file, facts in project.facts.items() if _TELLING & set(facts.assigned)]
    return sorted(found, key=lambda file: (bool(re.search(r"(^|/)test", file)), "test" in file, file.count("/"), file))


def setting(project: Project, name: str) -> ast.expr | None:
    """The value of a setting; of several files the first one that has it."""
    for file in settings_files(project):
        if name in project.facts[file].assigned and (value := project.value(Symbol(file, name))) is not None:
            return value
    return None


def text_setting(project: Project, name: str) -> str | None:
    """The same, where it is a constant text."""
    for file in settings_files(project):
        if name in project.facts[file].assigned and (text := project.text(project.value(Symbol(file, name)), file)):
            return text
    return None


def engine(project: Project) -> str | None:
    """sqlite, postgresql or mysql, by the engine that the settings name; None where they name none that is known."""
    files = settings_files(project)
    for file in sorted(files, key=lambda each: (not _LOCAL.search(each), files.index(each))):
        if "DATABASES" not in project.facts[file].assigned:
            continue
        value = project.value(Symbol(file, "DATABASES"))
        found = [kind for each in ast.walk(value) if isinstance(each, ast.Constant) and (kind := _engine(each.value))] if value is not None else []
        if found:
            return found[0]
    for file in files:
        tree = syntax.tree(project.sources.texts[file])
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Constant) and (kind := _engine(node.value)):
                return kind
    return None


def _engine(value: object) -> str | None:
    found = _ENGINE.search(value) if isinstance(value, str) else None
    return _ENGINES.get(next(each for each in found.groups() if each)) if found else None
