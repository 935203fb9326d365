"""Owns security/function-authorization."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import access, privileges, raising
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import FASTAPI_NEEDS
from toughen.staffing import STAFF, STAFF_FLASK
from toughen.timeline import row_facts
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_REMOVE = """
@app.delete("/products/<int:product_id>")
@login_required
def remove(product_id):
    with db() as conn:
        gone = conn.execute("DELETE FROM products WHERE id = ?", (product_id,)).rowcount
    return (jsonify({"deleted": product_id}), 200) if gone else (jsonify({"error": "No such product"}), 404)
"""
"""Whoever is logged in deletes products."""
_ROLES = """
class NewRole(BaseModel):
    username: str
    role: str

@app.put("/users/role")
def give_role(data: NewRole, user: User = Depends(get_current_user), db: Session = Depends(get_db)):
    if data.role not in ("user", "editor", "admin"):
        raise HTTPException(400, "No such role")
    found = db.query(User).filter(User.username == data.username).first()
    if found is None:
        raise HTTPException(404, "No such user")
    found.role = data.role
    db.commit()
    return {"username": found.username, "role": found.role}
"""
"""Whoever is logged in gives roles."""

_BY_TOKEN = STAFF.replace('{"sub": user.username}', '{"sub": user.username, "role": user.role}').replace(
    "def admin_only(user: User = Depends(get_current_user)):\n    if user.role !=",
    """def admin_only(credentials: HTTPAuthorizationCredentials = Depends(bearer), user: User = Depends(get_current_user)):
    if jwt.decode(credentials.credentials, SECRET_KEY, algorithms=["HS256"]).get("role") !=""",
)
"""The role stands in the token: a new one counts from the next log-in on."""


class FunctionAuthorization(Rule):
    """A user does what only another role may do.

    Who pays: everybody whose prices, products or accounts an ordinary user can change. That the button is shown to
    administrators only protects nothing.

    Shown: an ordinary user's request changes rows that belong to nobody, as the administrator's does, where a route that
    does the same to the same table, or writes it under the same path, refuses that user; or the
    reviewed policy denies it. Or a user's own request gives his row a role, which lets him in where he is refused
    without it. What an ordinary user does to rows of his own is never meant, and where nothing
    says who may, the cell of the matrix stays undecided.

    Example: `POST /products` asks for an administrator, `DELETE /products/{id}` asks only who is logged in.
    Instead: the guard of the sibling, on this route too.

    References: CWE-285, CWE-863; OWASP API5:2023; ASVS 5.0 V8.2.1.
    """

    id = "security/function-authorization"
    title = "A user does what only another role may do"
    severity = Severity.CRITICAL
    cwe = (285, 863)
    owasp = "API5:2023"
    asvs = "V8.2.1"
    order = 22
    closes = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Routes that ask only who is logged in, beside two of the same resource and kind of method that ask for a role."""
        yield from privileges.unasked(self.id, blueprint)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The privileged user's own request, sent by the first user of each ordinary role; and a user's own, with a role of power in it."""
        yield from privileges.attempts(target, journey)
        yield from raising.gains(target, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The ordinary user's request has the effect of the privileged one, and something says that it must not."""
        if experiment.fact("kind") == "gain":
            return self._gain(experiment, traces)
        control, attack = traces["control"], traces["attack"]
        if not succeeded(control.last):
            return Unclear(f"the privileged user's own request does not succeed: {answer(control.last)}")
        if not privileges.did(experiment, traces, "attack"):
            return Fails()
        if experiment.fact("attacker") and privileges.did(experiment, traces, "garbage"):
            return Fails()
        refusing = privileges.refusing(experiment, traces)
        if not (refusing or experiment.fact("policy")):
            return Unclear("nothing says who may do this: no sibling refuses the role")
        role = experiment.fact("role")
        rows = attack.final_changes
        what = f"changes rows of {rows[0].table}" if rows else "gets the answer"
        return Holds(
            Evidence(
                f"{role} {what} as {experiment.fact('owner') or 'the honest client'} does: {privileges.about(experiment)}",
                {"request": shown(attack.last), "answer": answer(attack.last), "rows": [*row_facts(rows)], "refused by": [*refusing], "role": role},
                None, (("siblings", ",".join(refusing)), ("role", role)), key=role,
            )
        )

    def _gain(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """A user's own request gives his own row a role of power, which opens what refused him."""
        control, attack = traces["control"], traces["attack"]
        if not succeeded(control.last):
            return Unclear(f"the user's own request does not succeed: {answer(control.last)}")
        rows, opened = raising.gained(experiment, traces), raising.opened(experiment, traces)
        if not rows:
            return Fails()
        if not opened:
            return Unclear("no route is seen that asks for that role")
        entered = raising.entered(experiment, traces, opened)
        if not entered:
            return Unclear("his row holds the role, and it opens nothing yet: somebody may have to approve of it")
        facts: dict[str, Json] = {"request": shown(attack.last), "answer": answer(attack.last), "rows": [*row_facts(rows)], "refused by": [*opened], "lets in now": [*entered], "role": experiment.fact("role")}
        steer = (("siblings", ",".join(opened)), ("role", experiment.fact("role")))
        return Holds(Evidence(f"{experiment.fact('attacker')} gives himself the role {experiment.fact('value')}, which opens {entered[0]} to him", facts, None, steer, key="gain"))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The guard of a sibling that was seen to refuse that role."""
        yield from access.guarded(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(STAFF + """
@app.delete("/products/{product_id}", status_code=204)
def remove(product_id: int, user: User = Depends(get_current_user), db: Session = Depends(get_db)):
    found = db.get(Product, product_id)
    if found is None:
        raise HTTPException(404, "No such product")
    db.delete(found)
    db.commit()

@app.delete("/products/{product_id}/now", status_code=204, dependencies=[Depends(admin_only)])
def remove_now(product_id: int, db: Session = Depends(get_db)):
    found = db.get(Product, product_id)
    if found is None:
        raise HTTPException(404, "No such product")
    db.delete(found)
    db.commit()
""", "DELETE /products/{product_id}", FASTAPI_NEEDS),
        Broken(STAFF_FLASK + _REMOVE, "DELETE /products/{product_id}"),
        Broken(STAFF_FLASK + """
@app.post("/products/import")
@login_required
def import_product():
    data = request.get_json()
    with db() as conn:
        made = conn.execute("INSERT INTO products (name, price) VALUES (?, ?)", (str(data["name"]), float(data["price"])))
    return jsonify({"id": made.lastrowid}), 201
""", "POST /products/import", unseen="its path has a word of its own: what stands beside it may be another matter"),
        Broken(STAFF_FLASK.replace('!= "admin"', '!= "chef"').replace("admin_required", "kitchen_only") + _REMOVE, "DELETE /products/{product_id}"),
        Broken(STAFF + _ROLES, "PUT /users/role", FASTAPI_NEEDS, unseen="its path has a word of its own: what stands beside it may be another matter"),
        Broken(_BY_TOKEN + _ROLES, "PUT /users/role", FASTAPI_NEEDS, unseen="its path has a word of its own: what stands beside it may be another matter"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(STAFF + _ROLES.replace("user: User = Depends(get_current_user)", "user: User = Depends(admin_only)"), "roles are given by administrators", FASTAPI_NEEDS),
        Sound(STAFF.replace('if user.role != "admin":', 'if user.role != "admin" or not user.approved:').replace(
            '    role = Column(String, nullable=False, default="user")\n', '    role = Column(String, nullable=False, default="user")\n    approved = Column(Integer, nullable=False, default=1)\n'
        ) + _ROLES.replace("found.role = data.role", "found.role, found.approved = data.role, 0"), "a role that is asked for opens nothing before somebody approves of it", FASTAPI_NEEDS),
        Sound(STAFF + _ROLES.replace("if data.role not in", 'if data.role == "admin":\n        raise HTTPException(403, "Ask an administrator")\n    if data.role not in'), "a user chooses among roles, none of which gives power", FASTAPI_NEEDS),
        Sound(STAFF + """
@app.post("/products/{product_id}/buy")
def buy(product_id: int, user: User = Depends(get_current_user), db: Session = Depends(get_db)):
    found = db.get(Product, product_id)
    if found is None:
        raise HTTPException(404, "No such product")
    taken = db.query(Product).filter(Product.id == product_id, Product.stock > 0).update({Product.stock: Product.stock - 1})
    db.commit()
    if not taken:
        raise HTTPException(409, "Sold out")
    return {"bought": product_id}

@app.put("/products/{product_id}", dependencies=[Depends(admin_only)])
def change(product_id: int, data: NewProduct, db: Session = Depends(get_db)):
    found = db.get(Product, product_id)
    if found is None:
        raise HTTPException(404, "No such product")
    found.name, found.price, found.stock = data.name, data.price, data.stock
    db.commit()
    return {"id": found.id}
""", "everybody may buy, which lowers the stock; only an administrator sets it", FASTAPI_NEEDS),
        Sound(STAFF_FLASK + """
@app.delete("/products/<int:product_id>")
@admin_required
def remove(product_id):
    with db() as conn:
        gone = conn.execute("DELETE FROM products WHERE id = ?", (product_id,)).rowcount
    return (jsonify({"deleted": product_id}), 200) if gone else (jsonify({"error": "No such product"}), 404)

@app.post("/suggestions")
@login_required
def suggest():
    with db() as conn:
        made = conn.execute("INSERT INTO suggestions (user_id, text) VALUES (?, ?)", (session["user_id"], str(request.get_json()["text"])))
    return jsonify({"id": made.lastrowid}), 201

@app.post("/admin/suggestions")
@admin_required
def note():
    data = request.get_json()
    with db() as conn:
        made = conn.execute("INSERT INTO suggestions (user_id, text) VALUES (?, ?)", (int(data["user_id"]), str(data["text"])))
    return jsonify({"id": made.lastrowid}), 201
""", "a user writes rows of his own where an administrator writes anybody's"),
    ]
