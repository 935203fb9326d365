"""Owns the facts that one pass over one Python file yields: an index of what is where, small enough to be cached."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, fields
from typing import Any, Final

VERSION: Final = 7
"""Raised whenever a file's facts change shape or meaning; an older cache is then dropped."""

ROUTER_CALLS: Final = frozenset(
    {
        "FastAPI", "APIRouter", "Flask", "Blueprint", "APIBlueprint", "APIFlask", "OpenAPI", "Starlette", "Router",
        "App", "FlaskApp", "AsyncApp", "FlaskAPI", "Api", "Namespace", "namespace", "Quart",
    }
)  # fmt: skip
"""Last names of the calls that make an application or a router."""

ROUTE_DECORATORS: Final = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "route", "api_route", "trace"}
)
"""Last names of the decorators that bind a handler to a path."""

HOOK_DECORATORS: Final = frozenset({"before_request", "before_app_request", "middleware"})
"""Last names of the decorators that put a function in front of every handler."""

LINK_CALLS: Final = frozenset(
    {
        "include_router", "register_blueprint", "mount", "add_namespace", "add_resource", "add_url_rule",
        "add_api_route", "add_route", "add_api", "register_api", "before_request", "add_middleware",
    }
)  # fmt: skip
"""Last names of the calls that tie a router, a view or a specification to an application."""

_HTTP_VERBS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "stream"})
_CLIENT_NAMES: Final = _HTTP_VERBS | frozenset(
    {
        "urlopen", "Request", "urlretrieve", "Session", "Client", "AsyncClient", "ClientSession", "SMTP", "SMTP_SSL",
        "client", "resource", "OpenAI", "AsyncOpenAI", "Anthropic", "create", "HTTPConnection", "HTTPSConnection",
        "create_connection", "WebClient", "SendGridAPIClient", "PoolManager", "connect", "FTP", "send", "init",
    }
)  # fmt: skip
CLIENTS: Final = {
    "requests": "requests", "httpx": "httpx", "urllib": "urllib", "urllib2": "urllib", "urllib3": "urllib3",
    "aiohttp": "aiohttp", "smtplib": "smtplib", "aiosmtplib": "aiosmtplib", "boto3": "boto3", "stripe": "stripe",
    "openai": "openai", "anthropic": "anthropic", "http": "http.client", "twilio": "twilio", "sendgrid": "sendgrid",
    "slack_sdk": "slack_sdk", "websockets": "websockets", "ftplib": "ftplib", "paramiko": "paramiko",
    "socket": "socket", "mailjet_rest": "mailjet", "resend": "resend", "pika": "pika", "redis": "redis",
}  # fmt: skip
"""Root packages whose calls leave the process, with the name that reports show."""
_CLIENT_ONLY: Final = {
    "http": ("http.client",),
    "urllib": ("urllib.request",),
    "socket": ("socket.create_connection",),
    "aiohttp": ("aiohttp.ClientSession", "aiohttp.request", "aiohttp.client"),
}

