"""Owns what a string literal gives away by its form or its name: secrets, database URLs, DDL."""

from __future__ import annotations

import re
from typing import Final

PROVIDERS: Final = (
    "sk_live_", "sk_test_", "rk_live_", "whsec_", "AKIA", "ASIA", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-",
    "xoxp-", "AIza", "SG.", "sk-", "PRIVATE KEY-----", "hooks.slack.com/services/",
)  # fmt: skip
PROVIDER: Final = re.compile(
    r"^(?:(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{10,}|whsec_[0-9A-Za-z]{16,}|A(?:KI|SI)A[0-9A-Z]{16}"
    r"|gh[po]_[0-9A-Za-z]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[bp]-[\w-]{20,}|AIza[\w-]{30,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|sk-[\w-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|https://hooks\.slack\.com/services/\S{20,})",
    re.DOTALL,
)
SECRET_NAME: Final = re.compile(
    r"(?:^|_)(?:(?:jwt|app|flask|django|session|csrf|signing|client|cookie|refresh|webhook|encryption|master)_?)*secret"
    r"(?:_?key)?(?:_base)?$"
    r"|(?:^|_)(?:api|access|private|secret|encryption|encrypt|signing|sign|auth|jwt|fernet|aes|hmac|service|admin"
    r"|merchant|server)_?key(?:_?id)?$"
    r"|(?:^|_)(?:access|auth|api|bot|bearer|admin|service|master|webhook|slack|github)_?token$"
    r"|(?:^|_)(?:password|passwd|pwd|passphrase)$"
    r"|(?:^|_)secret_(?:access|api|app|cookie|hmac|jwt|session|signing|token)_?key$"
    r"|(?:^|_)secret_?key_(?:api|app|dev|hmac|jwt|new|old|prod|production|session|v?\d+)(?:_?\d+)?$",
    re.IGNORECASE,
)
STRONG_NAME: Final = re.compile(
    r"secret(?:_?key)?$|jwt_?key$|(?:private|encryption|signing)_?key$|secret_(?:access|api|app|cookie|hmac|jwt|session|signing|token)_?key$"
    r"|secret_?key_(?:api|app|dev|hmac|jwt|new|old|prod|production|session|v?\d+)(?:_?\d+)?$",
    re.IGNORECASE,
)
DATABASE: Final = re.compile(
    r"^(sqlite|postgres(?:ql)?|mysql|mariadb|oracle|mssql|mongodb)(?:\+\w+)?(?::|\+)//|^(sqlite)\+?\w*:"
)


def snake(name: str) -> str:
    """A name in words that underscores part: `SecretAccessKey` as `Secret_Access_Key`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def is_ddl(text: str) -> bool:
    """Whether a string holds a CREATE TABLE or CREATE UNIQUE INDEX."""
    lowered = text.lower()
    return "create table" in lowered or ("unique index" in lowered and "create" in lowered)


def looks_secret(name: str, value: str) -> bool:
    """Whether a literal under such a name is a value that protects something, and not a label, a path or a template."""
    if not 3 <= len(value) <= 4096 or value.lower() == name.lower():  # noqa: PLR2004 - no key is that short or long
        return False
    if value[0] in "/<{%$" or value.startswith(("http://", "https://")) or "{" in value or "%s" in value:
        return False
    if PROVIDER.match(value) or STRONG_NAME.search(name):
        return value == value.strip() and "\n" not in value
    if any(each.isspace() for each in value):
        return False
    weak = len(value) >= 6  # noqa: PLR2004 - shorter passwords are labels more often than not
    if "key" in name.lower() or "token" in name.lower():
        return weak and value.lower() not in {"access_token", "bearer", "authorization", "x-api-key", "api_key"}
    return weak and value.lower() not in {"password", "passwd", "passphrase"}
