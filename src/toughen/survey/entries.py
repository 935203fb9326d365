"""Owns the search for the application object: candidates, and their scores with reasons."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toughen.errors import ConfigurationError, SurveyError
from toughen.model.blueprint import Entry
from toughen.survey import django
from toughen.survey.facts import dotted
from toughen.survey.project import Project, Symbol
from toughen.survey.roots import import_root, module_of, package_of
from toughen.survey.routers import APPLICATIONS, Graph, Key

if TYPE_CHECKING:
    from toughen.survey.sources import Sources

_NAMED: Final = re.compile(
    r"(?<![\w./-])((?:[A-Za-z_]\w*[./])*[A-Za-z_]\w*?)(?:\.py)?:([A-Za-z_]\w*)(\(\))?(?![\w:/.])"
)
_FLASK_APP: Final = re.compile(r"FLASK_APP[=\s\"':]+([\w./-]+(?::\w+)?)")
_RUN_FILE: Final = re.compile(
    r"(?:python3?|fastapi\s+(?:dev|run)|flask\s+--app)\s+([\w./-]+?)(?:\.py)?(?=[\s\"'`\],&]|$)"
)
_RUN_FILE_JSON: Final = re.compile(r"\"python3?\",\s*\"([\w./-]+?)(?:\.py)?\"")
_FILES: Final = frozenset({"main", "app", "wsgi", "asgi", "server", "api", "run", "manage", "application", "index"})
_TESTS: Final = re.compile(
    r"(?:^|/)(?:tests?|testing|examples?|docs?|samples?|demos?|scripts?|conftest|test_[^/]*|[^/]*_test)(?:/|\.py$|$)"
)
_READ: Final = ("procfile", "dockerfile", "docker-compose", "compose", "readme", ".flaskenv")


@dataclass
class Candidate:
    """A place where an application object may be found."""

    file: str
    attribute: str
    framework: str
    root: Key | None
    """The router that it holds, None where it could not be followed."""
    factory: bool = False
    library: str = ""
    """Where the object is the framework's own: `django.core.wsgi:get_wsgi_application()`."""
    score: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, points: int, reason: str) -> None:
        """Count a reason for or against it."""
        self.score += points
        self.reasons.append(f"{reason} ({points:+d})")

    def target(self, import_root: str) -> str:
        """`module:attribute`, or `module:function()`."""
        if self.library:
            return self.library
        return f"{module_of(self.file, import_root)}:{self.attribute}{'()' if self.factory else ''}"


def entries(sources: Sources) -> tuple[Entry, ...]:
    """Candidates, best first, with the reason for each; raises SurveyError where there is none."""
    found = _some(sources, candidates(Graph(Project(sources))))
    return tuple(_entry(sources, each, found) for each in found)


def choose(sources: Sources, app: str | None) -> tuple[Entry, Key | None]:
    """The entry to survey, and the application that it holds; None where that could not be followed.

    Raises SurveyError where there is no candidate, ConfigurationError where `app` names nothing.
    """
    found = candidates(Graph(Project(sources)))
    if app is not None:
        return override(sources, app, found)
    best = _some(sources, found)[0]
    return _entry(sources, best, found), best.root


def rooted(sources: Sources, entry: Entry) -> Key | None:
    """The application that an entry holds."""
    for each in candidates(graph := Graph(Project(sources))):
        prefix = f"{entry.package}." if entry.package else ""
        if each.file == entry.file and prefix + each.target(entry.import_root) == entry.target:
            return each.root
    attribute = entry.target.rpartition(":")[2]
    if attribute.endswith("()"):
        return graph.factory(Symbol(entry.file, attribute[:-2]))
    return graph.find(entry.file, "", attribute) if entry.file in sources.facts else None


def _some(sources: Sources, found: list[Candidate]) -> list[Candidate]:
    if not found:
        unread = "; ".join(f"{each.file} cannot be read: {each.reason}" for each in sources.unparsed[:3])
        raise SurveyError(
            "no application object found" + (f": {unread}" if unread else ""),
            subject=str(sources.root),
            hint=f"looked in {len(sources.facts)} Python files for a FastAPI, Starlette, Flask, connexion or Django object, for a "
            "name that is assigned from a function which builds one, and for such functions; name it with "
            "--app module:attribute",
        )
    return found


