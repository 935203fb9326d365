"""Owns the outbox: smtplib sends nothing, the message is noted instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import faults
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT = 20000
_OK = (250, b"2.0.0 Ok")


def hook_smtplib(module: Any) -> None:
    """Replace what smtplib's clients do on the wire; messages are built by the original code."""
    client = module.SMTP
    default = int(getattr(module, "SMTP_PORT", 25))

    def note(client: Any, request: str, text: str = "") -> None:
        if RECORDER.active:
            host, port = (
                str(getattr(client, "_host", "") or "localhost"),
                int(getattr(client, "_toughen_port", default)),
            )
            place = RECORDER.place(4)
            after = len(RECORDER.statements)
            RECORDER.outgoing.append({"host": host, "port": port, "request": request, "place": place, "mail": text, "after": after, "behind": RECORDER.behind()})

    def connect(self: Any, host: str = "localhost", port: int = 0, source_address: Any = None) -> Any:
        del source_address
        self._host = host or "localhost"
        self._toughen_port = int(port or getattr(self, "default_port", default) or default)
        self.sock = None
        kind = faults.met(self._host)
        if kind:
            note(self, "")
            faults.fail_mail(kind, getattr(self, "timeout", None))
        return 220, b"toughen"

    def ehlo(self: Any, name: str = "") -> Any:
        del name
        self.does_esmtp = True
        self.ehlo_resp = b"toughen"
        self.esmtp_features = {
            "auth": " PLAIN LOGIN",
            "starttls": "",
            "8bitmime": "",
            "smtputf8": "",
            "size": "35882577",
        }
        return _OK

    def starttls(self: Any, *_args: Any, **_keywords: Any) -> Any:
        del self
        return 220, b"2.0.0 Ready"

    def login(self: Any, user: Any, password: Any, **_keywords: Any) -> Any:
        del self, user, password
        return 235, b"2.7.0 Accepted"

    def sendmail(
        self: Any,
        from_addr: Any,
        to_addrs: Any,
        msg: Any,
        mail_options: Iterable[str] = (),
        rcpt_options: Iterable[str] = (),
    ) -> Any:
        del mail_options, rcpt_options
        to = [to_addrs] if isinstance(to_addrs, str) else list(to_addrs)
        if isinstance(msg, str):
            # What the original does first, and it may refuse.
            msg = module._fix_eols(msg).encode("ascii")
        text = bytes(msg[:TEXT]).decode("utf-8", "replace")
        note(self, "MAIL " + str(from_addr) + " -> " + ", ".join(str(each) for each in to), text)
        return {}

    def fine(self: Any, *_args: Any, **_keywords: Any) -> Any:
        del self
        return _OK

    def docmd(self: Any, cmd: str, args: str = "") -> Any:
        del self, args
        return (221, b"2.0.0 Bye") if cmd.upper() == "QUIT" else _OK

    def leave(self: Any) -> Any:
        del self
        return 221, b"2.0.0 Bye"

    def close(self: Any) -> None:
        self.sock = None

    for name, made in (
        ("connect", connect),
        ("ehlo", ehlo),
        ("helo", ehlo),
        ("starttls", starttls),
        ("login", login),
        ("sendmail", sendmail),
        ("close", close),
        ("docmd", docmd),
        ("quit", leave),
    ):
        setattr(client, name, made)
    for name in ("noop", "rset", "verify", "expn", "mail", "rcpt", "data"):
        setattr(client, name, fine)
    client.vrfy = fine
    if hasattr(module, "LMTP"):
        module.LMTP.connect = connect


def hook_deliverability(module: Any) -> None:
    """Let every domain take mail: email_validator asks name servers of the internet, which the lab has none of."""

    def validate_email_deliverability(domain: str, *_args: Any, **_keywords: Any) -> dict[str, Any]:
        return {"mx": [(10, domain)], "mx_fallback_type": None, "mx-fallback": None}

    if hasattr(module, "validate_email_deliverability"):
        module.validate_email_deliverability = validate_email_deliverability
