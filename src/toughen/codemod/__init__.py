"""Owns the words in which mends are written: byte-span edits over `ast` offsets that change nothing else.

A word takes a Module and a place in it (a line from a trace, or a function's qualified name) and gives a Draft, or
Unmended with a reason that starts a brief. Drafts of one text are joined by `+`; words that need each other's
result are applied in turn, each on `Module(file, draft.done())`. `patch` makes a Patch of drafts of several files.
"""

from toughen.codemod.allow import allow, closed, discard, withhold
from toughen.codemod.answers import answer, cast, keeps_http_errors, overflow, reraise
from toughen.codemod.attempts import exhausted
from toughen.codemod.batches import claim_entrusted, must_hit
from toughen.codemod.bodies import Field, body_model, check, quiet
from toughen.codemod.bounds import (
    LARGEST_INTEGER,
    SIXTY_FOUR,
    Bounds,
    bound,
    bound_parameter,
    converter,
    finite,
    limit,
    present,
)
from toughen.codemod.constraints import taken_saved, unique_model
from toughen.codemod.draft import Draft, Edit, patch, twice, verify, word
from toughen.codemod.guards import guard
from toughen.codemod.handed import check_handed
from toughen.codemod.keys import taken, unique
from toughen.codemod.mechanics import after, argument, before, decorate, extend, parameter, remove, replace, use, wrap
from toughen.codemod.module import Module, Span, UnmendableError, halt
from toughen.codemod.ordering import defer
from toughen.codemod.orm import owned, scope_orm
from toughen.codemod.orm import scope_query as scope
from toughen.codemod.owners import claimed, own_rows
from toughen.codemod.pieces import bind_pieces
from toughen.codemod.races import claim, hold, lock, step
from toughen.codemod.refusals import Refusal, refuse
from toughen.codemod.saved import claim_saved, lock_saved, step_saved, whole
from toughen.codemod.sql import bind, scope_sql
from toughen.codemod.statements import dynamic
from toughen.codemod.states import settle
from toughen.codemod.transactions import claim_sql, lock_sql, once, serial

__all__ = [
    "LARGEST_INTEGER",
    "SIXTY_FOUR",
    "Bounds",
    "Draft",
    "Edit",
    "Field",
    "Module",
    "Refusal",
    "Span",
    "UnmendableError",
    "after",
    "allow",
    "answer",
    "argument",
    "before",
    "bind",
    "bind_pieces",
    "body_model",
    "bound",
    "bound_parameter",
    "cast",
    "check",
    "check_handed",
    "claim",
    "claim_entrusted",
    "claim_saved",
    "claim_sql",
    "claimed",
    "closed",
    "converter",
    "decorate",
    "defer",
    "discard",
    "dynamic",
    "exhausted",
    "extend",
    "finite",
    "guard",
    "halt",
    "hold",
    "keeps_http_errors",
    "limit",
    "lock",
    "lock_saved",
    "lock_sql",
    "must_hit",
    "once",
    "overflow",
    "own_rows",
    "owned",
    "parameter",
    "patch",
    "present",
    "quiet",
    "refuse",
    "remove",
    "replace",
    "reraise",
    "scope",
    "scope_orm",
    "scope_sql",
    "serial",
    "settle",
    "step",
    "step_saved",
    "taken",
    "taken_saved",
    "twice",
    "unique",
    "unique_model",
    "use",
    "verify",
    "whole",
    "withhold",
    "word",
    "wrap",
]
