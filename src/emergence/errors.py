"""Errors a person can act on: one sentence that says what is wrong, one that says what to do.

Every expected failure of the project is one of these. The command line prints it as a single line
and ends with its exit status; anything else is a bug and keeps its traceback.
"""

from typing import Self


class EmergenceError(Exception):
    """An expected failure, told as a sentence with its remedy.

    Args:
        message: what is wrong, as a sentence.
        remedy: what the reader can do about it, as a sentence.
    """

    exit_status = 1

    def __init__(self, message: str, remedy: str) -> None:
        self.message = " ".join(message.split())
        self.remedy = " ".join(remedy.split())
        super().__init__(f"{self.message} {self.remedy}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Pickled, as on its way out of another process, it stays both sentences."""
        return type(self), (self.message, self.remedy)


class SettingsError(EmergenceError):
    """A settings file has an unknown key, a wrong type or a value out of bounds."""

    exit_status = 2


class ArtifactError(EmergenceError):
    """A result is missing, truncated or corrupt, or cannot be written."""

    exit_status = 3


class DivergenceError(EmergenceError):
    """A training diverged again after every restart that the guard allows."""

    exit_status = 4


class HostError(EmergenceError):
    """This machine lacks something that the stage needs."""

    exit_status = 5


class LedgerError(EmergenceError):
    """The claims ledger is malformed or names a measurement that does not exist."""

    exit_status = 6


class VerdictMismatch(EmergenceError):
    """A verdict differs from the ledger's expectation, or a negative control stayed green."""

    exit_status = 7


class Interrupted(EmergenceError):
    """Somebody pressed Ctrl-C."""

    exit_status = 130
