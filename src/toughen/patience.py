"""Owns the repair of calls that wait too long: a time-out at the call, at its client wherever that is made, or of the whole library."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod import Draft, Module, patch
from toughen.codemod.clients import client_of, line_of, stripe_timed, timed_at
from toughen.codemod.clients import timed as timed_here
from toughen.handling import parsed
from toughen.model.patch import Unmended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.finding import Finding
    from toughen.model.patch import Patch

_RETRIES = "The client's own retries are off: each of them would wait as long again."


def timed(finding: Finding, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The call itself first; then what makes its client, where that lies elsewhere."""
    evidence = finding.evidence
    place = evidence.location if evidence else None
    host = evidence.fact("host") if evidence else "the service"
    brief = f"Give the call of {host} a time-out well below 30 seconds, and an answer (504) for when it is over."
    if place is None or place.file not in sources:
        yield Unmended("the proof names no call in the project's own code", brief)
        return
    modules = parsed(sources)
    module = modules.get(place.file)
    if module is None:
        yield Unmended(f"{place.file} does not parse", brief)
        return
    first = timed_here(module, line_of(module, place.line, place.function))
    reason = first.reason if isinstance(first, Unmended) else ""
    if not isinstance(first, Unmended):
        yield _patch(finding, host, first)
    for other in modules.values():
        for draft in _elsewhere(other):
            yield _patch(finding, host, draft)
    if reason:
        yield Unmended(reason, brief)


def _elsewhere(module: Module) -> Iterator[Draft]:
    """Time-outs for what makes clients in a file: each alone, where it has none."""
    if "stripe" in module.imports.values():
        for holder in ("stripe.RequestsClient", "stripe.http_client.RequestsClient"):
            draft = stripe_timed(module, holder)
            if not isinstance(draft, Unmended):
                yield draft
    for node in ast.walk(module.tree):
        call = client_of(module, node) if isinstance(node, ast.Call) else None
        if call is not None and not call.speaks and call.made is None and call.client.patient:
            draft = timed_at(module, call)
            if not isinstance(draft, Unmended):
                yield draft


def _patch(finding: Finding, host: str, draft: Draft) -> Patch | Unmended:
    note = _RETRIES if any("max_retries" in edit.text or "max_attempts" in edit.text for edit in draft.edits) else ""
    return patch(finding.id, f"Stop waiting for {host} in time", draft, note=note)
