"""Owns tasks that the prototype hands to workers of its own (Celery): nobody works in the lab, and no broker is there to wait for."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hooks import Finder


def register(finder: Finder) -> None:
    """Name the modules that are hooked when the prototype imports them."""
    finder.when("celery.app.task", take)


def take(module: Any) -> None:
    """A task that is handed over counts as handed over; one that is done at once by the project's own settings is done."""
    original = module.Task.apply_async

    def apply_async(self: Any, *args: Any, **keywords: Any) -> Any:
        if self.app.conf.task_always_eager:
            return original(self, *args, **keywords)
        return self.AsyncResult(str(keywords.get("task_id") or uuid.uuid4()))

    module.Task.apply_async = apply_async
