"""Owns security/weak-password-storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import keeping, rehashing
from toughen.backends import ITEMS, PEOPLE
from toughen.digests import kept
from toughen.handling import parsed
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Marker
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.signups import DERIVED, DIGESTED, LAYERED, LAYERED_NEEDS, LAYERS, SALTED, SLOWLY, SQL
from toughen.specimens import FASTAPI_NEEDS, MODELS, MODELS_NEEDS, QUERIES
from toughen.twists import answer, changed, literal, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Call, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


def _evidence(trace: Trace, table: str, column: str, text: str, how: str) -> Evidence:
    wrote = next((each.location for each in reversed(trace.last.statements) if table.lower() in each.writes and each.location), None)
    return Evidence(
        f"{table}.{column} holds the password that was just sent: {how}",
        {"request": shown(trace.last), "answer": answer(trace.last), "column": f"{table}.{column}", "stored": text[:80], "how": how},
        wrote, (("table", table), ("column", column)),
    )


class WeakPasswordStorage(Rule):
    """A password is stored as it was sent, or as a digest that is quick to try.

    Who pays: every user, here and wherever else the same password is used. Whoever reads the database once (a backup, an
    injection, a lost laptop) has the passwords: of MD5, SHA-1 and SHA-256 a graphics card tries billions a second.

    Shown: an honest sign-up or password change sends a password that nobody used before; in the row that this very
    request wrote it stands as itself, in an encoding, or as a digest of it with what else the row and the source hold.

    Example: `User(username=data.username, password=data.password)`, `hashlib.sha256(password.encode()).hexdigest()`.
    Instead: a slow hash that is made for passwords and salted anew each time: argon2, scrypt, bcrypt. What was stored
    before still opens, and is hashed at the next log-in.

    References: CWE-256, CWE-916; OWASP API2:2023; ASVS 5.0 V11.4.2; OWASP Password Storage Cheat Sheet.
    """

    id = "security/weak-password-storage"
    title = "Whoever reads the database has everybody's password"
    severity = Severity.HIGH
    cwe = (256, 916)
    owasp = "API2:2023"
    asvs = "V11.4.2"
    order = 45

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Passwords on their way into a column as they were sent, or under a quick digest."""
        yield from keeping.unhashed(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The honest request with a password that nobody used before."""
        arguments, tables = keeping.fresh(journey.call), keeping.tables_of(target)
        if not arguments or not tables:
            return
        salts = keeping.fixed(tuple(parsed(target.texts()).values()))
        detail = (("tables", ",".join(sorted(tables))), ("fixed", "\n".join(salts)))
        for shape in (f"{literal(arguments[0])}{{}}", "Aa1!{}"):
            call: Call = journey.call
            for each in arguments:
                call = call.with_argument(each.place, each.path, Marker("password", shape))
            trial = Trial((*journey.calls[:-1], call), journey.grants)
            trace = target.run(trial)
            if succeeded(trace.last) and any(each.table.lower() in tables for each in changed(trace)):
                yield Experiment({"control": Trial(journey.calls, journey.grants), "fresh": trial}, "with a password that nobody used before", (*detail, ("shape", shape)))
                return

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Both requests pass, and the second one's password can be read off the row that it wrote."""
        control, fresh = traces["control"], traces["fresh"]
        failed = next((each for each in (control, fresh) if not succeeded(each.last)), None)
        if failed is not None:
            return Unclear(f"the honest request does not succeed: {answer(failed.last)}")
        tables = set(experiment.fact("tables").split(","))
        password = experiment.fact("shape").replace("{}", fresh.markers["password"])
        fixed = experiment.fact("fixed").split("\n")
        rows = [each for each in changed(fresh) if each.table.lower() in tables and each.kind != "deleted"]
        if not rows:
            return Unclear("no row of the users' table changed with it")
        for row in rows:
            for column in row.columns:
                text = row.after.get(column)
                salts = [each for name, value in row.after.items() if name != column and isinstance(value, str | int) and (each := str(value))]
                if isinstance(text, str) and (how := kept(password, text, salts, fixed)):
                    return Holds(_evidence(fresh, row.table, column, text, how))
        return Fails()

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A slow hash where it is written, and a comparison that still takes what was stored before."""
        yield from rehashing.rehashed(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(PEOPLE, "POST /register", FASTAPI_NEEDS),
        Broken(MODELS + """
with app.app_context():
    db.create_all()

@app.route("/password", methods=["PUT"])
def change_password():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    data = request.get_json()
    if user.password != data["old_password"]:
        return jsonify({"error": "Wrong password"}), 403
    user.password = data["new_password"]
    db.session.commit()
    return jsonify({"message": "changed"})

@app.route("/me")
def me():
    user = current_user()
    return jsonify({"email": user.email}) if user else (jsonify({"error": "Log in first"}), 401)
""", "POST /signup", MODELS_NEEDS),
        Broken(DIGESTED, "POST /register"),
        Broken(SALTED, "POST /api/register", FASTAPI_NEEDS),
        Broken(SQL, "POST /signup"),
        Broken(LAYERED, "POST /users/", LAYERED_NEEDS, LAYERS),
        Broken(QUERIES, "POST /register"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(ITEMS, "werkzeug's own hash is salted and slow"),
        Sound(DERIVED, "PBKDF2 with a salt of its own and many rounds"),
        Sound(SLOWLY, "bcrypt; quick digests only of a random token and for a list of leaked passwords; other doors' passwords are no log-in", (*FASTAPI_NEEDS, "bcrypt")),
    ]
