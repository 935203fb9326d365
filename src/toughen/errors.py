"""Owns the exceptions of toughen; each carries the object at fault and a hint for what to do next.

    ToughenError
    +-- ConfigurationError          bad arguments or configuration           exit code 2
    +-- SurveyError                 nothing to survey                        exit code 3
    +-- LabError
    |   +-- EnvironmentFailedError  the prototype's packages cannot be had   exit code 3
    |   +-- BootError               the prototype does not boot              exit code 3
    |   +-- AgentLostError          the process under attack went away       handled inside: Inconclusive
    +-- DirtyTreeError              `fix` would write over uncommitted work  exit code 2
    +-- ProofError                  a stored proof cannot be read            exit code 2
    +-- ReportError                 a stored report cannot be read           exit code 2
    +-- AttestationError            an attestation cannot be made or read    exit code 2
    +-- PatchError                  a patch from outside cannot be applied   exit code 2
"""

from __future__ import annotations


class ToughenError(Exception):
    """Base of all errors that toughen raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, subject: object = None, hint: str = "") -> None:
        """Take the sentence, the object at fault and what the reader can do about it."""
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.hint = hint


class ConfigurationError(ToughenError):
    """An argument or a setting makes no sense."""

    exit_code = 2


class SurveyError(ToughenError):
    """The folder holds nothing that can be surveyed."""

    exit_code = 3


class LabError(ToughenError):
    """The lab could not do its part."""

    exit_code = 3


class EnvironmentFailedError(LabError):
    """The prototype's environment could not be built."""


class BootError(LabError):
    """The prototype did not boot."""


class AgentLostError(LabError):
    """The process under attack died, hung or spoke nonsense."""


class DirtyTreeError(ToughenError):
    """The user's tree has uncommitted work."""

    exit_code = 2


class ProofError(ToughenError):
    """A stored proof cannot be read."""

    exit_code = 2


class ReportError(ToughenError):
    """A stored report is missing, or it is none."""

    exit_code = 2


class AttestationError(ToughenError):
    """An attestation cannot be made, read or believed."""

    exit_code = 2


class PatchError(ToughenError):
    """A patch from outside cannot be read, or does not apply."""

    exit_code = 2