_PROVIDERS: Final = (
    "sk_live_", "sk_test_", "rk_live_", "whsec_", "AKIA", "ASIA", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-",
    "xoxp-", "AIza", "SG.", "sk-", "PRIVATE KEY-----", "hooks.slack.com/services/",
)  # fmt: skip
_PROVIDER: Final = re.compile(
    r"^(?:(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{10,}|whsec_[0-9A-Za-z]{16,}|A(?:KI|SI)A[0-9A-Z]{16}"
    r"|gh[po]_[0-9A-Za-z]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[bp]-[\w-]{20,}|AIza[\w-]{30,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|sk-[\w-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|https://hooks\.slack\.com/services/\S{20,})",
    re.DOTALL,
)
_SECRET_NAME: Final = re.compile(
    r"(?:^|_)(?:(?:jwt|app|flask|django|session|csrf|signing|client|cookie|refresh|webhook|encryption|master)_?)*secret"
    r"(?:_?key)?(?:_base)?$"
    r"|(?:^|_)(?:api|access|private|secret|encryption|encrypt|signing|sign|auth|jwt|fernet|aes|hmac|service|admin"
    r"|merchant|server)_?key(?:_?id)?$"
    r"|(?:^|_)(?:access|auth|api|bot|bearer|admin|service|master|webhook|slack|github)_?token$"
    r"|(?:^|_)(?:password|passwd|pwd|passphrase)$",
    re.IGNORECASE,
)
_STRONG_NAME: Final = re.compile(r"secret(?:_?key)?$|jwt_?key$|(?:private|encryption|signing)_?key$", re.IGNORECASE)
_DATABASE: Final = re.compile(
    r"^(sqlite|postgres(?:ql)?|mysql|mariadb|oracle|mssql|mongodb)(?:\+\w+)?(?::|\+)//|^(sqlite)\+?\w*:"
)
_ROLE_NAMES: Final = frozenset({"role", "user_role", "account_type", "user_type", "roles", "permission", "account_role"})
_LONGEST: Final = 32_768

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class: its name, its lines and the names that decorate or found it."""

    kind: str
    """def or class."""
    name: str
    """Qualified by the enclosing definitions: `create_app.index`."""
    first: int
    """Line of its first decorator, or of the definition."""
    line: int
    end: int
    decorators: tuple[str, ...]
    """Dotted text of each decorator without its arguments; "" where it is no dotted name."""
    bases: tuple[str, ...]
    """Dotted text of each base class; for functions the names of the parameters."""
    returns: tuple[str, ...] = ()
    """Dotted text of what a function returns, with `()` after a call."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One noteworthy statement or expression."""

    kind: str
    """router, link, outbound, environment, wrapper, secret, ddl, database, role, table, main, module-write."""
    line: int
    end: int
    text: str = ""
    detail: str | None = None
    flag: bool = False


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one pass over one file found; JSON-serializable."""

    lines: int
    imports: dict[str, str]
    """Bound name -> dotted target; a relative target keeps its leading dots."""
    imported: tuple[str, ...]
    """Absolute modules that the file imports."""
    stars: tuple[str, ...]
    definitions: tuple[Definition, ...]
    assigned: dict[str, Span]
    """Module-level name -> lines of its last assignment."""
    sightings: tuple[Sighting, ...]
    tests: int = 0

    def as_json(self) -> list[Any]:
        """Plain lists and dictionaries."""
        return [
            self.lines, self.imports, self.imported, self.stars,
            [[getattr(each, name) for name in _DEFINITION] for each in self.definitions],
            self.assigned,
            [[getattr(each, name) for name in _SIGHTING] for each in self.sightings],
            self.tests,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, value: list[Any]) -> FileFacts:
        """The inverse of `as_json`; raises ValueError, TypeError or IndexError on anything else."""
        lines, imports, imported, stars, definitions, assigned, sightings, tests = value
        return cls(
            lines,
            imports,
            tuple(imported),
            tuple(stars),
            tuple(
                Definition(kind, name, first, line, end, tuple(decorators), tuple(bases), tuple(returns))
                for kind, name, first, line, end, decorators, bases, returns in definitions
            ),
            {name: (first, last) for name, (first, last) in assigned.items()},
            tuple(Sighting(*each) for each in sightings),
            tests,
        )

    def enclosing(self, line: int) -> Definition | None:
        """The innermost function that holds that line."""
        found = None
        for each in self.definitions:
            if each.first > line:
                break
            if each.end >= line and each.kind == "def":
                found = each
        return found

    def definition(self, name: str) -> Definition | None:
        """The last definition of that qualified name."""
        return next((each for each in reversed(self.definitions) if each.name == name), None)


_DEFINITION: Final = tuple(each.name for each in fields(Definition))
_SIGHTING: Final = tuple(each.name for each in fields(Sighting))


def dotted(node: ast.expr | None) -> str:
    """`a.b.c` for names and attributes, "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


def masked(value: str) -> str:
    """The first three characters and the length: a secret is never shown whole."""
    return f"{value[:3]}... ({len(value)} characters)"


def extract(text: str) -> FileFacts:
    """Read one file; raises SyntaxError, ValueError, RecursionError or MemoryError where `ast` cannot parse it."""
    tree = ast.parse(text)
    return _Visitor(text).run(tree)


