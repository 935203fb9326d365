"""Owns security/object-authorization."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import access, exposure
from toughen.backends import ACCOUNTS, BANK, BLOG, BOARD, DOCUMENTS, NOTES, ORDERS
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.ownership import aimed, plant, powerful, row_of, shows, told, withdrawn
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.sharing import denied, harm, refused, staged, visible
from toughen.specimens import FASTAPI_NEEDS, MODELS_NEEDS
from toughen.staffing import CLUB
from toughen.timeline import row_facts
from toughen.twists import answer, changed, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_UNDECIDED = "whether other users may {} this is written nowhere: no listing leaves it out, no sibling refuses it, nothing names it private"


class ObjectAuthorization(Rule):
    """A user reads or changes what belongs to another, by naming its id.

    Who pays: the owner of the data. Ids are counted up, seen in links, or guessed; each can be asked for.

    Shown: one user makes an object; another user of the same role reads a secret that was planted in it, or changes or
    deletes its row. Never claimed where the other may list the object, where anybody may read it, or where nothing in
    the prototype says that it is private.

    Example: `SELECT * FROM accounts WHERE id = ?` in a handler that knows who is logged in and does not use it.
    Instead: `... AND user_id = ?` with the caller's id, answered as not found.

    References: CWE-639; OWASP API1:2023; ASVS 5.0 V8.2.2.
    """

    id = "security/object-authorization"
    title = "A user reads or changes what belongs to another user"
    severity = Severity.CRITICAL
    cwe = (639, 862)
    owasp = "API1:2023"
    asvs = "V8.2.2"
    order = 25
    closes = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Rows with an owner that are chosen by their key alone, though the route knows who is calling."""
        yield from exposure.foreign(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The owner's own request, sent by another user of the same role, then by one of another tenant; and by nobody; and what the other may list."""
        owner, honest = target.identity(journey.identity or ""), target.honest(route.id)
        if not target.refuses(route.id) or owner is None or honest is None or powerful(owner):
            return
        if all(each.place is Place.HEADER for each in journey.call.arguments):
            return
        for attacker in (target.peer(owner.name), target.stranger(owner.name)):
            if attacker is None:
                continue
            own = withdrawn(target, aimed(target, journey, owner), owner, attacker)
            for planted in plant(target, own, owner):
                yield staged(target, own, owner, attacker, planted)
                if route.method != "GET":
                    break

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """R1: the attacker's answer holds the owner's canary; R2: the owner's row changed or went."""
        control, attack, kind = traces["control"], traces["attack"], experiment.fact("kind")
        if not succeeded(control.last):
            return Unclear(f"the owner's own request does not succeed: {answer(control.last)}")
        if kind == "read":
            return self._read(experiment, traces)
        owned = told(experiment.fact)
        marks = [f"tgn{each}" for name, each in attack.markers.items() if name != "owned"]
        strict = experiment.fact("private") == "" and not refused(experiment, traces)
        bad = tuple(each for each in changed(attack) if owned.of_owner(each) and harm(each, marks, attack.last.request_body, strict=strict))
        if not bad:
            return Fails() if "own" not in traces or succeeded(traces["own"].last) else Unclear("the attacker does not succeed on an object of his own")
        if any(owned.of_owner(each) for each in changed(traces["garbage"])):
            return Fails()
        themselves = bad[0].table.lower() == owned.users and not experiment.fact("office") and (attack.last.method != "POST" or bad[0].kind == "deleted")
        if not themselves and not denied(experiment, traces):
            return Unclear(_UNDECIDED.format("change"))
        verb = "deletes" if any(each.kind == "deleted" for each in bad) else "changes"
        who, whose = experiment.fact("attacker"), experiment.fact("owner")
        return Holds(
            Evidence(
                f"{who} {verb} a row of {bad[0].table} that belongs to {whose}",
                {"request": shown(attack.last), "answer": answer(attack.last), "rows": [*row_facts(bad)], "attacker": who},
                next((each.location for each in reversed(attack.last.statements) if bad[0].table.lower() in each.writes), None),
                access.steer(attack.last, bad[0].table, experiment, bad[0].before),
                key="write",
            )
        )

    def _read(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        control, attack, canary = traces["control"], traces["attack"], experiment.fact("canary")
        if not shows(control, control.last, canary):
            return Unclear("the owner's own answer does not show what was planted")
        if not succeeded(attack.last) or not shows(attack, attack.last, canary):
            return Fails() if "own" not in traces or succeeded(traces["own"].last) else Unclear("the attacker does not succeed on an object of his own")
        if any(shows(traces[name], traces[name].last, canary) for name in ("anonymous", "garbage")) or visible(experiment, traces, "attacker"):
            return Fails()
        if not denied(experiment, traces):
            return Unclear(_UNDECIDED.format("read"))
        marker = attack.markers.get(canary)
        text = f"tgn{marker}" if marker else canary
        seen = next((each for each in attack.last.statements if any(text in str(value) for row in each.sample for value in row.values())), None)
        table = seen.reads[0] if seen and seen.reads else ""
        owned = told(experiment.fact)
        if table != owned.users and any(owned.party(row_of(row, table)) for row in (seen.sample if seen else ()) if text in str(row)):
            return Unclear("the other has a part in it himself")
        return Holds(
            Evidence(
                f"{experiment.fact('attacker')} reads what belongs to {experiment.fact('owner')} ({experiment.fact('field')} holds {text})",
                {"request": shown(attack.last), "answer": answer(attack.last), "attacker": experiment.fact("attacker")},
                seen.location if seen else None, access.steer(attack.last, table, experiment, seen.sample[0] if seen else None), key="read",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The owner in the statement that saw the foreign row, else a comparison after the load."""
        yield from access.scope(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(NOTES + """
@app.get("/notes/<int:note_id>")
@login_required
def one_note(note_id):
    row = db().execute("SELECT * FROM notes WHERE id = ?", (note_id,)).fetchone()
    if row is None:
        return jsonify({"error": "No such note"}), 404
    return jsonify(dict(row))

@app.delete("/notes/<int:note_id>")
@login_required
def drop_note(note_id):
    with db() as conn:
        conn.execute("DELETE FROM notes WHERE id = ?", (note_id,))
    return jsonify({"deleted": note_id})
""", "GET /notes/{note_id}"),
        Broken(ACCOUNTS + """
@app.put("/accounts/{account_id}", dependencies=[Depends(get_current_user)])
def rename(account_id: int, data: NewAccount, db: Session = Depends(get_db)):
    account = db.get(Account, account_id)
    if account is None:
        raise HTTPException(status_code=404, detail="No such account")
    account.label = data.label
    db.commit()
    return {"id": account.id, "label": account.label}
""", "PUT /accounts/{account_id}", FASTAPI_NEEDS),
        Broken(ORDERS + """
@app.route("/orders/<int:order_id>")
def show_order(order_id):
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    order = Order.query.get(order_id)
    if not order:
        return jsonify({"error": "No such order"}), 404
    return jsonify({"id": order.id, "address": order.address})
""", "GET /orders/{order_id}", MODELS_NEEDS),
        Broken(NOTES + """
@app.get("/users/<int:user_id>/notes")
@login_required
def notes_of(user_id):
    query = "SELECT id, user_id, body FROM notes WHERE user_id = ? ORDER BY id"
    rows = db().execute(query, (user_id,)).fetchall()
    if not rows:
        return jsonify({"error": "No notes"}), 404
    return jsonify({"user": user_id, "notes": [{"id": row[0], "body": row[2]} for row in rows]})
""", "GET /users/{user_id}/notes", unseen="it asks for an owner, and who that is the source does not say"),
        Broken(NOTES + """
@app.get("/notes/<int:note_id>")
@login_required
def one_note(note_id):
    notes = db().execute("SELECT id, user_id, body FROM notes ORDER BY id").fetchall()
    for note in notes:
        if note[0] == note_id:
            return jsonify({"id": note[0], "body": note[2]})
    return jsonify({"error": "No such note"}), 404
""", "GET /notes/{note_id}", unseen="the row is chosen in Python, among all"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(BLOG, "a blog: every user may read, like and comment on every post, and only its author deletes it"),
        Sound(BANK, "money goes from the caller's own account to anybody's", FASTAPI_NEEDS),
        Sound(BOARD, "a board that members of one team share: they edit each other's tasks"),
        Sound(DOCUMENTS, "a document is shared with everybody who has its link"),
        Sound(CLUB, "who trains others says what they are, whoever they are: it is a work, and its role's"),
    ]
