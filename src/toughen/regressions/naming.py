"""Owns the words of a test: its name, and its docstring with the break's id and what it cost."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from toughen.regressions.source import singular, word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toughen.model.blueprint import Route
    from toughen.regressions.known import Known, Shown

_LONGEST, _WIDE = 90, 104
_PHRASES = {
    "security/no-authentication": "refuses_strangers",
    "security/csrf": "refuses_a_form_of_another_site",
    "security/lax-cors": "is_not_shared_with_other_sites",
    "security/sql-injection": "takes_{key}_as_text",
    "security/command-injection": "runs_no_command_in_{key}",
    "security/code-injection": "runs_no_code_in_{key}",
    "security/path-traversal": "leaves_its_folder_for_no_{key}",
    "security/ssrf": "calls_no_address_in_{key}",
    "security/xss": "escapes_{key}",
    "security/open-redirect": "sends_nobody_elsewhere",
    "security/no-rate-limit": "refuses_endless_guessing",
    "security/insecure-cookie": "guards_its_cookie",
    "security/debug-mode": "hides_the_debugger",
    "security/weak-token": "refuses_forged_tokens",
    "security/data-exposure": "hides_{key}",
    "input/mass-assignment": "leaves_{key}_alone",
    "input/unbounded": "refuses_an_endless_{key}",
    "security/weak-password-storage": "stores_no_plain_password",
    "security/hardcoded-secret": "refuses_tokens_of_the_old_key",
    "failure/leaky-error": "tells_nothing_of_its_insides",
}
_KINDS = {"null": "null", "list": "a list", "object": "an object", "nan": "that is no number"}


def function_of(known: Known, route_id: str | None) -> str:
    """The handler's name as a part of the test's: `create_order`; without one, what the route says."""
    route = known.blueprint.route(route_id or "")
    name = (route.handler.function or "").rpartition(".")[2] if route is not None else ""
    if not name or name in {"get", "post", "put", "patch", "delete", "index", "view", "list", "create", "update", "handler"} or name.startswith("<"):
        name = _spelled(route) if route is not None else "application"
    return word(name)


def _spelled(route: Route) -> str:
    parts = [each for each in route.path.split("/") if each and not each.startswith("{")]
    return f"{route.method.lower()} {' '.join(parts) or 'root'}"


def name_of(known: Known, shown: Shown, gone: Sequence[str] = ()) -> str:
    """`test_create_order_refuses_a_negative_quantity`; `gone` are fields that the answer no longer shows."""
    finding, function = shown.finding, function_of(known, shown.finding.route)
    key = word(re.sub(r"-(nan|list|null|object)$", "", finding.evidence.key if finding.evidence else "").replace("+", " or "))
    if finding.break_id == "security/data-exposure":
        key = "_and_".join(word(each) for each in gone[:2]) or key or "private_data"
    return f"test_{function}_{_phrase(shown, key)}"[:_LONGEST].rstrip("_")


def _phrase(shown: Shown, key: str) -> str:
    break_id, about = shown.finding.break_id, shown.experiment.about
    if break_id == "security/object-authorization":
        parts = [each for each in (shown.finding.route or "").partition(" ")[2].split("/") if each and not each.startswith("{")]
        noun = next((singular(word(each)) for each in reversed(parts) if not re.fullmatch(r"api|v\d+", each)), "row")
        return f"hides_another_users_{noun}" if key == "read" else f"refuses_another_users_{noun}"
    if break_id == "security/function-authorization":
        return f"refuses_a_{word(_attacker(shown))}"
    if break_id in {"input/nonsense", "input/crash"}:
        return f"{'refuses' if break_id == 'input/nonsense' or _refused(shown) else 'takes'}_{_value(about, key)}"
    phrase = _PHRASES.get(break_id, word(break_id.rpartition("/")[2].replace("-", "_")))
    if "{key}" in phrase:
        return phrase.replace("{key}", key or "input")
    return phrase


def _refused(shown: Shown) -> bool:
    return any(name != "control" and (trace.last.status or 0) >= 400 for name, trace in shown.after.items() if trace.exchanges)  # noqa: PLR2004


def _attacker(shown: Shown) -> str:
    control = shown.experiment.trials["control"].calls
    own = control[-1].identity if control else None
    others = [trial.calls[-1].identity for name, trial in shown.experiment.trials.items() if name != "control" and trial.calls and trial.calls[-1].identity not in {own, None, "garbage"}]
    return re.sub(r"\d+$", "", others[0] or "") if others else "stranger"


def _value(about: str, key: str) -> str:
    """`quantity = -17` -> `a_negative_quantity`; `price = NaN` -> `a_price_of_nan`; `limit = 10**30` -> `a_huge_limit`."""
    field, _, value = re.sub(r" \(and \d+ more\)", "", about).partition(" = ")
    name = key or word(field) or "input"
    if not value:
        return f"a_wrong_{name}"
    if re.fullmatch(r"-\d+(\.\d+)?", value):
        return f"a_negative_{name}"
    if value == "0":
        return f"{name}_zero"
    if value.startswith("10**") or (value.lstrip("-").isdigit() and len(value) > 7):  # noqa: PLR2004
        return f"a_huge_{name}"
    if "zero byte" in value:
        return f"a_zero_byte_in_{name}"
    if re.match(r"[\d,]+ characters", value):
        return f"an_endless_{name}"
    said = word(_KINDS.get(value.lower(), value))[:24].rstrip("_")
    return f"{name}_{said}"


def docstring(shown: Shown, names: Mapping[str, str]) -> list[str]:
    """What broke and what it cost, with the break's id; `names` are what the tests call the lab's users."""
    finding = shown.finding
    message = _readable(finding.evidence.message if finding.evidence else finding.message)
    message = re.sub(r"\b[a-z_]+\d+\b", lambda match: names.get(match.group(), match.group()), message)
    body = textwrap.wrap(f"Before: {message}".rstrip(".") + ".", _WIDE)[:3]
    return [f'"""{finding.id}'[:_WIDE], "", *body, '"""']


def _readable(text: str) -> str:
    """Without the canaries of one run, and in one line."""
    flat = " ".join(text.replace("\\", "/").replace('"""', "''").split())
    flat = re.sub(r"\btgn[0-9a-f]{16}", "...", flat)
    flat = re.split(r" \[SQL: |: 1 validation error", flat)[0]
    return flat[:300]
