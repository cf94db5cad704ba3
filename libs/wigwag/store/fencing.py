"""Errors of writers that are outdated: what has an owner is written by the newest one only."""

from wigwag.errors import WigwagError


class FencedError(WigwagError):
    """A newer owner is there: the caller's epoch or token is outdated and nothing was changed."""


class MissingError(FencedError):
    """There is nothing to write to: it has expired, or the store came back empty. Nothing was changed."""
