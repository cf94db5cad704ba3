"""Where to try again after a 3xx (RFC 3261 section 8.1.3.4)."""

import heapq
import itertools
from typing import Final

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Response
from wigwag.protocols.sip.uri import SipUri, Uri, parse_uri
from wigwag.protocols.sip.uri_comparison import comparison_key, equivalent
from wigwag.protocols.sip.values import NameAddress

MOST: Final = 10
"""Addresses tried for one request."""


class Redirections:
    """The addresses of one request: each is tried once, better ones first, and not more than so many.

    Args:
        first: Request-URI of the first attempt.
        most: Attempts that there may be, the first among them.

    Raises:
        SipError: ``first`` is no URI that requests can be sent to.
    """

    def __init__(self, first: str, most: int = MOST) -> None:
        self._known: dict[object, list[Uri]] = {}
        self._waiting: list[tuple[float, int, str]] = []
        self._number = itertools.count()
        self._left = most - 1
        self._is_new(parse_uri(first))

    def take(self, response: Response) -> None:
        """Take the Contacts of a 3xx; what is malformed, known or of another scheme is left out."""
        try:
            contacts = response.addresses("contact")
        except SipError:
            return
        for contact in contacts[: 4 * MOST]:
            self._take(contact)

    def next(self) -> str | None:
        """Return the Request-URI to try next; None: there is none, or there were enough."""
        if not self._waiting or self._left <= 0:
            return None
        self._left -= 1
        return heapq.heappop(self._waiting)[2]

    def _take(self, contact: NameAddress) -> None:
        try:
            uri = parse_uri(contact.uri)
        except SipError:
            return
        if isinstance(uri, SipUri) and uri.headers:
            uri = SipUri(uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.parameters)
        if self._is_new(uri):
            heapq.heappush(self._waiting, (-_q(contact), next(self._number), str(uri)))

    def _is_new(self, uri: Uri) -> bool:
        alike = self._known.setdefault(comparison_key(uri), [])
        if any(equivalent(uri, known) for known in alike):
            return False
        alike.append(uri)
        return True


def _q(contact: NameAddress) -> float:
    """Return a Contact's preference, 0 to 1 (section 20.10); without one, or with nonsense, 1."""
    try:
        return min(1.0, max(0.0, float(contact.parameters.get("q") or 1.0)))
    except ValueError:
        return 1.0
