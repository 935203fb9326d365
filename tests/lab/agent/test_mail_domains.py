"""Owns the claim that a sign-up which wants to know whether a domain takes mail is answered without a name server."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ERRORS = """
    class EmailNotValidError(ValueError):
        pass
    """
PACKAGE = """
    from .errors import EmailNotValidError
    from .validate import validate_email

    __all__ = ["EmailNotValidError", "validate_email"]
    """
VALIDATE = """
    from .errors import EmailNotValidError


    def validate_email(email, check_deliverability=True):
        if email.count("@") != 1:
            raise EmailNotValidError("An email address must have an @-sign.")
        domain = email.split("@")[1]
        if not check_deliverability:
            return {"email": email}
        from .deliverability import validate_email_deliverability
        return {"email": email, **validate_email_deliverability(domain, domain, timeout=15)}
    """
AT_ONCE = """
    from .errors import EmailNotValidError
    from .deliverability import validate_email_deliverability


    def validate_email(email, check_deliverability=True):
        if email.count("@") != 1:
            raise EmailNotValidError("An email address must have an @-sign.")
        domain = email.split("@")[1]
        return {"email": email, **(validate_email_deliverability(domain, domain) if check_deliverability else {})}
    """
DELIVERABILITY = """
    import socket
    from .errors import EmailNotValidError


    def validate_email_deliverability(domain, domain_i18n, timeout=None, dns_resolver=None):
        with open("asked.txt", "a") as file:
            file.write(domain)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(1)
            try:
                link.sendto(b"who takes mail for " + domain.encode(), ("127.0.0.1", 9))
                link.recv(512)
            except OSError as error:
                raise EmailNotValidError("The domain name does not accept email.") from error
        return {"mx": [(1, domain)]}
    """
ONE_FILE = "\n".join(
    dedent(each).replace("from .errors import EmailNotValidError\n", "").replace("from .deliverability import validate_email_deliverability\n", "")
    for each in (ERRORS, DELIVERABILITY, AT_ONCE)
)
APP = """
    from email_validator import EmailNotValidError, validate_email
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    @app.post("/register")
    def register():
        try:
            found = validate_email(request.get_json()["email"])
        except EmailNotValidError as error:
            return jsonify(error=str(error)), 400
        return jsonify(email=found["email"], takes=[list(each) for each in found["mx"]]), 201
    """
PARTS = {"email_validator/errors.py": ERRORS, "email_validator/deliverability.py": DELIVERABILITY}
LAYOUTS = {
    "late": {**PARTS, "email_validator/__init__.py": PACKAGE, "email_validator/validate.py": VALIDATE},
    "at once": {**PARTS, "email_validator/__init__.py": AT_ONCE},
    "below": {**PARTS, "email_validator/__init__.py": PACKAGE, "email_validator/validate.py": AT_ONCE},
    "file": {"email_validator.py": ONE_FILE},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_name_server_is_asked(boot: Callable[..., Any], layout: str) -> None:
    """Whether a domain takes mail is answered with yes, and the library's own question is never put, however its modules import each other."""
    host = boot({"main.py": APP, **LAYOUTS[layout]})
    told = host.child().serve(("POST", "/register", {"email": "ann@nowhere.example"}))[0]
    assert (told["status"], told["failure"]) == (201, None), told["body"]
    assert b'"takes":[[10,"nowhere.example"]]' in told["body"].replace(b" ", b"")
    assert told["outgoing"] == []
    assert not (host.root / "asked.txt").exists()


def test_what_is_no_address_is_still_refused(boot: Callable[..., Any]) -> None:
    """Everything else that the library looks at stays as it is: an address without a domain is refused in its own words."""
    told = boot({"main.py": APP, **LAYOUTS["late"]}).child().serve(("POST", "/register", {"email": "ann"}))[0]
    assert (told["status"], told["failure"]) == (400, None)
    assert b"must have an @-sign" in told["body"]
