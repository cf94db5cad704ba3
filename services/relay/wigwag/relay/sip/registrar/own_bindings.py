"""The bindings that this pod wrote last: when they expire, and which connections they use."""

import heapq
from collections.abc import Iterator, Mapping

from wigwag.relay.sip.flows.flow import StreamFlow
from wigwag.store import Binding

Name = tuple[str, str]
"""AOR and key."""


class OwnBindings:
    """What this pod has to look after, until it expires or another pod has written it.

    Args:
        pod: Id of this pod.
        streams: Its connections by number.
    """

    def __init__(self, pod: str, streams: Mapping[int, StreamFlow]) -> None:
        self._pod = pod
        self._streams = streams
        self._held: dict[Name, Binding] = {}
        self._keys: dict[str, set[str]] = {}
        self._due: list[tuple[float, str, str]] = []
        self._scheduled: dict[Name, float] = {}
        """When the entry of a binding in ``_due`` is looked at: each refresh adds none."""

    @property
    def pod(self) -> str:
        """Id of this pod."""
        return self._pod

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[tuple[str, Binding]]:
        """Yield all, with their AOR."""
        for (aor, _), binding in self._held.items():
            yield aor, binding

    def get(self, aor: str, key: str) -> Binding | None:
        """Return a binding; None: it is not one of this pod's."""
        return self._held.get((aor, key))

    def of(self, aor: str) -> list[Binding]:
        """Return a user's bindings that are this pod's."""
        return [self._held[aor, key] for key in self._keys.get(aor, ())]

    def take(self, aor: str, binding: Binding) -> None:
        """Look after what this pod has just written."""
        name = aor, binding.key
        before = self._held.get(name)
        if before is not None and before.flow != binding.flow:
            self._leave_flow(name, before)
        self._held[name] = binding
        self._keys.setdefault(aor, set()).add(binding.key)
        stream = self._stream(binding)
        if stream is not None:
            stream.bindings.add(name)
        if self._scheduled.get(name, binding.expires_at + 1) > binding.expires_at:
            self._schedule(name, binding.expires_at)

    def release(self, aor: str, key: str) -> Binding | None:
        """It is this pod's no more; returns what it was."""
        name = aor, key
        binding = self._held.pop(name, None)
        if binding is None:
            return None
        keys = self._keys[aor]
        keys.discard(key)
        if not keys:
            del self._keys[aor]
        self._leave_flow(name, binding)
        return binding

    def expired(self, wall: float, most: int) -> list[tuple[str, Binding]]:
        """Return at most so many bindings whose time is over; each is returned until it is taken anew or released."""
        found: list[tuple[str, Binding]] = []
        while self._due and self._due[0][0] <= wall and len(found) < most:
            at, aor, key = heapq.heappop(self._due)
            name = aor, key
            if self._scheduled.get(name) == at:
                del self._scheduled[name]
            binding = self._held.get(name)
            if binding is None or name in self._scheduled:
                continue
            if binding.expires_at > wall:
                self._schedule(name, binding.expires_at)
            else:
                found.append((aor, binding))
        for aor, binding in found:
            self._schedule((aor, binding.key), wall + 1)
        return found

    def _schedule(self, name: Name, at: float) -> None:
        self._scheduled[name] = at
        heapq.heappush(self._due, (at, *name))

    def _leave_flow(self, name: Name, binding: Binding) -> None:
        stream = self._stream(binding)
        if stream is not None:
            stream.bindings.discard(name)

    def _stream(self, binding: Binding) -> StreamFlow | None:
        flow = binding.flow
        if flow is None or flow.pod != self._pod or not flow.connection:
            return None
        return self._streams.get(flow.connection)
