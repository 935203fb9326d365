"""Shared means of the codemod's tests: a word is applied twice, its diff is read, and its result is run."""

from __future__ import annotations

import asyncio
import difflib
import textwrap
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from toughen.codemod import Draft, Module, twice
from toughen.model.patch import Unmended

if TYPE_CHECKING:
    from collections.abc import Callable

    Apply = Callable[[Module], Draft | Unmended]


@pytest.fixture
def mended() -> Callable[[str, Apply], str]:
    """Apply a word to a source; it must succeed, and a second application must change nothing."""

    def apply(source: str, act: Apply) -> str:
        text = twice(act, Module("app.py", textwrap.dedent(source)))
        assert isinstance(text, str), text
        return text

    return apply


@pytest.fixture
def changed(mended: Callable[[str, Apply], str]) -> Callable[[str, Apply], list[str]]:
    """The lines that a word takes (`-`) and adds (`+`)."""

    def apply(source: str, act: Apply) -> list[str]:
        before = textwrap.dedent(source).splitlines()
        diff = difflib.unified_diff(before, mended(source, act).splitlines(), lineterm="", n=0)
        return [line for line in list(diff)[2:] if not line.startswith("@@")]

    return apply


@pytest.fixture
def refused() -> Callable[[str, Apply], str]:
    """The reason with which a word refuses a source."""

    def apply(source: str, act: Apply) -> str:
        result = act(Module("app.py", textwrap.dedent(source)))
        assert isinstance(result, Unmended), result.done()
        return result.reason

    return apply


@pytest.fixture
def run() -> Callable[[str], dict[str, Any]]:
    """Execute a mended source as a module and give its names."""

    def execute(text: str) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "app"}
        exec(compile(text, "app.py", "exec", dont_inherit=True), names)  # noqa: S102 - the mended sample is what is under test
        return names

    return execute


@pytest.fixture
def ask() -> Callable[..., httpx.Response]:
    """Send one request to an ASGI application; an exception that leaves it comes out as a 500."""

    def send(app: Any, method: str, path: str, **options: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                return await client.request(method, path, **options)

        return asyncio.run(go())

    return send


@pytest.fixture
def at() -> Callable[[str, str], int]:
    """Line of the first line of a source that holds a piece of text."""

    def find(source: str, piece: str) -> int:
        lines = textwrap.dedent(source).splitlines()
        return next(number for number, line in enumerate(lines, 1) if piece in line)

    return find
