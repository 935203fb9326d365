"""Owns security/no-authentication."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import access, exposure
from toughen.backends import CATALOGUE, DOORS, ITEMS, PEOPLE
from toughen.doors import guarded_reads, guarded_writes, is_door, moved, siblings_of, stranger, unknown
from toughen.effects import effect, sight
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import FASTAPI_NEEDS, FLASK, MODELS, MODELS_NEEDS
from toughen.timeline import row_facts
from toughen.twists import answer, changed, holds, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


class NoAuthentication(Rule):
    """Somebody who never logged in changes or reads what belongs to users.

    Who pays: every user. The route can be called by anybody who knows its address; that a button is hidden on the screen
    protects nothing.

    Shown: a request without a credential deletes or changes rows that other routes change only for somebody who is
    logged in, or shows what is secret; or a credential that was made up is taken where none is refused. Doors (sign-up,
    log-in, reset, webhooks, contact forms, counters) are left alone.

    Example: `@app.delete("/users/{id}")` without the dependency that its sibling routes have.
    Instead: the guard that the sibling routes use, on this route too.

    References: CWE-306; OWASP API2:2023; ASVS 5.0 V6.3.1.
    """

    id = "security/no-authentication"
    title = "Nobody needs to log in to change or read what belongs to users"
    severity = Severity.CRITICAL
    cwe = (306, 862)
    owasp = "API2:2023"
    asvs = "V6.3.1"
    order = 20

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Routes that ask nobody, and write what their siblings guard or show what is secret."""
        yield from exposure.unguarded(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The route's own call without a credential (or with a made-up one), on the rows of users."""
        if target.honest(route.id) is None or not target.identities or is_door(target, journey) or journey.call.inside:
            return
        siblings = siblings_of(target, journey)
        detail = (("siblings", ",".join(siblings)),)
        if target.refuses(route.id):
            if route.guards and journey.identity:
                garbage = Trial((*journey.calls[:-1], journey.call.by(target.forged_identity)), journey.grants)
                nobody = Trial((*journey.calls[:-1], journey.call.by(None)), journey.grants)
                yield Experiment(
                    {"control": Trial(journey.calls, journey.grants), "nobody": nobody, "anonymous": garbage}, "with a made-up credential", (("kind", "garbage"), *detail)
                )
            return
        control = stranger(target, journey, siblings)
        if control is None:
            return
        anonymous = Trial((*journey.calls[:-1], unknown(journey.call)), journey.grants)
        yield Experiment({"control": control, "anonymous": anonymous}, "without a credential", (("kind", "write"), *guarded_writes(target, journey), *detail))
        for grant, column in guarded_reads(target, journey):
            grants = (*journey.grants, grant)
            yield Experiment(
                {"control": Trial(control.calls, grants), "anonymous": Trial(anonymous.calls, grants)},
                f"{column} of a user", (("kind", "read"), ("planted", str(grant.value)), ("column", column), *detail),
            )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """An anonymous request changes rows that others' requests are refused for, or shows what is private."""
        control, anonymous, kind = traces["control"], traces["anonymous"], experiment.fact("kind")
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if kind == "write" and control.last.method != "GET" and not changed(control):
            return Unclear("the honest request changes no row")
        if not succeeded(anonymous.last):
            return Fails()
        facts = {"request": shown(anonymous.last), "answer": answer(anonymous.last)}
        siblings = (("siblings", experiment.fact("siblings")),)
        if kind == "read":
            planted, column = experiment.fact("planted"), experiment.fact("column")
            if not holds(anonymous.last, planted):
                return Fails()
            return Holds(Evidence(f"an anonymous request reads {column} of a user ({planted!r} was planted there)", {**facts, "planted": planted}, None, siblings))
        if kind == "garbage":
            nobody = traces["nobody"].last.status
            same = {each.table for each in changed(control)} & {each.table for each in changed(anonymous)}
            shows = effect(sight(control), sight(traces["nobody"]))
            if nobody in {401, 403} and not changed(control) and shows.tells and shows.same(sight(anonymous), object_=True):
                return Holds(Evidence("a made-up credential is taken: it is shown what a user is shown", {**facts}, None, siblings))
            if nobody not in {401, 403} or not same:
                return Fails()
            return Holds(Evidence(f"a made-up credential is taken: rows of {min(same)} change", {**facts, "rows": [*row_facts(changed(anonymous))]}, None, siblings))
        bad = moved(anonymous, experiment)
        if not bad:
            return Fails()
        verb = "deletes" if any(each.kind == "deleted" for each in bad) else "changes" if any(each.kind == "updated" for each in bad) else "adds"
        return Holds(Evidence(f"an anonymous request {verb} rows of {bad[0].table}", {**facts, "rows": [*row_facts(bad)]}, None, siblings))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The guard of a sibling that was seen to refuse a stranger."""
        yield from access.guarded(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(ITEMS + """
@app.delete("/items/<int:item_id>")
def drop(item_id):
    with db() as conn:
        hit = conn.execute("DELETE FROM items WHERE id = ?", (item_id,)).rowcount
    return (jsonify({"deleted": item_id}), 200) if hit else (jsonify({"error": "Not found"}), 404)
""", "DELETE /items/{item_id}"),
        Broken(PEOPLE + """
@app.get("/users")
def everybody(db: Session = Depends(get_db)):
    return [{"id": each.id, "username": each.username, "password": each.password} for each in db.query(User).all()]

@app.delete("/users/{user_id}")
def remove(user_id: int, db: Session = Depends(get_db)):
    found = db.get(User, user_id)
    if found is None:
        raise HTTPException(status_code=404, detail="Not found")
    db.delete(found)
    db.commit()
    return {"deleted": user_id}
""", "GET /users", FASTAPI_NEEDS),
        Broken(MODELS + """
with app.app_context():
    db.create_all()

@app.route("/me")
def me():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    return jsonify({"email": user.email})

@app.route("/debug/users")
def debug():
    return jsonify([{"email": each.email, "password": each.password} for each in User.query.all()])
""", "GET /debug/users", MODELS_NEEDS),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(FLASK + """
@app.post("/maintenance/forget")
def forget():
    if request.remote_addr not in ("127.0.0.1", "::1"):
        return jsonify({"error": "Only from this machine"}), 403
    with db() as conn:
        conn.execute("DELETE FROM users WHERE username = ?", (request.get_json()["username"],))
    return jsonify({"forgotten": True})
""", "a route that answers the machine itself and nobody else"),
        Sound(DOORS, "doors that must be open: contact form, newsletter, short links, a new password by code"),
        Sound(CATALOGUE, "the catalogue is open to everybody; orders and the admin's routes are not", MODELS_NEEDS),
    ]
