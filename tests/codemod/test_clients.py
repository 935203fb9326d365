"""Claims about time-outs of calls to the world outside: each client gets its own, once, and who has one is left alone."""

from __future__ import annotations

import pytest

from toughen.codemod import Module, twice
from toughen.codemod.clients import stripe_timed, timed
from toughen.model.patch import Unmended


def line_of(text: str) -> int:
    """The line that is marked."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if "# here" in line)


@pytest.mark.parametrize(
    ("head", "call", "wanted"),
    [
        ("import requests", "r = requests.get(url)", "r = requests.get(url, timeout=10)"),
        ("import requests", "r = requests.get(url, timeout=None)", "r = requests.get(url, timeout=10)"),
        ("import requests", "r = requests.get(url, timeout=(5, 120))", "r = requests.get(url, timeout=10)"),
        ("import requests as web", "r = web.post(url, json={})", "r = web.post(url, json={}, timeout=10)"),
        ("from requests import get", "r = get(url)", "r = get(url, timeout=10)"),
        ("import requests\ns = requests.Session()", "r = s.get(url)", "r = s.get(url, timeout=10)"),
        ("from urllib.request import urlopen", "r = urlopen(url)", "r = urlopen(url, timeout=10)"),
        ("import httpx", "r = httpx.get(url, timeout=None)", "r = httpx.get(url, timeout=10)"),
        ("import smtplib", "server = smtplib.SMTP('h', 587)", "server = smtplib.SMTP('h', 587, timeout=10)"),
        ("import http.client", "c = http.client.HTTPSConnection('h')", "c = http.client.HTTPSConnection('h', timeout=10)"),
        ("import socket", "c = socket.create_connection(('h', 1))", "c = socket.create_connection(('h', 1), timeout=10)"),
    ],
)
def test_a_call_gives_up_in_time(head: str, call: str, wanted: str) -> None:
    """The argument is the client's own; a second application changes nothing."""
    text = f"{head}\n\ndef f(url):\n    {call}  # here\n"
    done = twice(lambda module: timed(module, line_of(module.text)), Module("a.py", text))
    assert done == text.replace(call, wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("import httpx\nclient = httpx.Client(timeout=None)\ndef f(url):\n    return client.get(url)  # here\n", "httpx.Client(timeout=10)"),
        ("import aiohttp\nasync def f(url):\n    async with aiohttp.ClientSession() as s:\n        return await s.get(url)  # here\n", "ClientSession(timeout=aiohttp.ClientTimeout(total=10))"),
        ("from openai import OpenAI\nclient = OpenAI()\ndef f():\n    return client.chat.completions.create(model='m')  # here\n", "OpenAI(timeout=25, max_retries=0)"),
        ("import openai\nclient = openai.OpenAI(max_retries=1)\ndef f():\n    return client.chat.completions.create(model='m')  # here\n", "OpenAI(max_retries=1, timeout=25)"),
        ("import openai\ndef f():\n    return openai.ChatCompletion.create(model='m')  # here\n", "create(model='m', request_timeout=25)"),
        ("import boto3\ns3 = boto3.client('s3')\ndef f():\n    return s3.list_buckets()  # here\n", "from botocore.config import Config"),
    ],
)
def test_a_client_is_made_so_that_it_gives_up(text: str, wanted: str) -> None:
    """Where the client says how long it waits, that is where it is told."""
    done = twice(lambda module: timed(module, line_of(module.text)), Module("a.py", text))
    assert wanted in str(done)


@pytest.mark.parametrize(
    "text",
    [
        "import requests\ndef f(url):\n    return requests.get(url, timeout=10)  # here\n",
        "def f(client, url):\n    return client.get(url)  # here\n",
        "import stripe\ndef f():\n    return stripe.Charge.create(amount=1)  # here\n",
        "import boto3\ns3 = boto3.client('s3', config=mine)\ndef f():\n    return s3.list_buckets()  # here\n",
    ],
)
def test_what_has_one_or_is_not_known_is_refused(text: str) -> None:
    """A time-out that is short enough stays; a client that nobody knows, and one with settings of its own, is for a person."""
    assert isinstance(timed(Module("a.py", text), line_of(text)), Unmended)


def test_stripe_is_told_once() -> None:
    """Its client is made behind the line that gives it the key."""
    text = "import stripe\nstripe.api_key = 'k'\n\ndef f():\n    return stripe.Charge.create(amount=1)\n"
    done = twice(lambda module: stripe_timed(module, "stripe.RequestsClient"), Module("a.py", text))
    assert done == text.replace("'k'\n", "'k'\nstripe.default_http_client = stripe.RequestsClient(timeout=10)\n")