_LEAVES: Final = frozenset(
    {"ctx", "op", "ops", "kind", "type_comment", "id", "attr", "level", "module", "conversion", "is_async", "simple",
     "asname", "rest", "kwd_attrs", "annotation", "returns", "type_ignores", "type_params"}
)  # fmt: skip
_NOT_NODES: Final = {
    "FunctionDef": {"name"}, "AsyncFunctionDef": {"name"}, "ClassDef": {"name"}, "ExceptHandler": {"name"},
    "keyword": {"arg"}, "arg": {"arg"}, "Constant": {"value"}, "Global": {"names"}, "Nonlocal": {"names"},
    "Import": {"names"}, "ImportFrom": {"names"}, "MatchSingleton": {"value"}, "MatchStar": {"name"},
    "MatchAs": {"name"}, "alias": {"name"}, "arguments": {"posonlyargs", "args", "vararg", "kwonlyargs", "kwarg"},
}  # fmt: skip


def _children() -> dict[type, tuple[str, ...]]:
    table: dict[type, tuple[str, ...]] = {type(None): (), str: ()}
    for cls in vars(ast).values():
        if isinstance(cls, type) and issubclass(cls, ast.AST):
            skipped = _NOT_NODES.get(cls.__name__, set())
            table[cls] = tuple(name for name in cls._fields if name not in _LEAVES and name not in skipped)
    return table


_CHILDREN: Final = _children()
_BARE: Final = frozenset(cls for cls, names in _CHILDREN.items() if not names)


