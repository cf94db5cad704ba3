"""SIP bindings and nonces in the store (RFC 3261 section 10, RFC 5626): the part of the port that the registrar uses.

Theory of operation. The bindings of one address-of-record (AOR) are one value with a *version*: max(previous + 1, wall
clock in milliseconds), higher with each change. A binding that has expired counts as gone at that moment, by the
store's clock; nobody is told then. The pod that wrote it knows when that is (``register`` returned it), and whether it
is so shows in ``find_registrations``: another pod may have refreshed it meanwhile.

What was removed is remembered for some time, so that a pod that writes its bindings again (``put_registrations``) does
not bring back what its client has taken away at another pod.

``RegistrationChanged`` is told when requests go another way than before. It is not told of a mere refresh, so what is
cached may look expired while it is not: it has to be looked at again then.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from wigwag.errors import WigwagError


class OutdatedError(WigwagError):
    """A request with the same Call-ID and no lower CSeq came before (RFC 3261 section 10.3 step 7): nothing changed."""


class TooManyBindingsError(WigwagError):
    """The address-of-record would have more bindings than it may have: nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """How a registered contact is reached (RFC 5626)."""

    pod: str
    """The pod that holds the connection, or received the datagram."""
    listener: str
    """Its listener's name."""
    connection: int
    """Number of the connection at that pod; 0 for UDP."""
    transport: str
    """``udp``, ``tcp``, ``tls``, ``ws`` or ``wss``."""
    remote: str
    """``host:port`` or ``[v6]:port`` that the request came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A contact of an address-of-record."""

    contact: str
    """Contact URI as registered."""
    key: str
    """What makes it the same binding, as the registrar computes it: ``<instance>;<reg-id>``, or the canonical URI."""
    call_id: str
    cseq: int
    expires_at: float
    """By the store's clock."""
    q: int
    """Thousandths, 0 to 1000."""
    params: str
    """The Contact header's parameters as registered."""
    instance: str
    """``+sip.instance``; empty: none."""
    reg_id: int
    """RFC 5626; 0: none."""
    path: tuple[str, ...]
    """Path header values (RFC 3327), topmost first."""
    flow: Flow | None
    """None: it is reached by its contact URI."""
    user_agent: str
    updated_at: float = 0.0
    """When it was written, in whole milliseconds of the store's clock; set by ``register``, grows with each change."""
    push: str = ""
    """What a wake-up needs (RFC 8599); opaque to the store."""
    writer: str = field(default="", compare=False)
    """The pod that wrote it and looks after it, which is not always that of its flow; empty: nobody knows. Bindings
    that differ in it alone lead the same way and are equal."""


@dataclass(frozen=True, slots=True)
class Registration:
    """The bindings of an address-of-record that are in force, the oldest first."""

    aor: str
    bindings: tuple[Binding, ...]
    version: int
    """0: nothing is known of it."""


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """Requests to this address-of-record go another way from this version on."""

    aor: str
    version: int


class Registrations(Protocol):
    """Every operation may raise ``StoreError``: the store can't be reached, or not in time."""

    async def register(
        self,
        aor: str,
        *,
        call_id: str,
        cseq: int,
        bindings: Sequence[Binding] = (),
        removed: Sequence[str] = (),
        remove_all: bool = False,
        most: int,
    ) -> Registration:
        """Carry out a REGISTER, all of it or nothing (RFC 3261 section 10.3 steps 6 to 8).

        A binding with a key that is known replaces that one, also with another Call-ID. The same request once more,
        from a client whose 200 was lost, changes nothing but the flow if it came another way.

        Args:
            aor: The address-of-record, canonical.
            call_id: Of the request; also that of its bindings, whatever they say.
            cseq: Likewise.
            bindings: To add or to refresh. One that has expired already is removed.
            removed: Keys of those to be removed; not there is fine.
            remove_all: Remove all that are not in ``bindings``.
            most: Bindings that the AOR may have. Fewer than there are is no reason to refuse a refresh.

        Returns:
            All bindings in force, with what the store set.

        Raises:
            OutdatedError: A binding concerned has the same Call-ID and no lower CSeq.
            TooManyBindingsError: There would be more than ``most``, and more than before.
        """

    async def find_registrations(self, aors: Sequence[str]) -> Mapping[str, Registration]:
        """Return those that have bindings in force, in one round trip per server."""

    async def drop_flow(self, aor: str, key: str, flow: Flow, *, remove: bool) -> bool:
        """The flow is lost: forget it, or the whole binding, if it is still the binding's.

        Args:
            aor: The address-of-record.
            key: The binding's key.
            flow: What is lost.
            remove: Remove the binding, as RFC 5626 wants it for one with an instance and a reg-id; else it is reached
                by its contact URI from now on.

        Returns:
            Whether it was still this flow.
        """

    async def remove_bindings(self, aor: str, keys: Sequence[str] | None = None) -> Registration | None:
        """Remove bindings whatever their Call-ID and CSeq; None: all.

        Returns:
            What is left; None when there was nothing in force.
        """

    async def put_registrations(self, bindings: Iterable[tuple[str, Binding]]) -> Sequence[tuple[str, Binding]]:
        """Write the caller's bindings again, as they are, by AOR, where nothing newer is known.

        Newer is what has the same Call-ID and a higher CSeq, or else was written later, or else expires later; so is a
        later removal. What has expired is passed over. Others are told when it leads elsewhere than what is there. Not
        one step: a failure leaves some written, and all may be written again.

        Returns:
            Those of the caller's that are outdated: they are his no more.
        """

    def registrations(self, *, prefix: str = "") -> AsyncIterator[Registration]:
        """Yield all that have bindings in force and an AOR that begins so, in no order, each once.

        It is read page by page: what changes meanwhile is seen or not.
        """

    async def use_nonce(self, nonce: str, nc: int, *, expires_at: float, user: str = "") -> bool:
        """Take note of a count of a nonce (RFC 7616 section 3.4, ``nc``) in a window of 32, for all pods.

        Args:
            nonce: The nonce, known to be one of ours.
            nc: The count that came with it.
            expires_at: When the nonce may be forgotten because nobody takes it any more, by the store's clock.
            user: What uses it, in letters and digits: it may do so again while the count is in the window, as the
                retransmission of a request does; empty: nothing may.

        Returns:
            False for a replay, one too old to tell, a count out of range, and a nonce that may be forgotten already.
        """
