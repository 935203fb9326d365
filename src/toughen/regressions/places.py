"""Owns where the tests stand and what they stand on: the file beside the project's own tests, and the client of its fixtures or an own one."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.regressions.clients import DJANGO, FLASK, kind_of
from toughen.regressions.fixtures import Ground, Stand, class_ground, django_ground, function_ground
from toughen.syntax import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Entry, EnvironmentVariable
    from toughen.regressions.known import Known

FILE = "test_hardened.py"
_CLIENTS = ("client", "test_client", "api_client", "app_client")
_APART = re.compile(r"(^|/)(tests?|migrations|alembic|scripts|docs|examples|node_modules|venv|env)(/|$)|(^|/)(conftest|setup|test_\w+|\w+_test|tests)\.py$")
_URL = re.compile(r"(DATABASE|DB|SQLALCHEMY|SQL)\w*_?(URL|URI|DSN)$|^(DATABASE|DB)$", re.IGNORECASE)
_FILE = re.compile(r"(DATABASE|DB|SQLITE)\w*_?(PATH|FILE|NAME)$", re.IGNORECASE)
_SIGNS = re.compile(r"(SECRET|KEY|SALT|PEPPER)$")
"""Variables that something is signed or hashed with: without them nothing is."""
_RELATIVE = re.compile(r"(StaticFiles|Jinja2Templates|FileSystemLoader)\(\s*(directory\s*=\s*)?[\"'][^/\"']|open\(\s*[\"'][^/\"']")
_ANCHORED = re.compile(r"__file__|instance_path|\.root_path")


def place_of(blueprint: Blueprint) -> str:
    """The file that the tests are written to, relative to the project's root."""
    folders = Counter(PurePosixPath(each).parent.as_posix() for each in blueprint.suite.files)
    root = blueprint.entry.import_root if blueprint.entry else "."
    # Django's runner looks into packages only, and into the folder that it is started in.
    inner = "." if blueprint.framework == "django" else "tests"
    folder = folders.most_common(1)[0][0] if folders else PurePosixPath(root, inner).as_posix()
    return PurePosixPath(folder, FILE).as_posix()


def grounds(known: Known) -> list[Ground] | str:
    """What tests can stand on, the most fitting first; or why they can stand on nothing."""
    blueprint, entry = known.blueprint, known.blueprint.entry
    if entry is None:
        return "no application was found"
    kind = kind_of(entry.framework)
    if kind == DJANGO:
        return [django_ground(_overridden(known))]
    found = list(_of_suite(known, kind))
    if blueprint.database in {"postgresql", "mysql"} and not blueprint.stand_in:
        return found or f"its database is a server of {blueprint.database}'s, and its suite has no client to ask it through"
    beside, elsewhere = _own(known, entry, kind, beside=True), _own(known, entry, kind, beside=False)
    anchored = any(_ANCHORED.search(text) and re.search("sqlite", text, re.IGNORECASE) for text in _own_sources(known).values())
    in_instance = any("flask_sqlalchemy" in text for text in known.sources.values())
    relative = any(_RELATIVE.search(text) for text in _own_sources(known).values())
    own = [elsewhere, beside] if anchored or in_instance or relative else [beside, elsewhere]
    return [*found, *own]


def _overridden(known: Known) -> tuple[str, ...]:
    """Settings of Django's that send a test client elsewhere: to https, or to a server for what is cached."""
    text = "\n".join(_own_sources(known).values())
    secure = ("SECURE_SSL_REDIRECT=False",) if "SECURE_SSL_REDIRECT" in text else ()
    cached = ('CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}',) if re.search(r"cache\.backends\.(redis|memcached)|django_redis", text) else ()
    return (*secure, *cached)


def _own_sources(known: Known) -> Mapping[str, str]:
    return {file: text for file, text in known.sources.items() if not _APART.search(file)}


def _of_suite(known: Known, kind: str) -> Iterator[Ground]:
    """The project's own fixture, where a conftest beside its tests has one."""
    folder = PurePosixPath(place_of(known.blueprint)).parent
    for file, text in known.sources.items():
        if PurePosixPath(file).name != "conftest.py" or not folder.is_relative_to(PurePosixPath(file).parent):
            continue
        try:
            tree = parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        fixtures = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and any("fixture" in ast.dump(each) for each in node.decorator_list)}
        name = next((each for each in _CLIENTS if each in fixtures), None)
        if name is None:
            continue
        alias = "" if name == "client" else f'@pytest.fixture\ndef client({name}):\n    """The project\'s own test client."""\n    return {name}\n'
        yield Ground("suite", kind, imports=("import pytest",) if alias else (), text=alias)
        return