class _Visitor:
    """One flat walk; scopes are found afterwards from the lines of the definitions."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.imports: dict[str, str] = {}
        self.imported: list[str] = []
        self.stars: list[str] = []
        self.definitions: list[tuple[str, str, int, int, int, tuple[str, ...], tuple[str, ...]]] = []
        self.returned: list[tuple[int, str]] = []
        self.sightings: list[Sighting] = []
        self.calls: list[ast.Call] = []
        self.subscripts: list[ast.Subscript] = []
        lowered = text.lower()
        self.has_environ = "environ" in text
        self.has_role = "role" in lowered or "account_type" in lowered or "user_type" in lowered
        self.has_secret = any(word in lowered for word in ("secret", "key", "token", "passw", "pwd"))
        self.handlers: dict[type, Any] = {
            ast.FunctionDef: self.function, ast.AsyncFunctionDef: self.function, ast.ClassDef: self.klass,
            ast.Import: self.plain_import, ast.ImportFrom: self.from_import, ast.Call: self.call,
            ast.Assign: self.assign, ast.AnnAssign: self.assign, ast.Return: self.result,
        }  # fmt: skip
        if self.has_environ:
            self.handlers[ast.Subscript] = self.subscript
            self.handlers[ast.BoolOp] = self.alternative
        if self.has_role:
            self.handlers[ast.Compare] = self.compare
        if self.has_secret:
            self.handlers[ast.Dict] = self.mapping
        providers = any(word in text for word in _PROVIDERS)
        self.has_ddl = "create table" in lowered or ("create" in lowered and "unique index" in lowered)
        if self.has_ddl or providers or "://" in text:
            self.handlers[ast.Constant] = self.constant
        if self.has_ddl:
            self.handlers[ast.JoinedStr] = self.joined
        self.fallbacks: dict[int, str | None] = {}

    def run(self, tree: ast.Module) -> FileFacts:
        assigned: dict[str, Span] = {}
        self.module_level(tree.body, assigned)
        handlers, children, bare = self.handlers, _CHILDREN, _BARE
        stack: list[Any] = list(tree.body)
        pop, push, extend = stack.pop, stack.append, stack.extend
        bare = frozenset(cls for cls in bare if cls not in handlers)
        while stack:
            node = pop()
            cls = node.__class__
            if cls in bare:
                continue
            handler = handlers.get(cls)
            if handler is not None:
                handler(node)
            for name in children[cls]:
                value = getattr(node, name)
                if value.__class__ is list:
                    if value:
                        extend(value)
                elif value.__class__ not in bare:
                    push(value)
        self.resolve_calls()
        self.resolve_subscripts()
        definitions = self.nested()
        self.sightings.sort(key=lambda each: (each.line, each.end, each.kind, each.text))
        tests = sum(
            1
            for each in definitions
            if each.kind == "def" and each.name.rpartition(".")[2].startswith("test")
        )
        lines = self.text.count("\n") + (not self.text.endswith("\n") and bool(self.text))
        imported = tuple(dict.fromkeys(self.imported))
        stars = tuple(dict.fromkeys(self.stars))
        return FileFacts(lines, self.imports, imported, stars, definitions, assigned, tuple(self.sightings), tests)

    def module_level(self, body: list[ast.stmt], assigned: dict[str, Span]) -> None:
        """Names that the module binds, also under `if`, `try` and `with`; `__main__` is no such place."""
        for node in body:
            match node:
                case ast.Assign(targets=targets):
                    for target in targets:
                        for each in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                            if isinstance(each, ast.Name):
                                assigned[each.id] = (node.lineno, node.end_lineno or node.lineno)
                case ast.AnnAssign(target=ast.Name(id=name)) if node.value is not None:
                    assigned[name] = (node.lineno, node.end_lineno or node.lineno)
                case ast.If(test=test):
                    if _is_main(test):
                        end = node.end_lineno or node.lineno
                        base, named = _runs(node)
                        runs = base is not None
                        self.sightings.append(Sighting("main", node.lineno, end, base or "", named, flag=runs))
                        continue
                    self.module_level(node.body, assigned)
                    self.module_level(node.orelse, assigned)
                case ast.Try():
                    for part in (node.body, *(each.body for each in node.handlers), node.orelse, node.finalbody):
                        self.module_level(part, assigned)
                case ast.With() | ast.AsyncWith():
                    self.module_level(node.body, assigned)

    def see(self, kind: str, node: ast.AST, text: str = "", detail: str | None = None, *, flag: bool = False) -> None:
        line: int = getattr(node, "lineno", 0)
        self.sightings.append(Sighting(kind, line, getattr(node, "end_lineno", line) or line, text, detail, flag))

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = node.args
        names = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        self.define("def", node, tuple(each.arg for each in names))

    def klass(self, node: ast.ClassDef) -> None:
        bases = [dotted(each.value if isinstance(each, ast.Subscript) else each) for each in node.bases]
        bases += [f"{each.arg}={each.value.value}" for each in node.keywords if isinstance(each.value, ast.Constant)]
        self.define("class", node, tuple(bases))

    def define(
        self, kind: str, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, bases: tuple[str, ...]
    ) -> None:
        listed = node.decorator_list
        first = min(node.lineno, listed[0].lineno) if listed else node.lineno
        heads = tuple(dotted(each.func if isinstance(each, ast.Call) else each) for each in listed)
        self.definitions.append((kind, node.name, first, node.lineno, node.end_lineno or node.lineno, heads, bases))

    def result(self, node: ast.Return) -> None:
        value: ast.expr | None = node.value
        if isinstance(value, ast.Tuple) and value.elts:
            value = value.elts[0]
        if isinstance(value, ast.Name):
            self.returned.append((node.lineno, value.id))
        elif isinstance(value, ast.Call) and (name := dotted(value.func)):
            self.returned.append((node.lineno, f"{name}()"))

    def plain_import(self, node: ast.Import) -> None:
        for each in node.names:
            self.imported.append(each.name)
            if each.asname:
                self.imports[each.asname] = each.name
            else:
                head = each.name.partition(".")[0]
                self.imports[head] = head

    def from_import(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        base = "." * node.level + module
        if not node.level:
            self.imported.append(module)
        for each in node.names:
            if each.name == "*":
                self.stars.append(base)
            else:
                self.imports[each.asname or each.name] = f"{base}.{each.name}" if module else f"{base}{each.name}"

    def assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        value = node.value
        if isinstance(value, ast.Call):
            func = value.func
            name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
            if name in ROUTER_CALLS:
                self.see("router", node, name)
            elif name == "Table":
                self.see("table", node)
        elif self.has_secret and isinstance(value, ast.Constant) and isinstance(value.value, str):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self.secret(_target_name(target), value.value, node)

    def secret(self, name: str, value: str, node: ast.AST) -> None:
        if name and _SECRET_NAME.search(name) and _looks_secret(name, value):
            self.see("secret", node, name, masked(value))

    def mapping(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if (
                isinstance(key, ast.Constant)
                and isinstance(key.value, str)
                and isinstance(value, ast.Constant)
                and isinstance(value.value, str)
                and _STRONG_NAME.search(key.value)
            ):
                self.secret(key.value, value.value, value)

    def constant(self, node: ast.Constant) -> None:
        value = node.value
        if value.__class__ is not str or len(value) < 8:  # noqa: PLR2004 - shorter text is none of these
            return
        if self.has_ddl and _is_ddl(value):
            self.see("ddl", node, value[:_LONGEST])
        elif found := _DATABASE.match(value):
            self.see("database", node, found[1] or found[2])
        elif _PROVIDER.match(value):
            self.see("secret", node, "", masked(value))

    def joined(self, node: ast.JoinedStr) -> None:
        text = "".join(
            each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else "x"
            for each in node.values
        )
        if _is_ddl(text):
            self.see("ddl", node, text[:_LONGEST], flag=True)

    def compare(self, node: ast.Compare) -> None:
        sides = (node.left, *node.comparators)
        if any(_role_name(each) for each in sides):
            for each in sides:
                for value in each.elts if isinstance(each, ast.Tuple | ast.List | ast.Set) else (each,):
                    if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                        if value.value.lower() not in _ROLE_NAMES:
                            self.see("role", node, value.value)
                    elif isinstance(value, ast.Attribute) and (name := dotted(value)):
                        self.see("role-name", node, name)

    def call(self, node: ast.Call) -> None:
        func = node.func
        cls = func.__class__
        if cls is ast.Attribute:
            name = func.attr  # type: ignore[attr-defined]
        elif cls is ast.Name:
            name = func.id  # type: ignore[attr-defined]
        else:
            return
        if name in _CALLED:
            self.calls.append(node)
        if node.keywords and self.has_secret:
            for each in node.keywords:
                if each.value.__class__ is ast.Constant and each.arg and isinstance(each.value.value, str):  # type: ignore[attr-defined]
                    self.keyword_secret(each)

    def keyword_secret(self, each: ast.keyword) -> None:
        if each.arg and _STRONG_NAME.search(each.arg) and isinstance(each.value, ast.Constant):
            self.secret(each.arg, str(each.value.value), each.value)

    def subscript(self, node: ast.Subscript) -> None:
        if node.value.__class__ in (ast.Attribute, ast.Name) and node.ctx.__class__ is ast.Load:
            self.subscripts.append(node)

    def alternative(self, node: ast.BoolOp) -> None:
        """Remember the value that an `or` supplies where a variable is missing."""
        if isinstance(node.op, ast.Or) and isinstance(node.values[0], ast.Call):
            last = node.values[-1]
            self.fallbacks[id(node.values[0])] = str(last.value) if isinstance(last, ast.Constant) else "?"

    def full(self, node: ast.expr) -> str:
        """Dotted name with the first part resolved by the file's imports."""
        name = dotted(node)
        head, dot, rest = name.partition(".")
        return self.imports.get(head, head) + dot + rest

    def resolve_calls(self) -> None:
        for node in self.calls:
            func = node.func
            name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
            if name in LINK_CALLS and isinstance(func, ast.Attribute):
                self.see("link", node, name)
                continue
            full = self.full(func)
            root = full.partition(".")[0]
            if full in _ENVIRONMENT or full.endswith((".environ.get", ".environ.pop", ".environ.setdefault")):
                self.environment(node, full)
            elif name in _ENVIRONS and isinstance(func, ast.Attribute):
                self.environs(node)
            elif name == "config" and full.startswith("decouple."):
                self.environment(node, full)
            elif name in {"encode", "decode"} and root in {"jwt", "jose"} and len(node.args) > 1:
                key = node.args[1]
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self.see("secret", node, f"{root} key", masked(key.value))
            elif name == "create_table" and root in {"alembic", "op"}:
                self.see("migration", node)
            elif root in CLIENTS and name in _CLIENT_NAMES and full.startswith(_CLIENT_ONLY.get(root, (root,))):
                self.see("outbound", node, full)

    def environment(self, node: ast.Call, full: str) -> None:
        if not node.args:
            return
        first = node.args[0]
        default, has_default = _default(node)
        if default is None and id(node) in self.fallbacks:
            default, has_default = self.fallbacks[id(node)], True
        required = full.startswith("decouple.") and not has_default
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            self.see("environment", node, first.value, default, flag=required)
            if default and self.has_secret:
                self.secret(first.value, default, node)
        elif isinstance(first, ast.Name):
            self.see("wrapper", node, first.id, default)

    def environs(self, node: ast.Call) -> None:
        """`env.str("X")` and `env("X")` of environs and django-environ: only where the base came from there."""
        base = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if not (isinstance(base, ast.Name) and base.id in {"env", "ENV"}):
            return
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            default, has_default = _default(node)
            self.see("environment", node, node.args[0].value, default, flag=not has_default)

    def resolve_subscripts(self) -> None:
        for node in self.subscripts:
            if self.full(node.value) in {"os.environ", "environ"}:
                key = node.slice
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self.see("environment", node, key.value, flag=True)
                elif isinstance(key, ast.Name):
                    self.see("wrapper", node, key.id, flag=True)

    def nested(self) -> tuple[Definition, ...]:
        """Qualify names by the definitions around them, in source order."""
        self.definitions.sort(key=lambda each: (each[2], -each[4]))
        self.returned.sort()
        spans = [(each[3], each[4]) for each in self.definitions if each[0] == "def"]
        results: dict[int, list[str]] = {}
        for line, name in self.returned:
            inner = max((span for span in spans if span[0] <= line <= span[1]), default=None) if len(
                spans
            ) < _FEW else _innermost(spans, line)
            if inner is not None:
                results.setdefault(inner[0], []).append(name)
        found: list[Definition] = []
        stack: list[Definition] = []
        for kind, name, first, line, end, heads, bases in self.definitions:
            while stack and stack[-1].end < first:
                stack.pop()
            qualified = f"{stack[-1].name}.{name}" if stack else name
            returns = tuple(results.get(line, ())[:8]) if kind == "def" else ()
            definition = Definition(kind, qualified, first, line, end, heads, bases, returns)
            found.append(definition)
            stack.append(definition)
        return tuple(found)


