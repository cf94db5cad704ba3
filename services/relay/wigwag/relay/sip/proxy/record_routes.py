"""Record-Route tokens: which binding an in-dialog request goes to, proven to be ours (RFC 3261 section 16.6.4, 5626 5).

A token names the binding, not the connection: after its user has registered again, over whatever connection, requests
of the dialog follow. Two Record-Routes are inserted, the one toward the caller names the caller, the one toward the
callee the callee (RFC 5658): the last of ours that a request carries says where it goes. A token holds for one
Call-ID only, so that nobody reaches anybody with a route that he saw elsewhere.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

import msgspec

from wigwag.protocols.digest import SigningKeys
from wigwag.store import Flow as StoredFlow

if TYPE_CHECKING:
    from wigwag.relay.sip.flows.flow import Flow

_PURPOSE: Final = b"sip-route"
_MAC_LENGTH: Final = 9
PATH: Final = "\0path"
"""In place of a Call-ID, which it can't be: a Path holds for every call (RFC 3327)."""


class Routed(msgspec.Struct, array_like=True, frozen=True):
    """Whom a route leads to."""

    aor: str = ""
    """AOR of the binding; empty: the next hop is found as for any request."""
    key: str = ""
    pod: str = ""
    """The flow by which he came, for one who has no binding."""
    listener: str = ""
    connection: int = 0
    transport: str = ""
    remote: str = ""
    near: str = ""
    """Network in which the next hop may be though it is closed to strangers: that of the first request's."""
    by: str = ""
    """AOR of ours whose requests may leave by a route that names nobody: its other end must not send on by it."""
    by_peer: str = ""
    """Where he was when the dialog began."""

    @property
    def flow(self) -> StoredFlow | None:
        """The flow, if one is named."""
        if not self.pod:
            return None
        return StoredFlow(
            pod=self.pod,
            listener=self.listener,
            connection=self.connection,
            transport=self.transport,
            remote=self.remote,
        )


@dataclass(frozen=True, slots=True)
class RouteTokens:
    """Makes and recognises tokens."""

    keys: SigningKeys

    def make(self, routed: Routed, call_id: str) -> str:
        """Return the user part of a Record-Route URI."""
        content = msgspec.msgpack.encode(routed)
        key_id, mac = self.keys.sign(_PURPOSE, content + call_id.encode("utf-8", "surrogateescape"))
        return key_id + urlsafe_b64encode(mac[:_MAC_LENGTH] + content).rstrip(b"=").decode("ascii")

    def read(self, token: str, call_id: str) -> Routed | None:
        """Return what a token of ours says; None: it is not ours, or of another call."""
        try:
            raw = urlsafe_b64decode(token[1:] + "=" * (-(len(token) - 1) % 4))
        except ValueError:
            return None
        mac, content = raw[:_MAC_LENGTH], raw[_MAC_LENGTH:]
        if not self.keys.verify(token[:1], _PURPOSE, content + call_id.encode("utf-8", "surrogateescape"), mac):
            return None
        try:
            return msgspec.msgpack.decode(content, type=Routed)
        except msgspec.MsgspecError:
            # What is signed says where it ends: some of the Call-ID was moved into the token, or the other way round.
            return None


def outward(near: str, by: str, flow: "Flow") -> Routed:
    """Return a route to whom RFC 3263 finds, for the user who is at the other end, reached by ``flow``."""
    return Routed(near=near, by=by, by_peer=peer(flow))


def peer(flow: "Flow") -> str:
    """Return a peer's address, as a route names it."""
    host, port = flow.remote
    return f"{host} {port}"


def near(flow: "Flow") -> str:
    """Return the network around a peer: where the rest of its dialogs may lead, be it private.

    Not more: who has a route of a dialog with a gateway inside shall not reach all that is inside.
    """
    host = flow.remote[0].partition("%")[0]
    return str(ip_network(f"{host}/{64 if ':' in host else 24}", strict=False))


def flow_route(flow: StoredFlow) -> Routed:
    """Return a route to a peer who is known by his flow only."""
    return Routed(
        pod=flow.pod,
        listener=flow.listener,
        connection=flow.connection,
        transport=flow.transport,
        remote=flow.remote,
    )
