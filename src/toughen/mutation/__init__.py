"""Owns guard mutation: the guards of a project's source, and the source in which each can be switched off."""

from toughen.mutation.guards import Guard, guards
from toughen.mutation.weave import Woven, woven

__all__ = ["Guard", "Woven", "guards", "woven"]
