"""Owns the one pass over a file's tree that yields its facts."""

from __future__ import annotations

import ast
from typing import Any, Final

from toughen import syntax
from toughen.model.blueprint import masked
from toughen.survey.facts import (
    CLIENTS,
    LINK_CALLS,
    ROUTER_CALLS,
    FileFacts,
    Sighting,
    Span,
    default_of,
    dotted,
    target_name,
)
from toughen.survey.literals import DATABASE, PROVIDER, PROVIDERS, SECRET_NAME, STRONG_NAME, is_ddl, looks_secret, snake
from toughen.survey.scopes import Defined, is_main, nested, runs_what

_HTTP_VERBS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "stream"})
_CLIENT_NAMES: Final = _HTTP_VERBS | frozenset(
    {
        "urlopen", "Request", "urlretrieve", "Session", "Client", "AsyncClient", "ClientSession", "SMTP", "SMTP_SSL",
        "client", "resource", "OpenAI", "AsyncOpenAI", "Anthropic", "create", "HTTPConnection", "HTTPSConnection",
        "create_connection", "WebClient", "SendGridAPIClient", "PoolManager", "connect", "FTP", "send", "init",
    }
)  # fmt: skip
_CLIENT_ONLY: Final = {
    "http": ("http.client",),
    "urllib": ("urllib.request",),
    "socket": ("socket.create_connection",),
    "aiohttp": ("aiohttp.ClientSession", "aiohttp.request", "aiohttp.client"),
}

_ROLE_NAMES: Final = frozenset(
    {"role", "user_role", "account_type", "user_type", "roles", "permission", "account_role"}
    | {"cargo", "papel", "perfil", "rol", "rolle", "tipo_usuario"}
)
_ROLE_PARTS: Final = ("rol", "account_type", "user_type", "permission", "cargo", "papel", "perfil", "tipo_usuario")
_LONGEST: Final = 32_768


def extract(text: str) -> FileFacts:
    """Read one file; raises SyntaxError where it cannot be parsed."""
    tree = syntax.parse(text)
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
        self.definitions: list[Defined] = []
        self.returned: list[tuple[int, str]] = []
        self.sightings: list[Sighting] = []
        self.calls: list[ast.Call] = []
        self.subscripts: list[ast.Subscript] = []
        lowered = text.lower()
        self.has_environ = "environ" in text
        self.has_role = any(each in lowered for each in _ROLE_PARTS)
        self.has_secret = any(word in lowered for word in ("secret", "key", "token", "passw", "pwd"))
        self.handlers: dict[type, Any] = {
            ast.FunctionDef: self.function, ast.AsyncFunctionDef: self.function, ast.ClassDef: self.klass,
            ast.Import: self.plain_import, ast.ImportFrom: self.from_import, ast.Call: self.call,
            ast.Assign: self.assign, ast.AnnAssign: self.assign, ast.Return: self.result,
        }  # fmt: skip
        if self.has_environ:
            self.handlers[ast.Subscript] = self.subscript
        if self.has_environ or "getenv" in text:
            self.handlers[ast.BoolOp] = self.alternative
        if self.has_role:
            self.handlers[ast.Compare] = self.compare
        if self.has_secret:
            self.handlers[ast.Dict] = self.mapping
        providers = any(word in text for word in PROVIDERS)
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
        definitions = nested(self.definitions, self.returned)
        self.sightings.sort(key=lambda each: (each.line, each.end, each.kind, each.text))
        tests = sum(1 for each in definitions if each.kind == "def" and each.name.rpartition(".")[2].startswith("test"))
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
                    if is_main(test):
                        end = node.end_lineno or node.lineno
                        base, named = runs_what(node)
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
        bases += [f"{each.arg}={each.value.value!r}" for each in node.keywords if isinstance(each.value, ast.Constant)]
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
                self.secret(target_name(target), value.value, node)

    def secret(self, name: str, value: str, node: ast.AST) -> None:
        if name and SECRET_NAME.search(snake(name)) and looks_secret(name, value):
            self.see("secret", node, name, masked(value))

    def mapping(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if (
                isinstance(key, ast.Constant)
                and isinstance(key.value, str)
                and isinstance(value, ast.Constant)
                and isinstance(value.value, str)
                and STRONG_NAME.search(snake(key.value))
            ):
                self.secret(key.value, value.value, value)

    def constant(self, node: ast.Constant) -> None:
        value = node.value
        if value.__class__ is not str or len(value) < 8:  # noqa: PLR2004 - shorter text is none of these
            return
        if self.has_ddl and is_ddl(value):
            self.see("ddl", node, value[:_LONGEST])
        elif found := DATABASE.match(value):
            self.see("database", node, found[1] or found[2])
        elif PROVIDER.match(value):
            self.see("secret", node, "", masked(value))

    def joined(self, node: ast.JoinedStr) -> None:
        text = "".join(
            each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else "x"
            for each in node.values
        )
        if is_ddl(text):
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
                if each.value.__class__ is ast.Constant and each.arg:
                    self.keyword_secret(each)

    def keyword_secret(self, each: ast.keyword) -> None:
        if each.arg and STRONG_NAME.search(each.arg) and isinstance(each.value, ast.Constant):
            value = each.value.value
            if isinstance(value, str):
                self.secret(each.arg, value, each.value)

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
        named = next((each.value for each in node.keywords if each.arg in {"key", "option"}), None)
        first = node.args[0] if node.args else named
        default, has_default = default_of(node)
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
            default, has_default = default_of(node)
            self.see("environment", node, node.args[0].value, default, flag=not has_default)

    def resolve_subscripts(self) -> None:
        for node in self.subscripts:
            if self.full(node.value) in {"os.environ", "environ"}:
                key = node.slice
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self.see("environment", node, key.value, flag=True)
                elif isinstance(key, ast.Name):
                    self.see("wrapper", node, key.id, flag=True)


_ENVIRONMENT: Final = frozenset({"os.getenv", "getenv", "os.environ.get", "os.environ.pop", "environ.get"})
_ENVIRONS: Final = frozenset({"str", "int", "bool", "float", "list", "url", "env"})
_CALLED: Final = (
    LINK_CALLS | _CLIENT_NAMES | _ENVIRONS | frozenset({"getenv", "pop", "setdefault", "config", "encode", "decode"})
    | frozenset({"create_table"})
)  # fmt: skip


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
