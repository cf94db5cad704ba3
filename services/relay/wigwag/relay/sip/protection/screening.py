"""Block lists: from whom users want nothing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from typing import Final

from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.protocols.sip.uri import Uri
from wigwag.relay.sip.incoming import Incoming

REFUSED: Final = "Forbidden"
"""Tells the sender no more than that: not that he is blocked."""


@dataclass(frozen=True, slots=True)
class Block:
    """One entry of a user's block list."""

    aor: str
    """Whose list it is on."""
    pattern: str
    """Sender, ``user@domain`` or a number, with ``*`` for any characters; in the domain in lower case."""


class _BlockList:
    """The entries of one user."""

    __slots__ = ("_exact", "_pattern")

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = list(patterns)
        self._exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
        globs = [translate(re.sub(r"([\[?])", r"[\1]", pattern)) for pattern in patterns if "*" in pattern]
        self._pattern = re.compile("|".join(globs)) if globs else None

    def has(self, sender: str) -> bool:
        return sender in self._exact or (self._pattern is not None and self._pattern.match(sender) is not None)


class BlockLists:
    """All users' block lists (``Screening``), in memory: a request asks nobody for them."""

    def __init__(self) -> None:
        self._lists: dict[str, _BlockList] = {}
        self.entries = 0

    def replace(self, blocks: Iterable[Block]) -> None:
        """Take these in place of what was there."""
        patterns: dict[str, list[str]] = {}
        for block in blocks:
            patterns.setdefault(block.aor, []).append(block.pattern)
        self._lists = {aor: _BlockList(entries) for aor, entries in patterns.items()}
        self.entries = sum(map(len, patterns.values()))

    def concerns(self, aor: str) -> bool:
        """Tell whether the user at ``aor`` has a block list."""
        return aor in self._lists

    def check(self, incoming: Incoming, aor: str) -> None:
        """Look whether the sender is blocked.

        Raises:
            SipError: 403: the user at ``aor`` wants nothing from this sender.
        """
        found = self._lists.get(aor)
        if found is not None and any(found.has(sender) for sender in _senders(incoming)):
            raise SipError(REFUSED, status=403)


def _senders(incoming: Incoming) -> Iterable[str]:
    """Yield who the sender is: what he proved, or what a neighbour asserts and what he writes himself."""
    identity = incoming.identity
    if identity.aor:
        yield identity.aor.removeprefix("sip:")
        return
    request = incoming.request
    for address in [*request.addresses("p-asserted-identity"), request.from_]:
        try:
            yield _name(parse_uri(address.uri))
        except SipError:
            continue


def _name(uri: Uri) -> str:
    return uri.aor.removeprefix("sip:") if isinstance(uri, SipUri) else uri.aor
