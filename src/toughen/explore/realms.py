"""Owns the credentials of a second realm: what log-in answered beside the token, and whatever else answers held that looks like one."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from toughen.explore.door import TELLING, tokens
from toughen.explore.outcomes import Depth, depth
from toughen.model.identity import Credential, Identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toughen.explore.session import Session

_MOST = 16


def other_tokens(session: Session) -> Iterator[Identity]:
    """The first identity with another token of its log-in's answer (a refresh token), which is renewed like the first."""
    own = next((each for each in session.wallet.identities.values() if each.login and each.token and each.header), None)
    if own is None or own.login is None or own.header is None:
        return
    answer = session.send(own.login)
    if depth(answer) is not Depth.SUCCESS and session.founders:
        # Who lives in memory may have been deleted in the meantime; a new process signs him up again.
        session.reset()
        answer = session.send(own.login)
    session.forget()
    for pointer, token in tokens(answer.response.json) if answer.response and depth(answer) is Depth.SUCCESS else ():
        if pointer != own.token:
            held = Credential(((own.header[0], own.header[1] + token),))
            name = f"{own.name}_{pointer[-1]}"
            if own.name in session.founders:
                session.founders[name] = session.founders[own.name]
            yield replace(own, name=name, credential=held, how="token of log-in's answer", token=pointer, cookie=None)


def seen_tokens(session: Session, carriers: Iterable[tuple[str, str]]) -> Iterator[Identity]:
    """Every token-like value of the answers seen, the newest first, those under a telling name before others."""
    seen = [each for entry in reversed(session.history) if entry.exchange.response for each in reversed(list(tokens(entry.exchange.response.json)))]
    seen.sort(key=lambda each: not TELLING.search(str(each[0][-1:])))
    pairs = ((header, prefix, token) for header, prefix in dict.fromkeys(carriers) for token in dict.fromkeys(token for _, token in seen))
    for header, prefix, token in islice(pairs, _MOST):
        yield Identity(f"realm_{header.lower()}", None, Credential(((header, prefix + token),)), "token seen in an answer")
