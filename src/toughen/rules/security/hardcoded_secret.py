"""Owns security/hardcoded-secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import published, rotation
from toughen.backends import NOTES, PEOPLE
from toughen.model.finding import Evidence, Severity, Suspicion
from toughen.model.journey import Literal
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.signers import CONFIGURED, CONFIGURED_FILES, KEYED
from toughen.specimens import FASTAPI_NEEDS
from toughen.twists import answer, guarded, holds, shown, succeeded, turned_away

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Place, Route
    from toughen.model.finding import Finding
    from toughen.model.identity import Identity
    from toughen.model.journey import Call, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_SHORTEST = 4
_NAMED = "the source names the key, and not the routes that it opens"


def _carrying(call: Call, parts: tuple[tuple[Place, str, str], ...]) -> Call:
    """Nobody's call with these headers and cookies."""
    for place, name, value in parts:
        call = call.with_argument(place, (name,), Literal(value))
    return call


def _own(victim: Identity, attacker: Identity) -> Iterator[str]:
    """Texts of the victim's row that the attacker's does not hold: what is seen of them was read as the victim."""
    for column, value in victim.row.items():
        if isinstance(value, str) and len(value) >= _SHORTEST and value != attacker.row.get(column):
            yield value


class HardcodedSecret(Rule):
    """A key stands in the source, and whoever reads the source signs with it what only the server may sign.

    Who pays: every user. A repository is cloned, leaked or opened one day, and its history keeps what was taken out
    since: a stranger then makes a token in anybody's name, or spends on the owner's account with a provider.

    Shown: a text of the source opens the token of an honest log-in; a token for another user, signed with it and never
    issued by the server, is taken where no token and the same one under another signature are refused. Keys that only stand there, in the form of
    a provider's, in an `.env` that git tracks or in the repository's history, are suspected; none is ever shown whole.

    Example: `SECRET_KEY = "mysecretkey"`.
    Instead: read it from the environment or from the project's settings, without a default, and name it in
    `.env.example`. A key that was published is used up: make a new one.

    References: CWE-798; OWASP API2:2023; ASVS 5.0 V13.3.1.
    """

    id = "security/hardcoded-secret"
    title = "Whoever reads the source signs in as anybody"
    severity = Severity.CRITICAL
    cwe = (798, 321)
    owasp = "API2:2023"
    asvs = "V13.3.1"
    order = 46
    whole = True
    single = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Keys in the source, in a tracked `.env` and in the history."""
        for each in published.lying(blueprint, sources):
            yield Suspicion(self.id, None, each.location, each.says)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The honest request of one user, by nobody, and with claims in his name under the published key's signature and under another."""
        victim = target.identity(journey.identity or "")
        if victim is None or not guarded(target, journey):
            return
        attacker = target.peer(victim.name) or victim
        for forged in rotation.forged(target, attacker, victim):
            nobody, before = journey.call.by(None), journey.calls[:-1]
            calls = {"nobody": nobody, "unsigned": _carrying(nobody, forged.unsigned), "forged": _carrying(nobody, forged.carried)}
            trials = {"control": Trial(journey.calls, journey.grants), **{each: Trial((*before, call), journey.grants) for each, call in calls.items()}}
            key = forged.key
            detail = (("name", key.name), ("file", key.file), ("line", str(key.line)), ("shown", key.shown), ("kind", forged.kind), ("victim", victim.name), ("values", "\n".join(_own(victim, attacker))))
            yield Experiment(trials, f"{forged.kind}, with {key.name or 'a text of the source'}", detail)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes; nobody, and the same claims signed otherwise, are refused, and those that the key signs are taken."""
        control, nobody, unsigned, forged = (traces[each] for each in ("control", "nobody", "unsigned", "forged"))
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if not turned_away(nobody.last, control.last) or not turned_away(unsigned.last, control.last):
            return Unclear("nobody, or whoever signs with another key, gets the same: the key is not what opens this route")
        if turned_away(forged.last, control.last) or forged.last.status != control.last.status:
            return Fails()
        name, victim = experiment.fact("name") or "a text of the source", experiment.fact("victim")
        seen = next((each for each in experiment.fact("values").split("\n") if each and holds(forged.last, each) and holds(control.last, each)), "")
        place = Location(experiment.fact("file"), int(experiment.fact("line")), None)
        what = f"reads what is {victim}'s" if seen else f"is taken for {victim}"
        kind = experiment.fact("kind")
        whose = f"{name} ({experiment.fact('shown')}) of {place.file}:{place.line}"
        return Holds(
            Evidence(
                f"{whose} opens it as it stands" if kind == rotation.ITSELF else f"{kind} that nobody issued, signed with {whose}, {what}",
                {
                    "request": shown(forged.last), "answer": answer(forged.last), "seen": seen, "key": f"{name} {experiment.fact('shown')}",
                    "without": answer(nobody.last), "signed otherwise": answer(unsigned.last),
                },
                place, tuple((each, experiment.fact(each)) for each in ("name", "file", "line", "kind")),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The key read from the project's settings or its environment, without a default."""
        yield from rotation.rotated(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(PEOPLE, "GET /me", FASTAPI_NEEDS, unseen=_NAMED),
        Broken(NOTES, "GET /notes", unseen=_NAMED),
        Broken(CONFIGURED, "GET /api/profile", (*FASTAPI_NEEDS, "pydantic-settings"), CONFIGURED_FILES, unseen=_NAMED),
        Broken(KEYED, "GET /reports", ("fastapi",), unmended="clients hold this very key", unseen=_NAMED),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(NOTES.replace('app.secret_key = "dev"', 'app.secret_key = os.environ["SECRET_KEY"]').replace("import sqlite3", "import os\nimport sqlite3", 1), "the key comes from the environment"),
        Sound(PEOPLE.replace('SECRET_KEY = "change-me-change-me-change-me-32"', "SECRET_KEY = secrets.token_hex(32)").replace("import jwt", "import jwt\nimport secrets", 1), "drawn at random at each start", FASTAPI_NEEDS),
        Sound(NOTES.replace('app.secret_key = "dev"', 'app.config.from_mapping(SECRET_KEY="dev")\napp.config.from_pyfile("production.py", silent=True)'), "a key for development, which the file of the server replaces", alike="it is published wherever that file is missing"),
        Sound(PEOPLE.replace('SECRET_KEY = "change-me-change-me-change-me-32"', 'SECRET_KEY = os.getenv("SECRET_KEY", "a-key-for-my-own-machine-only-0123")').replace("import jwt", "import os\nimport jwt", 1), "a default for development, which the environment of the server replaces", FASTAPI_NEEDS, alike="it is published wherever nobody sets another"),
        Sound(PEOPLE.replace('SECRET_KEY = "change-me-change-me-change-me-32"', """class Security(BaseModel):
    secret_key: str = "change-me-change-me-change-me-32"

class Settings(BaseSettings):
    security: Security = Security()
    model_config = SettingsConfigDict(env_nested_delimiter="__")

SECRET_KEY = Settings().security.secret_key""").replace("import jwt", "from pydantic_settings import BaseSettings, SettingsConfigDict\nimport jwt", 1), "a default, which SECURITY__SECRET_KEY replaces on the server", (*FASTAPI_NEEDS, "pydantic-settings"), alike="it is published wherever nobody sets another"),
    ]
