"""Shows SIP messages to traces: whose they are, and what is left of them without bodies and credentials."""

import re
from typing import TYPE_CHECKING, Final, Protocol

from wigwag.protocols.sip import Request, Response, SipError, SipUri, parse_datagram, parse_uri

if TYPE_CHECKING:
    from wigwag.transport.channel import Address

    from .flows.flow import DatagramFlow, StreamFlow

_SECRET: Final = re.compile(
    rb"(?im)^((?:Proxy-)?Authorization|(?:WWW|Proxy)-Authenticate|(?:Proxy-)?Authentication-Info)[ \t]*:"
    rb"[^\r\n]*(?:\r\n[ \t][^\r\n]*)*"
)
_REDACTED: Final = (
    (b"authorization", b'Digest username="redacted"'),
    (b"authenticate", b'Digest realm="redacted"'),
    (b"info", b'rspauth="redacted"'),
)


class Watcher(Protocol):
    """Who wants to see messages."""

    def wants(self, users: frozenset[str], call_id: str) -> bool:
        """Tell whether a message is of interest.

        Args:
            users: Users in From, To and the Request-URI, each as ``name`` and as ``name@host``.
            call_id: Its Call-ID.
        """

    def show(self, source: "Address", destination: "Address", data: bytes, call_id: str, *, datagram: bool) -> None:
        """Take a message, without body and credentials."""


class SipTap:
    """What stands in ``SipAddress.taps`` while something is traced."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def datagram(self, flow: "DatagramFlow", data: bytes, *, incoming: bool) -> None:
        """A datagram came or goes."""
        local = flow.address.bound_host, flow.address.bound_port
        source, destination = (flow.remote, local) if incoming else (local, flow.remote)
        self._show(data, source, destination, datagram=True)

    def stream(self, flow: "StreamFlow", data: bytes, *, incoming: bool) -> None:
        """A message came or goes over a connection."""
        if flow.channel is None:
            return
        local = flow.channel.local
        source, destination = (flow.remote, local) if incoming else (local, flow.remote)
        self._show(data, source, destination, datagram=False)

    def _show(self, data: bytes, source: "Address", destination: "Address", *, datagram: bool) -> None:
        try:
            message = parse_datagram(data)
            users, call_id = users_of(message), message.call_id
        except SipError:
            return  # Nobody knows whose it is.
        if self._watcher.wants(users, call_id):
            self._watcher.show(source, destination, redacted(data), call_id, datagram=datagram)


def users_of(message: Request | Response) -> frozenset[str]:
    """Return the users that a message is about, each as ``name`` and as ``name@host``.

    Raises:
        SipError: It can't be read.
    """
    uris = [message.from_.uri, message.to.uri]
    if isinstance(message, Request):
        uris.append(message.uri)
    found = set()
    for uri in map(parse_uri, uris):
        if isinstance(uri, SipUri) and uri.user:
            found |= {uri.user, f"{uri.user}@{uri.host}"}
    return frozenset(found)


def redacted(data: bytes) -> bytes:
    """Return a message with credentials and body blotted out, as long as before but for the credentials."""
    head, end, body = data.partition(b"\r\n\r\n")
    return _SECRET.sub(_blotted_out, head) + end + b"x" * len(body)


def _blotted_out(field: re.Match[bytes]) -> bytes:
    """Return a field that says nothing and is one still: decoders shall not stumble over it."""
    name = field[1].lower()
    for kind, value in _REDACTED:
        if name.endswith(kind):
            return field[1] + b": " + value
    return field[1] + b": redacted"