def _own(known: Known, entry: Entry, kind: str, *, beside: bool) -> Ground:
    """A client of the file's own: the application imported anew, its database in the test's own folder."""
    module, _, attribute = entry.target.partition(":")
    factory, name = attribute.endswith("()"), attribute.removesuffix("()")
    application = "app" if factory else name
    served = f"{application}.app" if entry.framework == "connexion" and _wraps(known, entry, name) else application
    prepared = _prepared(known, entry, served, kind)
    home = _definer(known, entry, name)
    imports = [f"from {home or module} import {name}", *([f"import {module}  # what it adds to it"] if home else []), *(each for each in prepared if each.startswith("from "))]
    stand = Stand(
        kind, _above(known, entry), tuple(_modules(known, entry)), "on an empty database" if known.blueprint.database not in {None, "memory"} else "with nothing in its memory",
        tuple(_environment(known)), beside, tuple(_merged(imports)), (*([f"app = {name}()"] if factory else []), *(each for each in prepared if not each.startswith("from "))), served,
        known.blueprint.database == "sqlite" or bool(known.blueprint.stand_in), entry.framework,
    )
    return (class_ground if known.blueprint.suite.runner == "unittest" else function_ground)(stand)


def _above(known: Known, entry: Entry) -> str:
    """The expression of the folder that the application is imported from."""
    root = f"Path(__file__).resolve().parents[{len(PurePosixPath(place_of(known.blueprint)).parts) - 1}]"
    inner = PurePosixPath(entry.import_root)
    return f"{root}.parent" if entry.package else root + "".join(f' / "{each}"' for each in inner.parts if each != ".")


def _merged(imports: list[str]) -> list[str]:
    """Imports from one module in one line."""
    found: dict[str, list[str]] = {}
    for each in imports:
        module, _, names = each.partition(" import ")
        found.setdefault(module if names else each, []).extend(name for name in names.split(", ") if name and name not in found.get(module, []))
    return [f"{module} import {', '.join(names)}" if names else module for module, names in found.items()]


def _definer(known: Known, entry: Entry, name: str) -> str | None:
    """The project's module from which the entry only takes the application: it comes first, where the two import each other."""
    try:
        tree = parse(known.sources.get(entry.file, ""))
    except (SyntaxError, ValueError, RecursionError):
        return None
    found = next((node.module for node in tree.body if isinstance(node, ast.ImportFrom) and not node.level and node.module and any((each.asname or each.name) == name for each in node.names)), None)
    return found if found is not None and found in {_module_name(known, file) for file in _own_sources(known)} else None


def _wraps(known: Known, entry: Entry, name: str) -> bool:
    """Whether a name is connexion's wrapper rather than the application of Flask's in it."""
    texts = [text for file, text in known.sources.items() if file == entry.file or re.search(rf"^{name}\s*=", text, re.MULTILINE)]
    return any(re.search(rf"^{name}\s*=\s*connexion\.", text, re.MULTILINE) for text in texts)


def _modules(known: Known, entry: Entry) -> list[str]:
    if entry.package:
        return [entry.package]
    root = PurePosixPath(entry.import_root)
    found = set()
    for file in _own_sources(known):
        path = PurePosixPath(file)
        if path.is_relative_to(root):
            parts = path.relative_to(root).parts
            found.add(parts[0].removesuffix(".py"))
    return sorted(each for each in found if each.isidentifier())


def _environment(known: Known) -> list[tuple[str, str]]:
    """Variables without which it does not start, and those that say where its database is; each with the expression of its value."""
    lines = []
    seen: set[str] = set()
    for variable in known.blueprint.environment:
        if variable.name in seen:
            continue
        value = _value(variable, needed=variable.required or variable.name in known.demands or (variable.relied and bool(_SIGNS.search(variable.name))))
        if value is not None:
            seen.add(variable.name)
            lines.append((variable.name, value))
    lines += [(name, _made_up(name)) for name in known.demands if name not in seen]
    return lines


def _value(variable: EnvironmentVariable, *, needed: bool) -> str | None:
    if _URL.search(variable.name):
        scheme = "sqlite+aiosqlite" if "aiosqlite" in (variable.default or "") else "sqlite"
        return f"f\"{scheme}:///{{tmp_path / 'test.db'}}\""
    if _FILE.search(variable.name):
        return 'str(tmp_path / "test.db")'
    return _made_up(variable.name) if needed else None


