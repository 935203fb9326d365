"""Owns the gate of secrets: none stands in the source, in a tracked file, or in the history."""

from __future__ import annotations

from toughen.gatekeeping import Faults, Gate, Looked, Site
from toughen.model.gate import Fault


class Secrets(Gate):
    """No key, password or token stands in the source, in an `.env` that git tracks, or in a commit of the past."""

    id = "secrets"
    title = "No secret is published"
    order = 30

    def look(self, site: Site) -> Looked:
        """What the survey saw; values are never told whole."""
        blueprint = site.blueprint
        # What is taken out of the source is still in the history: that is no new fault.
        faults = [Fault(f"{each.location.file}: {each.shown}", f"{each.name} stands in the source ({each.shown}): it is used up, make a new one and read it from the environment", each.location) for each in blueprint.secrets]
        faults += [Fault(f"{each.location.file}: {each.shown}", f"the history holds {each.name} ({each.shown}): it is used up, make a new one", each.location) for each in blueprint.history]
        return Faults(faults, {"in the source": str(len(blueprint.secrets)), "in the history": str(len(blueprint.history))}, "the source, tracked .env files and the last commits")
