"""Claims about fall_back: where the code goes on without an answer in some failures, it does so in all of them, and nowhere else."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Module
from toughen.codemod.clients import spoken
from toughen.codemod.fallbacks import fall_back, fall_back_around, knows_nothing
from toughen.handling import calls_of

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "import requests\nimport httpx\nfrom flask import jsonify\nKNOWN = {'EUR': 1}\n"


def _here(module: Module, **options: Any) -> Any:
    return fall_back(module, next(number for number, line in enumerate(module.text.splitlines(), 1) if "# here" in line), **options)


def _app(body: str) -> str:
    return HEAD + "def f(url, cached=None):\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        pytest.param(
            """
            r = requests.get(url)  # here
            if r.status_code != 200:
                return KNOWN
            return r.json()
            """,
            ["-    r = requests.get(url)  # here", "+    try:", "+        r = requests.get(url)  # here", "+    except requests.RequestException:", "+        return KNOWN"],
            id="a status that gives a value",
        ),
        pytest.param(
            """
            try:
                return requests.get(url).json()  # here
            except requests.Timeout:
                return KNOWN
            """,
            ["-    except requests.Timeout:", "+    except requests.RequestException:"],
            id="an except of some",
        ),
        pytest.param(
            """
            try:
                rate = httpx.get(url).json()["rate"]  # here
            except (ConnectionError, httpx.TimeoutException, KeyError):
                rate = 1.0
            return rate
            """,
            ["-    except (ConnectionError, httpx.TimeoutException, KeyError):", "+    except (httpx.HTTPError, ConnectionError, KeyError):"],
            id="what else is caught stays caught",
        ),
        pytest.param(
            """
            r = httpx.get(url)  # here
            try:
                r.raise_for_status()
                rate = r.json()["rate"]
            except httpx.HTTPStatusError:
                rate = 1.0
            return rate
            """,
            ["-    r = httpx.get(url)  # here", "+        r = httpx.get(url)  # here", "-    except httpx.HTTPStatusError:", "+    except httpx.HTTPError:"],
            id="the call goes where its answer is looked at",
        ),
        pytest.param(
            """
            try:
                r = httpx.get(url)  # here
                r.raise_for_status()
                rate = r.json()["rate"]
            except httpx.HTTPStatusError as error:
                print(error.response.status_code)
                rate = 1.0
            return rate
            """,
            ["+    except httpx.HTTPError:", "+        rate = 1.0"],
            id="what only some exceptions have is not asked of others",
        ),
        pytest.param(
            """
            rates = KNOWN
            r = requests.get(url)  # here
            if r.ok:
                rates = r.json()
            return rates
            """,
            ["-    r = requests.get(url)  # here", "-    if r.ok:", "-        rates = r.json()", "+    try:", "+        r = requests.get(url)  # here", "+        if r.ok:", "+            rates = r.json()", "+    except requests.RequestException:", "+        pass"],
            id="what was assigned before",
        ),
        pytest.param(
            """
            r = requests.get(url)  # here
            if r.status_code == 200:
                rate = r.json()
            else:
                rate = 1.0
            return rate
            """,
            ["-    r = requests.get(url)  # here", "-    if r.status_code == 200:", "-        rate = r.json()", "-    else:", "+    try:", "+        r = requests.get(url)  # here", "+        if r.status_code == 200:", "+            rate = r.json()", "+        else:", "+            rate = 1.0", "+    except requests.RequestException:"],
            id="the other side of a test",
        ),
        pytest.param(
            """
            try:
                r = requests.get(url)  # here
                if r.status_code >= 400:
                    return jsonify(KNOWN)
                return jsonify(r.json())
            except Exception as e:
                return jsonify({"error": str(e)}), 500
            """,
            ["+    except requests.RequestException:", "+        return jsonify(KNOWN)"],
            id="in front of what catches everything",
        ),
    ],
)
def test_each_failure_ends_as_some_do(changed: Callable[..., Any], body: str, wanted: list[str]) -> None:
    """The smallest change: the exception that is caught grows, or the call gets one with the same end."""
    assert changed(_app(body), _here) == wanted


def test_a_page_instead_of_json_counts_where_it_is_proven(changed: Callable[..., Any]) -> None:
    """What httpx raises for it is a ValueError; requests has its own."""
    body = "try:\n    return httpx.get(url).json()  # here\nexcept httpx.TimeoutException:\n    return KNOWN"
    assert changed(_app(body), lambda m: _here(m, malformed=True))[-1] == "+    except (httpx.HTTPError, ValueError):"
    assert changed(_app(body.replace("httpx.TimeoutException", "requests.Timeout").replace("httpx", "requests")), lambda m: _here(m, malformed=True))[-1] == "+    except requests.RequestException:"


class _Down:
    """requests whose service is not there."""

    class RequestException(OSError):  # noqa: N818 - as requests calls it
        pass

    class Timeout(RequestException):
        pass

    def get(self, url: str) -> None:
        raise self.RequestException(url)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("r = requests.get(url)  # here\nif not r.ok:\n    return KNOWN\nreturn r.json()", {"EUR": 1}),
        ("rate = 1.5\nr = requests.get(url)  # here\nif r.status_code == 200:\n    rate = r.json()\nreturn rate", 1.5),
        ("rate = 1.5\ntry:\n    rate = requests.get(url)  # here\nexcept requests.Timeout:\n    pass\nreturn rate", 1.5),
        ("r = requests.get(url)  # here\nif r.ok:\n    return r.json()\nreturn KNOWN", {"EUR": 1}),
    ],
)
def test_the_value_is_what_comes_out(mended: Callable[..., Any], body: str, value: object) -> None:
    """Executed with a service that is not there, each shape gives what the code falls back on."""
    text = mended(_app(body), _here)
    names: dict[str, Any] = {"requests": _Down()}
    exec(compile("KNOWN = {'EUR': 1}\n" + text[text.index("def f(") :], "app.py", "exec", dont_inherit=True), names)  # noqa: S102 - the mended sample is what is under test
    assert names["f"]("https://rates.example") == value


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("r = requests.get(url)  # here\nif r.status_code != 200:\n    return jsonify({'error': 'No rates'}), 404\nreturn r.json()", id="an error is answered"),
        pytest.param("r = requests.get(url)  # here\nif r.status_code != 200:\n    return {'error': 'No rates'}\nreturn r.json()", id="the answer tells of an error"),
        pytest.param("r = requests.get(url)  # here\nif r.status_code == 404:\n    return KNOWN\nreturn r.json()", id="not there is no failure"),
        pytest.param("r = requests.get(url)  # here\nif r.status_code != 200:\n    return True\nreturn r.json()['ok']", id="a verdict"),
        pytest.param("r = requests.get(url)  # here\nif r.status_code != 200:\n    return None\nreturn r.json()", id="nothing, and who calls it is not known"),
        pytest.param("try:\n    return requests.get(url)  # here\nexcept requests.Timeout:\n    raise ValueError('late')", id="raised on"),
        pytest.param("try:\n    return requests.get(url)  # here\nexcept requests.RequestException:\n    return KNOWN", id="caught already"),
        pytest.param("try:\n    return requests.get(url)  # here\nexcept requests.Timeout:\n    return KNOWN\nexcept requests.HTTPError:\n    return 1", id="others have an end of their own"),
        pytest.param("try:\n    return requests.get(url)  # here\nexcept KeyError:\n    return KNOWN", id="not of the client"),
        pytest.param("rate = None\nr = requests.get(url)  # here\nif r.ok:\n    rate = r.json()\nreturn rate", id="nothing was assigned before"),
        pytest.param("r = requests.get(url)  # here\nif r.ok:\n    rate = r.json()\nreturn rate", id="never assigned"),
        pytest.param("rate = 1\nr = requests.get(url)  # here\nif r.ok:\n    rate = r.json()\nreturn rate, r.text", id="used behind"),
    ],
)
def test_what_is_no_fallback_is_left(refused: Callable[..., Any], body: str) -> None:
    """Errors, verdicts, what is raised, and what is not plainly a value: that is answered with 502 instead."""
    assert refused(_app(body), _here)


@pytest.mark.parametrize(
    ("body", "met"),
    [
        ("rates = g() or KNOWN", True),
        ("rates = g()\nif rates is None:\n    rates = KNOWN", True),
        ("rates = g()\nif not rates:\n    return jsonify({'error': 'down'}), 503", True),
        ("rates = g()\nif not rates:\n    return jsonify({'error': 'no such city'}), 404", False),
        ("rates = g()\nreturn rates['EUR']", False),
        ("return g()", False),
    ],
)
def test_callers_that_know_of_nothing(body: str, met: bool) -> None:  # noqa: FBT001 - a table of cases
    """None is an end for a function whose callers go on without, or say that a service is down."""
    module = Module("app.py", _app(body))
    (call,) = [each for each in calls_of(module.function("f")) if getattr(each.func, "id", "") == "g"]
    assert knows_nothing(module, call) is met


def test_none_is_given_where_callers_know_it(changed: Callable[..., Any]) -> None:
    """The function gives None for each failure, as it does for some."""
    body = "r = requests.get(url)  # here\nif r.status_code != 200:\n    return None\nreturn r.json()"
    assert changed(_app(body), lambda m: _here(m, met=True))[-2:] == ["+    except requests.RequestException:", "+        return None"]


def test_a_caller_goes_on(changed: Callable[..., Any]) -> None:
    """What is around the call of the function that calls outside catches all of it."""
    text = _app("try:\n    rates = g()\nexcept requests.HTTPError:\n    rates = KNOWN\nreturn rates") + "def g():\n    return requests.get('u')\n"

    def around(module: Module) -> Any:
        outside = spoken(module, module.function("g").body[0].lineno)[0]
        return fall_back_around(module, next(each for each in calls_of(module.function("f")) if getattr(each.func, "id", "") == "g"), outside)

    assert changed(text, around) == ["-    except requests.HTTPError:", "+    except requests.RequestException:"]
