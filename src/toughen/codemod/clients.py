"""Owns calls to the world outside as source: which client makes one, how long it waits, what it raises; and the time-out that a mend gives it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, argument, replace, use
from toughen.codemod.module import Module, UnmendableError, dotted, halt, own

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 30
"""Seconds that a server gives a worker."""
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "send", "stream"})
_SECONDS = 10
_THINKING = 25
"""Seconds for what answers slowly by its nature, and stays below what a worker is given."""


@dataclass(frozen=True, slots=True)
class Client:
    """A library that talks to the world outside."""

    errors: str
    """What it raises when the other side is not there or fails, as text behind `except`."""
    late: str
    """What it raises when its time-out is over; "" where that is one of the errors and cannot be told apart."""
    imports: tuple[str, ...] = ()
    """What those names need."""
    patient: bool = True
    """Whether it waits longer than a worker may where nothing is said."""
    text: str = f"timeout={_SECONDS}"
    """The argument that says how long."""
    keyword: str = "timeout"


_REQUESTS = Client("requests.exceptions.RequestException", "requests.exceptions.Timeout", ("import requests",))
_HTTPX = Client("httpx.HTTPError", "httpx.TimeoutException", ("import httpx",), patient=False)
_URLLIB = Client("OSError", "TimeoutError")
_SMTP = Client("(OSError, smtplib.SMTPException)", "TimeoutError", ("import smtplib",))
_HTTP = Client("(OSError, http.client.HTTPException)", "TimeoutError", ("import http.client",))
_SOCKET = Client("OSError", "TimeoutError")
_AIOHTTP = Client("aiohttp.ClientError", "asyncio.TimeoutError", ("import aiohttp", "import asyncio"), text=f"timeout=aiohttp.ClientTimeout(total={_SECONDS})")
_OPENAI = Client("openai.OpenAIError", "openai.APITimeoutError", ("import openai",), text=f"timeout={_THINKING}, max_retries=0")
_OPENAI_ITSELF = Client("openai.OpenAIError", "openai.APITimeoutError", ("import openai",), text=f"timeout={_THINKING}")
_OPENAI_0 = Client("openai.error.OpenAIError", "openai.error.Timeout", ("import openai",), text=f"request_timeout={_THINKING}", keyword="request_timeout")
_ANTHROPIC = Client("anthropic.AnthropicError", "anthropic.APITimeoutError", ("import anthropic",), text=f"timeout={_THINKING}, max_retries=0")
_STRIPE = Client("stripe.StripeError", "", ("import stripe",))
_BOTO = Client(
    "(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)", "", ("import botocore.exceptions",),
    text=f'config=Config(connect_timeout=5, read_timeout={_SECONDS}, retries={{"max_attempts": 1}})', keyword="config",
)
_FLASK_MAIL = Client("(OSError, smtplib.SMTPException)", "TimeoutError", ("import smtplib",))
MADE = {
    "flask_mail.Mail": _FLASK_MAIL,
    "requests.Session": _REQUESTS, "requests.session": _REQUESTS, "httpx.Client": _HTTPX, "httpx.AsyncClient": _HTTPX, "aiohttp.ClientSession": _AIOHTTP,
    "smtplib.SMTP": _SMTP, "smtplib.SMTP_SSL": _SMTP, "http.client.HTTPConnection": _HTTP, "http.client.HTTPSConnection": _HTTP,
    "openai.OpenAI": _OPENAI, "openai.Client": _OPENAI, "openai.AsyncClient": _OPENAI, "openai.AsyncOpenAI": _OPENAI, "openai.AzureOpenAI": _OPENAI, "openai.AsyncAzureOpenAI": _OPENAI,
    "anthropic.Anthropic": _ANTHROPIC, "anthropic.AsyncAnthropic": _ANTHROPIC, "boto3.client": _BOTO, "boto3.resource": _BOTO,
}
"""What makes a client."""
_AT_ITS_CALLS = {"requests.Session", "requests.session"}
"""Clients that are told at each call how long to wait."""
_CALLED = {
    "openai.chat.completions.create": _OPENAI_ITSELF, "openai.responses.create": _OPENAI_ITSELF, "openai.embeddings.create": _OPENAI_ITSELF,

    "urllib.request.urlopen": _URLLIB, "socket.create_connection": _SOCKET, **{f"requests.{each}": _REQUESTS for each in _VERBS}, **{f"httpx.{each}": _HTTPX for each in _VERBS},
    **{f"openai.{each}.{how}": _OPENAI_0 for each in ("ChatCompletion", "Completion", "Embedding", "Image") for how in ("create", "acreate")},
}


@dataclass(frozen=True, slots=True)
class ClientCall:
    """A call that leaves the process, or that makes what does."""

    node: ast.Call
    client: Client
    name: str
    """Resolved: `requests.get`."""
    made: ast.Call | None = None
    """Where its client is made, where it has one: that says how long it waits."""

    @property
    def speaks(self) -> bool:
        """Whether this call itself goes outside, rather than that it makes a client."""
        return self.name not in MADE or self.client in {_SMTP, _HTTP}

    @property
    def patience(self) -> float | None:
        """Seconds that it waits as far as the source says so; None for ever, or where that cannot be read."""
        for call in (self.node, self.made):
            given = _given(call, self.client) if call is not None else None
            if given is not None:
                return _seconds(given)
        return None if self.client.patient else 5.0


def client_of(module: Module, node: ast.Call) -> ClientCall | None:
    """The call to the world outside that a node is; None for any other."""
    name = module.resolve(node.func)
    if name in _CALLED:
        return ClientCall(node, _CALLED[name], name)
    if name in MADE:
        return ClientCall(node, MADE[name], name)
    if name.startswith("stripe.") and name.count(".") >= 2 and ".Webhook" not in name:  # noqa: PLR2004 - stripe.Charge.create
        return ClientCall(node, _STRIPE, name)
    if not isinstance(node.func, ast.Attribute):
        return None
    made = maker(module, node.func.value, node)
    if made is None:
        return None
    kind = module.resolve(made.func)
    spoken = (kind == "flask_mail.Mail" and node.func.attr == "send") or kind.startswith(("openai.", "anthropic.", "boto3.", "smtplib.", "http.client.")) or node.func.attr in _VERBS
    return ClientCall(node, MADE[kind], f"{kind}.{node.func.attr}", made) if spoken else None


def maker(module: Module, node: ast.expr, at: ast.AST) -> ast.Call | None:
    """The call that made the client which an expression begins with: bound in the function, or at the head of the file."""
    while isinstance(node, ast.Attribute) and dotted(node).count(".") and not dotted(node).startswith("self."):
        node = node.value
    if isinstance(node, ast.Attribute):
        name = ".".join(dotted(node).split(".")[:2])
    elif isinstance(node, ast.Name):
        name = node.id
    else:
        return node if isinstance(node, ast.Call) and module.resolve(node.func) in MADE else None
    function = module.enclosing(at)
    for root in (function, module.tree):
        for each in ast.walk(root) if root is not None else ():
            for target, value in _bindings(each):
                if dotted(target) == name and isinstance(value, ast.Call) and module.resolve(value.func) in MADE:
                    return value
    return None


def _bindings(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    match node:
        case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.With(items=items) | ast.AsyncWith(items=items):
            yield from ((item.optional_vars, item.context_expr) for item in items if item.optional_vars is not None)


def _given(call: ast.Call, client: Client) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == client.keyword), None)


def _seconds(node: ast.expr) -> float | None:
    """The longest number of seconds in an expression; what is no literal is taken for reasonable."""
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    numbers = [number for each in ast.walk(node) if (number := syntax.number(each)) is not None]
    return float(max(numbers, default=5))


def spoken(module: Module, line: int) -> list[ClientCall]:
    """The calls to the world outside in the statement at a line, of its head where it is a compound one."""
    statement = module.statement(line)
    found = [client_of(module, node) for node in own(statement) if isinstance(node, ast.Call)]
    return [each for each in found if each is not None]


def line_of(module: Module, line: int, function: str | None) -> int:
    """The line of the call to the world outside that stood at a line of a function; mends before may have moved it."""
    try:
        if spoken(module, line) and (not function or module.function_at(line) is module.function(function, line)):
            return line
        calls = [each for node in ast.walk(module.function(function or "")) if isinstance(node, ast.Call) and (each := client_of(module, node)) is not None and each.speaks]
    except UnmendableError:
        return line
    return calls[0].node.lineno if len(calls) == 1 else line


@word
def timed(module: Module, line: int) -> Draft:
    """Have the call to the world outside at `line` give up in time: by its own argument, or by that of the client which makes it.

    Shapes: requests, httpx, urllib, aiohttp, smtplib, http.client, sockets, openai, anthropic, boto3. Refuses clients that
    are made in another file, and libraries that take no time-out there.
    """
    calls = spoken(module, line) or halt(f"no call at {module.file}:{line} is of a client that is known to take a time-out")
    draft = Draft(module)
    for call in calls:
        draft += _timed(module, call)
    return draft


@word
def timed_at(module: Module, call: ClientCall) -> Draft:
    """The same for a call that is known already."""
    return _timed(module, call)


def _timed(module: Module, call: ClientCall) -> Draft:
    draft, client = Draft(module), call.client
    if client is _STRIPE:
        halt("stripe takes its time-out for the whole process")
    if client is _FLASK_MAIL:
        halt("Flask-Mail has no time-out: its connection is made by a method of its own (`Connection.configure_host`)")
    if call.name in _AT_ITS_CALLS:
        return draft
    at_call = call.made is None or module.resolve(call.made.func) in _AT_ITS_CALLS
    # What is said at the call counts before what the client says.
    node = call.node if at_call or _given(call.node, client) is not None else call.made
    assert node is not None
    given = _given(node, client)
    seconds = _seconds(given) if given is not None else None
    if given is None:
        parts = [client.text] if client.keyword == "config" else [each for each in client.text.split(", ") if not any(word.arg == each.partition("=")[0] for word in node.keywords)]
        draft += argument(module, node, ", ".join(parts))
    elif client.keyword == "config":
        halt(f"the client at {module.file}:{node.lineno} has a configuration of its own")
    elif seconds is None or seconds > LONGEST:
        draft += replace(module, given, client.text.split(", ")[0].partition("=")[2])
    else:
        return draft
    if client is _BOTO:
        draft += use(module, "from botocore.config import Config")
    if client is _AIOHTTP:
        draft += use(module, "import aiohttp")
    return draft


@word
def stripe_timed(module: Module, holder: str) -> Draft:
    """Have stripe give up in time: its client is made once, behind the line that gives it the key. `holder` is where this release keeps the client's class."""
    keyed = [each for each in ast.walk(module.tree) if isinstance(each, ast.Assign) and any(module.resolve(target) == "stripe.api_key" for target in each.targets)]
    if len(keyed) != 1 or "default_http_client" in module.text:
        halt(f"{module.file} sets stripe's key {len(keyed)} times")
    return after(module, keyed[0], f"stripe.default_http_client = {holder}(timeout={_SECONDS})")
