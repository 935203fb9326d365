"""Owns plausible dummies for environment variables that the prototype needs and nothing supplies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from toughen.lab.addresses import PART, SERVER, URL, kind_of, part, spoken, wanted_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from toughen.lab.addresses import Spoken
    from toughen.model.blueprint import Blueprint

_ALGORITHM = "HS256"
_ADDRESSES = {"postgresql": "postgresql://toughen:toughen@localhost:5432/toughen", "mysql": "mysql+pymysql://toughen:toughen@localhost:3306/toughen"}
_FEW_ROUNDS = "10"
_SHAPES = (
    (r"ROUNDS|WORK_?FACTOR|BCRYPT_\w*(COST|STRENGTH)|HASH_?COST", _FEW_ROUNDS),
    (r"(DATABASE|DB|SQLALCHEMY|SQL).*(URL|URI|DSN)$", "sqlite:///./toughen-lab.db"),
    (r"(REDIS|BROKER|CELERY)(?!.*(HOST|PORT|PASS|USER|DB)$).*", "redis://localhost:6379/0"),
    (r"REDIS\w*PORT$", "6379"),
    (r"REDIS\w*_DB$", "0"),
    (r"(URL|URI|ENDPOINT|ORIGIN|ORIGINS)$", "http://localhost:8000"),
    (r"ALGORI[A-Z]*$|(^|_)ALGO?$", _ALGORITHM),
    (r"SAMESITE$", "Lax"),
    (r"LOG\w*LEVEL$|^LEVEL$|LOGLEVEL", "INFO"),
    (r"(EXPIRE|EXPIRES|EXPIRATION|TTL|MINUTES|SECONDS|DAYS|TIMEOUT|MAX|LIMIT|SIZE|COUNT)", "30"),
    (r"PORT$", "5432"),
    (r"(HOST(NAME)?|SERVER)$", "localhost"),
    (r"(EMAIL|MAIL_FROM|FROM|SENDER)$", "lab@example.com"),
    (r"(DEBUG|ENABLE|ENABLED|USE_|IS_)|(SECURE|HTTPONLY)$", "0"),
    (r"(FILE|PATH|DIR|FOLDER)$", "./toughen-lab"),
)


_PLAIN = "toughen-lab-0123456789abcdef0123456789abcdef"
_ROUNDS = re.compile(r"SALT|ROUND|COST|STRENGTH|FACTOR", re.IGNORECASE)
"""What says how often a password is hashed: each more doubles the time."""
_KEY = re.compile(r"KEY|SECRET|SALT|CIPHER|(^|_)IV$", re.IGNORECASE)
_FORMS = (
    (r"Fernet key must be", "dG91Z2hlbi1sYWItMDEyMzQ1Njc4OWFiY2RlZjAxMjM="),
    (r"fromhex|non-hexadecimal|unhexlify|odd-length string", "0123456789abcdef" * 4),
    (r"Incorrect padding|base64-encoded string", "dG91Z2hlbi1sYWItMDEyMzQ1Njc4OWFiY2RlZjAxMjM="),
    (r"key (size|length)|(16|24|32) (bytes|char)|(128|192|256)[ -]?bit", "0123456789abcdef" * 2),
)
"""What is said of a key that does not fit, and 32 bytes in the form that does."""
_OWN_WORDS = frozenset(
    ["APP", "FLASK", "FASTAPI", "API", "AUTH", "JWT", "TOKEN", "ACCESS", "REFRESH", "SESSION", "PASSWORD", "SECRET", "SECRETKEY", "KEY", "SALT", "ALGORITHM", "ALGO", "ALG", "EXPIRE", "EXPIRES", "EXPIRATION", "EXPIRY", "EXP", "MINUTES", "MINUTE", "MIN", "SECONDS", "HOURS", "DAYS", "TIME", "IN", "OF", "SECURITY", "HASH", "ENCRYPTION", "SIGNING", "COOKIE", "CSRF", "WTF", "RESET", "PRIVATE", "DURATION", "LIFETIME", "TTL", "ISSUER", "AUDIENCE", "ADMIN"]
)
_OWN = re.compile(r"(^|_)(SECRET|KEY|SALT|JWT|TOKEN|ALGORITHM|ALGO|EXPIRE|EXPIRES|EXPIRY|MINUTES|PASSWORD)(_|$)|SECRET", re.IGNORECASE)
_MODE = re.compile(r"(^|_)(ENV|ENVIRONMENT|MODE|CONFIG|STAGE|SETTINGS)$|^(CONFIG|SETTINGS)_", re.IGNORECASE)
_MODES = ("dev", "local", "debug", "info", "test")
"""Modes in the order in which a throw-away copy would take them."""
_KINDS = ((r"boolean", "false"), (r"valid URL|valid HTTP", "http://localhost:8000"), (r"e-?mail", "lab@example.com"), (r"valid (list|tuple|set)", "[]"), (r"dictionary", "{}"))
"""What a settings class wants, and a value of that kind."""
_PORTS = {"REDIS": "6379", "DB": "5432", "POSTGRES": "5432", "DATABASE": "5432", "MYSQL": "3306", "SMTP": "25", "MAIL": "25", "MONGO": "27017", "MONGODB": "27017"}
_ASKED = (
    r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b[^.\n]{0,80}\benv(?:ironment)?[ -]?var",
    r"\benv(?:ironment)?[ -]?var(?:iable)?s?\b[^\w\n]{0,4}([A-Z][A-Z0-9_]{2,})\b",
    r"\b([A-Z][A-Z0-9_]{2,}) not found\. Declare it as envvar",
    r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b[\w '\"]{0,20} (?:must be set|is not set|not set|is required|is missing)",
)
"""How libraries and projects say at their import which variable they want."""
_UNSET = re.compile(r"KeyError: ['\"]([A-Z][A-Z0-9_]{2,})['\"]")
_FIELD = re.compile(r"^(\w+)\n[ \t]+(?:Field required|field required)", re.MULTILINE)
_ODD = re.compile(r"""[\s#'"$\\]""")
"""What must be quoted in a `.env` file."""
_FILES, _LARGEST = 5_000, 1_000_000
_SAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env")


@dataclass(frozen=True, slots=True)
class Dummies:
    """Values that the lab makes up."""

    values: dict[str, str]
    stood_in: tuple[str, ...] = ()
    """Variables that name a database server, for which SQLite stands in."""
    server: str = ""
    """The kind of server that the prototype may connect to: `postgresql`, `mysql`, or "" for none."""


def dummies(blueprint: Blueprint, root: Path, texts: Iterable[str], given: Mapping[str, str] | None = None, *, mysql: bool = True) -> Dummies:
    """Values for the required variables that neither a default nor the project's own .env supplies; what is `given` goes before them.

    A server is the lab's own, whatever address the project has for it. That of one which the lab does not start, or cannot
    have here (`mysql` says whether it has that one), is replaced by SQLite's where the project speaks to it through
    SQLAlchemy, which can do either.
    """
    supplied = _dotenv(root / ".env")
    sample: dict[str, str] = {}
    for name in _SAMPLES:
        sample = {**_dotenv(root / name), **sample}
    texts = list(texts)
    speaks = spoken(root, texts)
    kinds = {"postgresql", "mysql"} if mysql else {"postgresql"}
    found: dict[str, str] = {}
    stood_in: list[str] = []
    for each in blueprint.environment:
        if each.name in {"PATH", "HOME", "USER", "TMPDIR", "LANG"}:
            continue
        stated = supplied.get(each.name) or each.default or ""
        if each.name == "DJANGO_SETTINGS_MODULE":
            found.update({each.name: stated} if stated and each.name not in supplied else {})
            continue
        if kind_of(stated) in kinds:
            continue
        named = stated or sample.get(each.name, "")
        served = _served(named, blueprint, speaks)
        served = served if served in kinds else ""
        if not stated and URL.search(each.name) and served:
            found[each.name] = named if kind_of(named) and _whole(named) else speaks.server(named, served)
        elif speaks.engines and URL.search(each.name) and (not stated or SERVER.search(stated)):
            if SERVER.search(named) or SERVER.search(blueprint.database or ""):
                stood_in.append(each.name)
            found[each.name] = speaks.sqlite(named)
        elif each.default is None and not stated and PART.search(each.name) and served:
            found[each.name] = named or part(each.name)
        elif each.default is None and _MODE.search(each.name) and each.name not in supplied and not sample.get(each.name) and (mode := _mode(texts)):
            found[each.name] = mode
        elif (each.required or (each.default is None and (_own(each.name) or (each.relied and _OWN.search(each.name))))) and each.name not in supplied:
            usable = sample.get(each.name, "")
            if _dummy(each.name) == _FEW_ROUNDS and usable.isdigit() and int(usable) > int(_FEW_ROUNDS):
                usable = ""
            found[each.name] = usable if usable and _fits(usable, _dummy(each.name)) else _dummy(each.name)
        elif each.default and _dummy(each.name) == _ALGORITHM and not _fits(each.default, _ALGORITHM) and each.name not in supplied:
            # A placeholder that no library can sign with: the real one stands in a file that is not shown.
            found[each.name] = _ALGORITHM
    told = {each.name: supplied.get(each.name) or each.default or "" for each in blueprint.environment}
    given = given or {}
    wanted = wanted_server(blueprint, speaks, {**supplied, **told, **found, **given})
    return Dummies({**found, **given}, tuple(each for each in stood_in if given.get(each, found[each]) == found[each]), wanted if wanted in kinds else "")


def _served(named: str, blueprint: Blueprint, speaks: Spoken) -> str:
    """On which kind of server a database is that is not named: the sample says so, else the source, else the requirements."""
    if SERVER.search(named) or named.startswith("sqlite"):
        return kind_of(named)
    if blueprint.database in {"postgresql", "mysql"}:
        return blueprint.database
    return "" if blueprint.database is not None else "postgresql" if speaks.drivers else "mysql" if speaks.dialects else ""


def _whole(address: str) -> bool:
    """Whether an address of a sample can be used as it stands: one with gaps to fill in cannot be read."""
    return re.fullmatch(r"(postgres(ql)?|mysql|mariadb)(\+\w+)?://[^\s<>{}$\[\]]+", address) is not None and not re.search(r":(port|PORT)\b", address)


def _mode(texts: Iterable[str]) -> str:
    """The name under which the source keeps the settings of a development machine, "" where it keeps none."""
    for name in ("development", "dev", "local", "default"):
        if any(re.search(rf"['\"]{name}['\"]\s*:|^class {name.title()}(Config|Settings|Configuration)\b", text, re.MULTILINE) for text in texts):
            return name
    return ""


def _fits(sample: str, dummy: str) -> bool:
    """Whether a sample's value can be used as it stands: no server's address, and a number or an algorithm where one is wanted."""
    if dummy.isdigit():
        return sample.isdigit()
    return not SERVER.search(sample) and (dummy != _ALGORITHM or bool(re.fullmatch(r"[HREP]S\d{3}|EdDSA", sample)))


def _own(name: str) -> bool:
    """Whether a variable is of the prototype's own making (its secret, its expiry), not a key to somebody's service that may be left out."""
    return set(name.upper().split("_")) <= _OWN_WORDS


def asked_for(said: str, *, server: str = "") -> dict[str, str]:
    """Values for the variables that a failed import says it wants (what the source does not tell: a library's own, a prefix)."""
    names = [name for pattern in _ASKED for name in re.findall(pattern, said)]
    if "environ" in said:
        names += _UNSET.findall(said)
    if "Settings" in said or "BaseSettings" in said:
        names += [name.upper() for name in _FIELD.findall(said)]
    return {name: _ADDRESSES[server] if server and URL.search(name) else _dummy(name) for name in dict.fromkeys(names)}


def fitting(said: str, held: Mapping[str, str]) -> dict[str, str]:
    """Made-up values in the form that a failed import or start-up says they should have; none where it says nothing of them."""
    ours = {name.lower(): name for name, value in held.items() if value in {_PLAIN, _dummy(name), part(name)}}
    if settings := {ours[name.lower()]: value for name, value in _validated(said) if name.lower() in ours and held[ours[name.lower()]] != value}:
        return settings
    if re.search(r"invalid literal for int|could not convert string to float", said):
        plain = [name for name, value in held.items() if value == _PLAIN]
        named = [name for name in plain if re.search(rf"\b{name}\b", said)] or plain[: len(plain) == 1]
        return {name: "10" if _ROUNDS.search(name) else "30" for name in named}
    form = next((form for pattern, form in _FORMS if re.search(pattern, said, re.IGNORECASE)), None)
    made_up = {_PLAIN, *(form for _, form in _FORMS)}
    return {name: form for name, value in held.items() if form and value in made_up and value != form and _KEY.search(name)}


def _validated(said: str) -> Iterator[tuple[str, str]]:
    """What a settings class of pydantic's says of each variable: (name, a value of the kind that it wants)."""
    for name, wish in re.findall(r"^(\w+)\n[ \t]+((?:Input should|Value error|value is not|unexpected value)[^\n]*)", said, re.MULTILINE):
        choices = re.findall(r"'([^']*)'", wish.partition(" [")[0])
        if "should be '" in wish and choices:
            yield name, min(choices, key=lambda each: next((rank for rank, mode in enumerate(_MODES) if each.lower().startswith(mode)), len(_MODES)))
        elif re.search(r"integer|number|float", wish):
            yield name, _PORTS.get(re.sub(r"_?PORT$", "", name.upper()).rpartition("_")[2], "8000") if name.upper().endswith("PORT") else "30"
        else:
            yield from ((name, value) for pattern, value in _KINDS if re.search(pattern, wish, re.IGNORECASE))


def _dotenv(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    pairs = re.findall(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(.*?)[ \t]*$", file.read_text(errors="replace"), re.MULTILINE)
    return {name: value.strip("'\"") for name, value in pairs}


def wants_file(project: Path) -> bool:
    """Whether the source reads a `.env` file itself (python-dotenv's `dotenv_values`) that is not there."""
    if (project / ".env").exists():
        return False
    files = islice((each for each in project.rglob("*.py") if "site-packages" not in each.parts), _FILES)
    return any(b"dotenv_values(" in each.read_bytes() for each in files if each.is_file() and each.stat().st_size < _LARGEST)


def written(values: Mapping[str, str]) -> str:
    """The text of a `.env` file that holds these values; line breaks within one are escaped."""
    quoted = {name: '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"' if _ODD.search(value) else value for name, value in values.items()}
    return "".join(f"{name}={value}\n" for name, value in quoted.items())


def made_up(name: str) -> str:
    """A plausible value for a variable that a mend demands."""
    return _dummy(name)


def _dummy(name: str) -> str:
    for pattern, value in _SHAPES:
        if re.search(pattern, name, re.IGNORECASE):
            return value
    return _PLAIN
