"""Pools of next hops: whom a call goes to, and who is up (no sockets, no clock).

Theory of operation. Each member draws a number for a Call-ID, weighted (rendezvous hashing): all requests of a call,
and its retransmissions at any pod, see the same order, and when a member goes down only its own calls move. A member is
down after some failures in a row, be they unanswered OPTIONS or requests that did not arrive; while it is down it is
asked at growing intervals, and one answer brings it back.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wigwag.errors import NotFoundError
from wigwag.protocols.sip import SipError, SipUri

from .config import SipPoolMemberSettings, SipPoolSettings, hop_uri

NOT_ALIVE: Final = frozenset({408, 502, 503, 504})
"""Answers to OPTIONS by which somebody says that the server does not serve; any other shows that it lives."""


class MemberState(StrEnum):
    """As operators see and set it; the letter is OpenSIPS's."""

    ACTIVE = "active"
    PROBING = "probing"
    """Down: asked, but not used."""
    INACTIVE = "inactive"
    """Taken out by an operator, or not enabled."""


@dataclass(slots=True)
class Member:
    """One server."""

    settings: SipPoolMemberSettings
    uri: SipUri
    state: MemberState = MemberState.ACTIVE
    failures: int = 0
    """In a row."""
    next_ping: float = 0.0
    asked_at: float | None = None
    """When the OPTIONS was sent that has no answer yet."""
    interval: float = 0.0
    pings: int = 0
    chosen: int = 0
    """Requests for which it was the first to be tried."""

    @property
    def name(self) -> str:
        """URI as written."""
        return self.settings.uri


class Pool:
    """One pool.

    Args:
        settings: Its settings.
        members: All members, those of the database included.
    """

    def __init__(self, settings: SipPoolSettings, members: Iterable[SipPoolMemberSettings]) -> None:
        self.settings = settings
        self.name = settings.name
        self.allow_private = settings.allow_private
        self.members = [
            Member(
                each,
                hop_uri(each.uri),
                MemberState.ACTIVE if each.enabled else MemberState.INACTIVE,
                interval=settings.ping_interval,
            )
            for each in members
        ]

    def choose(self, call_id: str, now: float) -> tuple[SipUri, ...]:
        """Return the members that are up, in the order in which this call tries them.

        Raises:
            SipError: 503: none is.
        """
        up = [member for member in self.members if member.state is MemberState.ACTIVE]
        if not up:
            wait = str(max(1, math.ceil(self.settings.ping_interval)))
            raise SipError("Service Unavailable", status=503, headers=(("Retry-After", wait),))
        up.sort(key=lambda member: (member.settings.priority, -_draw(member, call_id)))
        up[0].chosen += 1
        return tuple(member.uri for member in up)

    # Health

    def due(self, now: float) -> list[Member]:
        """Return whom to send OPTIONS to now; whoever has not answered in time has failed."""
        if not self.settings.ping_interval:
            return []
        due = []
        for member in self.members:
            if member.asked_at is not None:
                if now - member.asked_at >= self.settings.ping_timeout:
                    member.asked_at = None
                    self._fail(member, now)
            elif member.state is not MemberState.INACTIVE and now >= member.next_ping:
                member.asked_at = now
                member.pings += 1
                due.append(member)
        return due

    def answered(self, member: Member, status: int, now: float) -> None:
        """Take the final response to an OPTIONS."""
        member.asked_at = None
        if status in NOT_ALIVE:
            self._fail(member, now)
            return
        member.failures = 0
        member.interval = self.settings.ping_interval
        member.next_ping = now + member.interval
        if member.state is MemberState.PROBING:
            member.state = MemberState.ACTIVE

    def unanswered(self, member: Member, now: float) -> None:
        """Hear that an OPTIONS did not arrive."""
        if member.asked_at is not None:
            member.asked_at = None
            self._fail(member, now)

    def failed(self, uri: SipUri, now: float) -> None:
        """Hear that a request did not get through to a member; without OPTIONS nothing would bring it back."""
        if self.settings.ping_interval:
            for member in self.members:
                if member.uri == uri and member.state is MemberState.ACTIVE:
                    self._fail(member, now)
                    member.next_ping = now

    def _fail(self, member: Member, now: float) -> None:
        member.failures += 1
        if member.failures >= self.settings.failures and member.state is MemberState.ACTIVE:
            member.state = MemberState.PROBING
        elif member.state is MemberState.PROBING:
            member.interval = min(member.interval * 2, max(self.settings.longest_interval, self.settings.ping_interval))
        member.next_ping = now + member.interval

    # Operators

    def set_state(self, uri: str, state: MemberState) -> None:
        """Take a member out, or back in; holds until it is changed again, reloads included.

        Raises:
            NotFoundError: There is no such member.
        """
        for member in self.members:
            if uri in (member.name, str(member.uri)):
                member.state = state
                member.failures = 0
                member.asked_at = None
                member.interval = self.settings.ping_interval
                member.next_ping = 0.0
                return
        raise NotFoundError(f"the pool {self.name} has no member {uri}")

    def take_over(self, before: "Pool") -> None:
        """Go on with what is known of the members of the pool's former shape."""
        known = {member.name: member for member in before.members}
        for member in self.members:
            old = known.get(member.name)
            if old is not None and old.settings.enabled == member.settings.enabled:
                member.state, member.failures = old.state, old.failures
                member.next_ping, member.interval, member.chosen = old.next_ping, old.interval, old.chosen


def pools_of(
    settings: Iterable[SipPoolSettings], stored: Iterable[tuple[str, SipPoolMemberSettings]], before: "dict[str, Pool]"
) -> "dict[str, Pool]":
    """Return all pools by name: members of the settings first, then those of the database.

    A pool that the settings do not name has their defaults.
    """
    shapes = {each.name: each for each in settings}
    members = {name: list(each.members) for name, each in shapes.items()}
    for name, member in stored:
        shapes.setdefault(name, SipPoolSettings(name=name))
        members.setdefault(name, []).append(member)
    pools = {name: Pool(shape, members[name]) for name, shape in shapes.items()}
    for name, pool in pools.items():
        if name in before:
            pool.take_over(before[name])
    return pools


def _draw(member: Member, call_id: str) -> float:
    """Return a number that is the higher the likelier the weight makes it; equal weights draw evenly."""
    weight = member.settings.weight
    if not weight:
        return -1.0
    digest = hashlib.blake2s(f"{member.name}\n{call_id}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    share = (int.from_bytes(digest, "big") + 1) / (2**64 + 2)
    return -weight / math.log(share)
