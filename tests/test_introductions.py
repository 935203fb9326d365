"""Who is introduced by the settings: every fault is told with its key, and nothing of theirs is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen import config
from toughen.errors import ConfigurationError
from toughen.introductions import introductions, refilled, withheld
from toughen.model.blueprint import Place
from toughen.model.configured import Configured, LogIn
from toughen.model.identity import CONFIGURED, Credential, Identity
from toughen.model.journey import Argument, Call, Literal

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """
[identities.auditor]
role = "auditor"
tenant = "2"
token = "env:AUDIT_TOKEN"
[identities.partner]
headers = { Authorization = "Bearer env:PARTNER" }
cookies = { seen = "yes" }
[identities.operator1]
login = { path = "/operators/login", number = 7, pin = "env:PIN" }
"""


def test_values_may_stand_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`env:NAME`, alone or behind a word, is what the variable holds; the table is otherwise taken as it stands."""
    for name in ("AUDIT_TOKEN", "PARTNER", "PIN"):
        monkeypatch.setenv(name, f"value-of-{name}")
    (tmp_path / "toughen.toml").write_text(TABLE)
    assert config.read(tmp_path).identities == (
        Configured("auditor", "auditor", "2", token="value-of-AUDIT_TOKEN"),
        Configured("partner", headers=(("Authorization", "Bearer value-of-PARTNER"),), cookies=(("seen", "yes"),)),
        Configured("operator1", login=LogIn("/operators/login", "POST", (("number", 7), ("pin", "value-of-PIN")))),
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"a": {"tokn": "x"}}, "identities.a has no key 'tokn': did you mean 'token'?"),
        ({"a": {"role": "x"}}, "identities.a says not how it is let in"),
        ({"a": {"token": "env:NOT_SET"}}, "identities.a.token: the environment variable 'NOT_SET' is not set"),
        ({"a": {"token": 5}}, "identities.a.token must be a text that is not empty, not 5"),
        ({"a": {"login": {"url": "/login", "pin": "1"}}}, "identities.a.login.path must be the path of a route"),
        ({"a": {"login": {"pth": "/login", "pin": "1"}}}, "did you mean `path` by 'pth'?"),
        ({"a": {"login": {"path": "/login"}}}, "identities.a.login sends nothing"),
        ({"a": {"login": {"path": "/login", "pin": "1", "method": "FETCH"}}}, "identities.a.login.method must be one of"),
        ({"a": {"headers": "x"}}, "identities.a.headers must be a table of texts"),
        ({"garbage": {"token": "x"}}, "'garbage' cannot be a name"),
        ({"a b": {"token": "x"}}, "'a b' cannot be a name"),
        ({"a": "x"}, "identities.a = 'x' must be a table"),
        ([], "must be a table of tables"),
    ],
)
def test_a_fault_names_its_key(table: object, said: str) -> None:
    """What is wrong, where, and what may have been meant."""
    faults: list[str] = []
    assert introductions(table, faults, {}) == ()
    assert said in "; ".join(faults)


def test_a_typo_ends_with_code_2_before_anything_runs(tmp_path: Path) -> None:
    """Faults of identities come with all others, in one error."""
    (tmp_path / "toughen.toml").write_text('budget = -1\n[identities.admin]\nlogn = { path = "/login" }\n')
    with pytest.raises(ConfigurationError) as caught:
        config.read(tmp_path)
    assert "did you mean 'login'?" in caught.value.message
    assert "budget must be more than 0" in caught.value.message
    assert caught.value.exit_code == 2


def identity(how: str, **more: Any) -> Identity:
    """Somebody with a token, and a log-in."""
    login = Call("POST /login", (Argument(Place.JSON, ("user",), Literal("ann")), Argument(Place.JSON, ("pin",), Literal("1234"))))
    return Identity("auditor", "auditor", Credential((("Authorization", "Bearer secret"),)), how, header=("Authorization", "Bearer "), login=login, **more)


def test_what_the_settings_hold_is_not_written_down_and_comes_back() -> None:
    """A stored identity of the settings shows neither its token nor what it logs in with; the settings of the day fill it again."""
    known = Configured("auditor", token="secret", login=LogIn("/login", "POST", (("user", "ann"), ("pin", "1234"))))
    bare = withheld(identity(CONFIGURED))
    assert "secret" not in repr(bare)
    assert "1234" not in repr(bare)
    assert refilled(bare, [known]) == identity(CONFIGURED)
    minted = identity("signup")
    assert withheld(minted) is minted
    assert refilled(minted, [known]) is minted
