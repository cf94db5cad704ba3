"""Which sessions are shown: filters, and pages in the order of the ids."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter
from typing import Generic, NamedTuple, Protocol, TypeVar

from wigwag.errors import InvalidRequestError

from .views import SessionView

LARGEST_PAGE = 1_000
DEFAULT_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """What a session has to be like; what is empty does not matter."""

    user: str = ""
    """``name`` or ``name@realm``."""
    realm: str = ""
    state: str = ""

    def matches(self, user: str, realm: str, state: str) -> bool:
        """Tell whether a session like this is shown."""
        return (
            (not self.state or self.state == state)
            and (not self.realm or self.realm == realm)
            and (not self.user or self.user in (user, f"{user}@{realm}"))
        )

    def page_token(self, after: str) -> str:
        """Return the token of the page that begins after the session ``after``."""
        return f"{self._digest()}.{after}"

    def after(self, page_token: str) -> str:
        """Return the session after which the token's page begins; empty for the first page.

        Raises:
            InvalidRequestError: The token is none of ours, or of other filters.
        """
        digest, _, after = page_token.partition(".")
        if page_token and (digest != self._digest() or not after):
            raise InvalidRequestError("page_token is not from a page with these filters")
        return after

    def _digest(self) -> str:
        return sha256("\0".join((self.user, self.realm, self.state)).encode()).hexdigest()[:8]


class Identified(Protocol):
    """Whatever a session is to the one who finds it."""

    @property
    def id(self) -> str:
        """Its name for people."""


Some = TypeVar("Some", bound=Identified)


class Found(NamedTuple, Generic[Some]):
    """Sessions that match a filter, not yet looked at: to make a view costs ten times what it costs to find it."""

    sessions: Sequence[Some]
    view: Callable[[Some], SessionView]
    """Shows one as it is at that moment."""


def page_of(found: Found[Some], *, after: str, size: int) -> tuple[list[SessionView], bool]:
    """Return at most ``size`` sessions with ids above ``after``, and whether there are more."""
    following = (session for session in found.sessions if session.id > after)
    page = heapq.nsmallest(size + 1, following, key=attrgetter("id"))
    return [found.view(session) for session in page[:size]], len(page) > size