_FEW: Final = 16
_ENVIRONMENT: Final = frozenset({"os.getenv", "getenv", "os.environ.get", "os.environ.pop", "environ.get"})
_ENVIRONS: Final = frozenset({"str", "int", "bool", "float", "list", "url", "env"})
_CALLED: Final = (
    LINK_CALLS | _CLIENT_NAMES | _ENVIRONS | frozenset({"getenv", "pop", "setdefault", "config", "encode", "decode"})
    | frozenset({"create_table"})
)  # fmt: skip


def _innermost(spans: list[Span], line: int) -> Span | None:
    from bisect import bisect_right

    index = bisect_right(spans, (line, 1 << 30))
    while index:
        index -= 1
        if spans[index][1] >= line:
            return spans[index]
    return None


def _is_main(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == "__main__"
    )


def _runs(node: ast.If) -> tuple[str | None, str | None]:
    """What a `__main__` block calls `.run(` on, and the string it gives first."""
    for each in ast.walk(node):
        if (
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr in {"run", "serve", "serve_forever"}
        ):
            first = each.args[0] if each.args else None
            if isinstance(first, ast.Name):
                return first.id, None
            named = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
            return dotted(each.func.value), named
    return None, None


def _is_ddl(text: str) -> bool:
    lowered = text.lower()
    return "create table" in lowered or ("unique index" in lowered and "create" in lowered)


