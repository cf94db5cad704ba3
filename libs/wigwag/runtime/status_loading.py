"""Status of what is loaded, and loaded again: tables, certificates, sources that are asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from .status import Identifier, ModuleStatus, Severity

RECOVERY = 5.0
"""Seconds that have to pass after a failure before a success counts: one that comes and goes makes no storm."""


class Loading:
    """One attempt; whoever loads says what came of it."""

    def __init__(self, identifier: Identifier) -> None:
        self._identifier = identifier
        self.result = "loaded"
        """What was loaded, such as ``3 routes loaded``."""

    def discarded(self, reason: str) -> None:
        """Report a row that can't be used."""
        self._identifier.report(reason, Severity.WARNING)


@contextmanager
def loading(identifier: Identifier, what: str) -> Iterator[Loading]:
    """Show and report a loading for the length of the block.

    What is in force stays so when it can't be loaded again: the status is what it was, and the details say why.

    Args:
        identifier: Whose status.
        what: What is loaded, such as ``routes``.
    """
    before = identifier.status
    again = before > 0
    identifier.report(f"loading {what}")
    identifier.set(ModuleStatus.RELOADING if again else ModuleStatus.NOT_READY, f"loading {what}")
    attempt = Loading(identifier)
    try:
        yield attempt
    except BaseException as error:
        reason = f"{what} could not be loaded: {str(error) or type(error).__name__}"
        identifier.report(reason, Severity.ERROR)
        identifier.set(
            ModuleStatus.READY if again else ModuleStatus.NOT_READY, f"{reason}; the old ones hold" if again else reason
        )
        raise
    identifier.report(attempt.result)
    identifier.set(ModuleStatus.READY, attempt.result)


class Answering:
    """Status of something that is asked: ready while it answers.

    Args:
        identifier: Whose status.
        ready: Details while it answers.
    """

    def __init__(self, identifier: Identifier, ready: str) -> None:
        self._identifier = identifier
        self._ready = ready
        self._failed_at = 0.0
        identifier.set(ModuleStatus.READY, ready)

    def failed(self, reason: str, now: float) -> None:
        """It did not answer, or not usably.

        Args:
            reason: In words; must hold no secrets.
            now: Wall clock.
        """
        self._failed_at = now
        if self._identifier.ready:
            self._identifier.become(ModuleStatus.NOT_READY, reason, Severity.ERROR)

    def answered(self, now: float) -> None:
        """It answered; costs one comparison as long as all is well."""
        if self._identifier.status < 0 and abs(now - self._failed_at) >= RECOVERY:
            self._identifier.report("answers again")
            self._identifier.set(ModuleStatus.READY, self._ready)