def _made_up(name: str) -> str:
    if re.search(r"PORT|SECONDS|MINUTES|TTL|EXPIR|SIZE|MAX|LIMIT", name):
        return '"60"'
    if re.search(r"SECRET|KEY|TOKEN|SALT|PASSWORD", name):
        return '"a-key-of-the-tests-that-is-long-enough"'
    return '"http://localhost"' if re.search(r"URL|HOST|ORIGIN", name) else '"test"'


def _below(entry: Entry, file: str) -> str:
    """A file's path from the folder that the application is imported from."""
    root = PurePosixPath(entry.import_root)
    path = PurePosixPath(file)
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _makes_tables(known: Known, entry: Entry) -> bool:
    """Whether importing the application makes its tables."""
    for file, text in _own_sources(known).items():
        try:
            tree = parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        tops = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))]
        tops += [node for node in tree.body if isinstance(node, ast.FunctionDef) and file == entry.file and entry.target.endswith(f":{node.name}()")]
        if any("create_all(" in ast.unparse(node) for node in tops):
            return True
    return False


def _prepared(known: Known, entry: Entry, application: str, kind: str) -> list[str]:
    """How its tables come to be, as the project itself makes them where it is started."""
    lines: list[str] = []
    for step in known.steps:
        if step == "main_block":
            lines += _main_block(known, entry)
        elif step == "create_all":
            lines += _create_all(known, application, kind)
        elif step.startswith("script:"):
            lines.append(f'runpy.run_path(str(ROOT / "{_below(entry, step.partition(":")[2])}"), run_name="__main__")')
        elif step.startswith("command:") and kind == FLASK:
            lines.append(f'{application}.test_cli_runner().invoke(args=["{step.partition(":")[2]}"])')
    if kind == FLASK and not any("create_all" in each for each in lines) and not _makes_tables(known, entry):
        lines = [*_create_all(known, application, kind), *lines]
    return lines


def _main_block(known: Known, entry: Entry) -> list[str]:
    """What the main block does before it serves."""
    text = known.sources.get(entry.file, "")
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    block = next((node for node in tree.body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)), None)
    if block is None:
        return []
    own = {name for node in tree.body for name in _bound(node)}
    kept = [node for node in block.body if not re.search(r"\.run\(|\bserve\(|runserver|print\(|argparse|sys\.argv|logging", ast.unparse(node)) and not isinstance(node, ast.Import | ast.ImportFrom)]
    wanted = sorted({node.id for each in kept for node in ast.walk(each) if isinstance(node, ast.Name) and node.id in own})
    module = entry.target.partition(":")[0]
    return [*([f"from {module} import {', '.join(wanted)}"] if wanted else []), *(line for each in kept for line in ast.unparse(each).splitlines())]


def _bound(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (each.id for each in targets if isinstance(each, ast.Name))
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from ((each.asname or each.name).partition(".")[0] for each in names)
        case ast.If(body=body) if "__name__" not in ast.unparse(node.test):
            for each in body:
                yield from _bound(each)


def _create_all(known: Known, application: str, kind: str) -> list[str]:
    """Tables as the models say."""
    for file, text in _own_sources(known).items():
        module = _module_name(known, file)
        if kind == FLASK and (match := re.search(r"^(\w+)\s*=\s*SQLAlchemy\(", text, re.MULTILINE)):
            return [f"from {module} import {match.group(1)}", f"with {application}.app_context():", f"    {match.group(1)}.create_all()"]
    for file, text in _own_sources(known).items():
        if match := re.search(r"^(\w+)\s*=\s*(?:declarative_base\(|orm\.declarative_base\()|^class (\w+)\(DeclarativeBase", text, re.MULTILINE):
            base, module = match.group(1) or match.group(2), _module_name(known, file)
            engine = next((other for other, each in _own_sources(known).items() if re.search(r"^engine\s*=\s*create_engine\(", each, re.MULTILINE)), None)
            if engine is not None:
                return [f"from {module} import {base}", f"from {_module_name(known, engine)} import engine", f"{base}.metadata.create_all(bind=engine)"]
    return []


def _module_name(known: Known, file: str) -> str:
    entry = known.blueprint.entry
    root = PurePosixPath(entry.import_root if entry else ".")
    path = PurePosixPath(file)
    parts = (path.relative_to(root) if path.is_relative_to(root) else path).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return f"{entry.package}.{name}" if entry is not None and entry.package else name