def override(sources: Sources, app: str, found: list[Candidate]) -> tuple[Entry, Key | None]:
    """The Entry that `--app` names: `module:attr`, `module:factory()` or `path/to/file.py:attr`.

    Raises ConfigurationError, with the candidates, where it names nothing that the project defines.
    """
    listed = ", ".join(each.target(import_root(sources, each.file)) for each in found) or "none"
    place, colon, attribute = app.strip().rpartition(":")
    factory = attribute.endswith("()")
    attribute = attribute.removesuffix("()")
    if not colon or not place or not all(part.isidentifier() for part in attribute.split(".")):
        raise ConfigurationError(
            f"--app {app!r} is not of the form module:attribute, module:factory() or path/to/file.py:attribute",
            subject=app,
            hint=f"candidates: {listed}",
        )
    file = _file_of(sources, place)
    if file is None:
        raise ConfigurationError(
            f"--app {app!r}: the project has no file {place!r}", subject=app, hint=f"candidates: {listed}"
        )
    chosen = next((each for each in found if each.file == file and each.attribute == attribute), None)
    if chosen is None and file in sources.facts:
        facts = sources.facts[file]
        head = attribute.partition(".")[0]
        if (
            head not in facts.assigned
            and head not in facts.imports
            and facts.definition(head) is None
            and not facts.stars
        ):
            raise ConfigurationError(
                f"--app {app!r}: {file} defines no {head!r}", subject=app, hint=f"candidates: {listed}"
            )
        graph = Graph(Project(sources))
        definition = facts.definition(attribute)
        factory = factory or (definition is not None and definition.kind == "def")
        key = graph.factory(Symbol(file, attribute)) if factory else graph.find(file, "", attribute)
        kind = graph.routers[key].kind if key else _only_framework(sources)
        chosen = Candidate(file, attribute, kind, key, factory)
    if chosen is None:
        chosen = Candidate(file, attribute, _only_framework(sources), None, factory)
    chosen.factory = chosen.factory or factory
    chosen.reasons = ["named by --app"]
    return _entry(sources, chosen, [chosen, *found]), chosen.root


def candidates(graph: Graph) -> list[Candidate]:
    """Every candidate of the project, best first."""
    project = graph.project
    found: dict[tuple[str, str], Candidate] = {}
    for key, router in graph.routers.items():
        file, scope, name = key
        if router.kind in APPLICATIONS and not scope and "." not in name and not _in_main(project, file, router.line):
            found[file, name] = Candidate(file, name, router.kind, key)
    for file, facts in project.facts.items():
        for seen in facts.sightings:
            # A file that imports an application from elsewhere and runs it is where the project itself starts.
            run = graph.find(file, "", seen.text) if seen.kind == "main" and seen.text in facts.imports else None
            if run and graph.routers[run].kind in APPLICATIONS:
                found[file, seen.text] = Candidate(file, seen.text, graph.routers[run].kind, run)
        for name in facts.assigned:
            if (file, name) not in found and (held := _assigned_from_factory(graph, file, name)):
                found[file, name] = Candidate(file, name, graph.routers[held].kind, held)
        for definition in facts.definitions:
            if definition.kind == "def" and "." not in definition.name and definition.returns:
                made_here = graph.factory(Symbol(file, definition.name))
                if (
                    made_here
                    and graph.routers[made_here].kind in APPLICATIONS
                    and made_here[1]
                    and _callable_bare(project, file, definition.name)
                ):
                    each = Candidate(file, definition.name, graph.routers[made_here].kind, made_here, factory=True)
                    found[file, definition.name] = each
    _djangos(project, found)
    _score(graph, list(found.values()))
    order = {file: index for index, file in enumerate(project.facts)}
    return sorted(
        found.values(), key=lambda each: (-each.score, each.file.count("/"), order[each.file], each.attribute)
    )


def _djangos(project: Project, found: dict[tuple[str, str], Candidate]) -> None:
    """Applications of Django's; without a file for a server, the one that `manage.py` starts."""
    roots: set[str] = set()
    for file, name, kind in django.applications(project):
        each = found[file, name] = Candidate(file, name, "django", None)
        roots.add(django.root_of(project.sources, file) or "")
        if kind == "asgi":
            each.add(-8, "the same application for another kind of server")
        if django.root_of(project.sources, file) is not None:
            each.add(3, "a manage.py lies above it")
    for file in django.managers(project.sources):
        # One that does not parse starts nothing; the report names it.
        if file in project.facts and (django.root_of(project.sources, file) or "") not in roots:
            found[file, "manage"] = Candidate(file, "manage", "django", None, library="django.core.wsgi:get_wsgi_application()")


def _assigned_from_factory(graph: Graph, file: str, name: str) -> Key | None:
    value = graph.project.value(Symbol(file, name))
    if not isinstance(value, ast.Call) or not dotted(value.func):
        return None
    made = graph.made_by(file, value)
    return made if made and graph.routers[made].kind in APPLICATIONS else None


def _callable_bare(project: Project, file: str, name: str) -> bool:
    node = project.function(Symbol(file, name))
    if node is None:
        return False
    arguments = node.args
    positional = (*arguments.posonlyargs, *arguments.args)
    return len(arguments.defaults) >= len(positional) and all(each is not None for each in arguments.kw_defaults)