def _target_name(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return ""


def _role_name(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr="value", value=inner):
            return _role_name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name.lower() in _ROLE_NAMES
        case ast.Call(func=ast.Attribute(attr="get" | "lower" | "upper" | "strip", value=inner), args=args):
            if args and isinstance(args[0], ast.Constant) and isinstance(args[0].value, str):
                return args[0].value.lower() in _ROLE_NAMES
            return _role_name(inner)
    return False


def _default(node: ast.Call) -> tuple[str | None, bool]:
    value = node.args[1] if len(node.args) > 1 else None
    if value is None:
        value = next((each.value for each in node.keywords if each.arg == "default"), None)
    if value is None:
        return None, False
    if isinstance(value, ast.Constant):
        return (None if value.value is None else str(value.value)), True
    return "?", True


def _looks_secret(name: str, value: str) -> bool:
    """Whether a literal under such a name is a value that protects something, and not a label, a path or a template."""
    if not 3 <= len(value) <= 4096 or value.lower() == name.lower():  # noqa: PLR2004 - no key is that short or long
        return False
    if value[0] in "/<{%$" or value.startswith(("http://", "https://")) or "{" in value or "%s" in value:
        return False
    if _PROVIDER.match(value) or _STRONG_NAME.search(name):
        return value == value.strip() and "\n" not in value
    if any(each.isspace() for each in value):
        return False
    weak = len(value) >= 6  # noqa: PLR2004 - shorter passwords are labels more often than not
    if "key" in name.lower() or "token" in name.lower():
        return weak and value.lower() not in {"access_token", "bearer", "authorization", "x-api-key", "api_key"}
    return weak and value.lower() not in {"password", "passwd", "passphrase"}
