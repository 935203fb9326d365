"""Claims about redirects that the server follows: each is asked what the address was asked."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod.module import Module
from toughen.codemod.sites import unredirected

if TYPE_CHECKING:
    from collections.abc import Callable


def _word(module: Module) -> Any:
    call = next(each for each in ast.walk(module.tree) if isinstance(each, ast.Call) and ast.unparse(each.func).rpartition(".")[2] in {"urlopen", "get", "build_opener"})
    return unredirected(module, call)


@pytest.mark.parametrize(
    ("imports", "call", "wanted"),
    [
        ("import urllib.request", "urllib.request.urlopen(url, timeout=5)", "urllib.request.build_opener(PublicRedirects).open(url, timeout=5)"),
        (
            "from urllib.request import urlopen", "urlopen(url, context=tls)",
            "urllib.request.build_opener(PublicRedirects, urllib.request.HTTPSHandler(context=tls)).open(url)",
        ),
        ("import requests", "requests.get(url, timeout=5)", 'requests.get(url, timeout=5, hooks={"response": refuse_internal_redirect})'),
        ("import httpx", "httpx.get(url, follow_redirects=True)", "httpx.get(url, follow_redirects=False)"),
    ],
)  # fmt: skip
def test_a_redirect_is_looked_at(imports: str, call: str, wanted: str) -> None:
    """By an opener, a hook, or by not following it, as the library has it."""
    made = _word(Module("app.py", f"{imports}\n\ndef asked(url, tls=None):\n    return {call}\n"))
    assert wanted in made.done()


def test_what_is_followed_elsewhere_is_refused(refused: Callable[..., Any]) -> None:
    """A client that nothing is known of stays as it is."""
    assert "not seen" in refused("import clients\n\ndef asked(url):\n    return clients.get(url)\n", _word)