def _in_main(project: Project, file: str, line: int) -> bool:
    return any(each.kind == "main" and each.line <= line <= each.end for each in project.facts[file].sightings)


def _score(graph: Graph, found: list[Candidate]) -> None:
    project = graph.project
    graph.choose(None)
    parents = {link.parent for link in graph.links}
    named = _named(project.sources)
    for each in found:
        stem = each.file.rpartition("/")[2].removesuffix(".py")
        module = each.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if where := next(
            (
                place
                for (name, attribute), place in named.items()
                if (name == module or module.endswith(f".{name}")) and attribute in {each.attribute, ""}
            ),
            None,
        ):
            # What starts it outranks what tells about it.
            each.add(6 if "readme" in where.lower() else 7, f"named in {where}")
        if not each.factory:
            each.add(3, "an object, not a factory")
        if any(seen.kind == "main" and seen.flag for seen in project.facts[each.file].sightings):
            each.add(2, "its file runs a server under __main__")
        if stem in _FILES:
            each.add(2, f"its file is called {stem}")
        if each.root and (each.root in parents or _decorates(project, each.root)):
            each.add(2, "routes or routers hang on it")
        if levels := each.file.count("/") - (stem == "__init__"):
            each.add(-levels, f"{levels} folders down")
        if _TESTS.search(each.file):
            each.add(-5, "looks like a test, example or script")


def _decorates(project: Project, key: Key) -> bool:
    file, _, name = key
    heads = (head for each in project.facts[file].definitions for head in each.decorators)
    return any(head.rpartition(".")[0] == name for head in heads)


def _named(sources: Sources) -> dict[tuple[str, str], str]:
    """(dotted module, attribute) -> the file that names it; attribute "" where only the file is named."""
    found: dict[tuple[str, str], str] = {}
    for file, facts in sources.facts.items():
        for seen in facts.sightings:
            if seen.kind == "main" and seen.detail and _NAMED.fullmatch(seen.detail):
                module, _, attribute = seen.detail.partition(":")
                found.setdefault((module, attribute), file)
    readmes_last = sorted(sources.extras.items(), key=lambda each: "readme" in each[0].lower())
    for file, text in readmes_last:
        last = file.rpartition("/")[2].lower()
        if not (
            last.startswith(_READ)
            or last.endswith((".toml", ".sh", ".ini", ".cfg", "makefile", "justfile"))
            or last in {"app.json", "render.yaml", "railway.json", "vercel.json", "fly.toml"}
        ):
            continue
        clipped = text[:200_000]
        for module, attribute, _ in _NAMED.findall(clipped):
            found.setdefault((module.replace("/", "."), attribute), file)
        for pattern in (_FLASK_APP, _RUN_FILE, _RUN_FILE_JSON):
            for name in pattern.findall(clipped):
                module, _, attribute = name.partition(":")
                module = module.removesuffix(".py").strip("./").replace("/", ".")
                if module:
                    found.setdefault((module, attribute), file)
    return found


def _file_of(sources: Sources, place: str) -> str | None:
    path = place.strip().removeprefix("./")
    if path.endswith(".py"):
        return path if path in sources.texts else None
    base = path.replace(".", "/")
    for ending in (".py", "/__init__.py"):
        for file in (f"{base}{ending}", f"src/{base}{ending}"):
            if file in sources.texts:
                return file
    matches = [file for file in sources.texts if file.endswith((f"/{base}.py", f"/{base}/__init__.py"))]
    return min(matches, key=lambda each: (each.count("/"), each)) if matches else None


def _only_framework(sources: Sources) -> str:
    roots = {module.partition(".")[0] for facts in sources.facts.values() for module in facts.imported}
    return next((each for each in ("connexion", "fastapi", "flask", "starlette", "django") if each in roots), "")


def _entry(sources: Sources, chosen: Candidate, found: list[Candidate]) -> Entry:
    managed = django.root_of(sources, chosen.file) if chosen.framework == "django" else None
    package = "" if managed else package_of(sources, chosen.file)
    root = managed or ("." if package else import_root(sources, chosen.file))
    target = chosen.target(root)
    others = [each for each in found if (each.file, each.attribute) != (chosen.file, chosen.attribute)]
    same = any(each.score == chosen.score and each.root != chosen.root for each in others)
    return Entry(
        target=f"{package}.{target}" if package else target,
        file=chosen.file,
        reason="; ".join(chosen.reasons) or "the only candidate",
        framework=chosen.framework,
        import_root=root,
        package=package,
        alternatives=tuple(each.target(import_root(sources, each.file)) for each in others),
        tied=same and chosen.reasons != ["named by --app"],
    )
