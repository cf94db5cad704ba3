"""The peers bound to connections of this pod, in the store: written again while their sessions live, and removed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wigwag.relay.sessions import canonical
from wigwag.runtime.members import Members
from wigwag.store import PeerBinding, Store, StoreError

if TYPE_CHECKING:
    from wigwag.relay.hop import Hop
    from wigwag.relay.service import Relay

ROUND = 30
"""Beats in which every binding is written once more: it lives as long as its session, which others extend."""

Bound = tuple["Hop", tuple[str, tuple[object, ...]]]


class Bindings:
    """Those of this pod's connections.

    Args:
        relay: The relay of this pod.
        store: The store.
        members: The pods.
    """

    def __init__(self, relay: "Relay", store: Store, members: Members) -> None:
        self._relay = relay
        self._store = store
        self._members = members
        self._round: list[Bound] = []
        self._share = 1

    def unbind(self, hop: "Hop") -> None:
        """Forget the peers that were bound to a connection that is gone."""
        if hop.bound:
            self._relay.runtime.spawn(self._unbind(hop))

    async def _unbind(self, hop: "Hop") -> None:
        bound, hop.bound = hop.bound, {}
        try:
            for (session_id, _), (_, uri) in bound.items():
                await self._store.unbind_peer(session_id, canonical(uri), self._binding(hop))
        except StoreError as error:
            # Whoever needs the peer finds the connection gone and forgets the binding himself.
            self._relay.log_event("bindings of peers can't be removed", reason=str(error))

    async def write_some(self) -> None:
        """Write the next part of the round, and forget those whose sessions have ended.

        Raises:
            StoreError: The store is away.
        """
        if not self._round:
            self._round = self._all()
            self._share = max(1, len(self._round) // ROUND)
        part, self._round = self._round[: self._share], self._round[self._share :]
        await self._write(part, forget=True)

    async def write_again(self) -> None:
        """Write all: the store may have lost them, and the records of their sessions too.

        Raises:
            StoreError: The store is away.
        """
        await self._write(self._all(), forget=False)

    def _all(self) -> list[Bound]:
        return [(hop, key) for hop in self._relay.hops.values() for key in hop.bound]

    async def _write(self, part: Sequence[Bound], *, forget: bool) -> None:
        shift = self._members.wall() - self._relay.now()
        records = await self._store.find_sessions(list({session_id for _, (session_id, _) in part})) if part else {}
        for hop, key in part:
            if key not in hop.bound:
                continue
            session, uri = hop.bound[key]
            record = records.get(key[0])
            if record is not None or session.open:
                expires_at = record.expires_at if record is not None else session.expires_at + shift
                await self._store.bind_peer(key[0], canonical(uri), self._binding(hop), expires_at=expires_at)
            elif forget:
                del hop.bound[key]

    def _binding(self, hop: "Hop") -> PeerBinding:
        return PeerBinding(self._members.pod.id, hop.channel.id)
