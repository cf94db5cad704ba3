"""Traces: one user's, session's or call's traffic in a capture file, without bodies and credentials."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wigwag.errors import ConfigurationError, ConflictError, NotFoundError, RemoteProtocolError
from wigwag.protocols.msrp import BodyReceived, FrameEnded, FrameParser, HeadReceived, RequestHead, ResponseHead
from wigwag.runtime.hep import HepSender, Protocol
from wigwag.runtime.pcap import PcapWriter

from .hop import Hop
from .service import Relay
from .sip.flows.flow import SipAddress
from .sip.tap import SipTap
from .web import TraceView

_SECRET = re.compile(rb"(?im)^(Authorization|WWW-Authenticate|Authentication-Info|Proxy-Authorization):[^\r\n]*")
_UNSAFE = re.compile(r"[^A-Za-z0-9@._-]")


@dataclass(frozen=True, slots=True)
class Selector:
    """Whose traffic: exactly one is given."""

    user: str | None
    """``username@realm``, or the user name alone."""
    session: str | None
    call_id: str | None = None
    """Of SIP messages."""

    def __str__(self) -> str:
        return self.user or self.session or self.call_id or ""

    def matches(self, hop: Hop) -> bool:
        """Tell whether a session on the connection, or one that its requests go to, is selected."""
        sessions = {*hop.sessions, *(route.session for route in hop.routes_from.values())}
        if self.call_id is not None:
            return False
        if self.session is not None:
            return any(session.id == self.session for session in sessions)
        return any(self.user in (one.username, f"{one.username}@{one.realm}") for one in sessions)


class Redactor:
    """Repeats the frames of one direction of one connection with bodies and credentials blotted out."""

    def __init__(self) -> None:
        self._parser = FrameParser()
        self._lost = False
        self._head = b""
        self._identifier = b""
        self._has_body = False
        self._octets = 0

    def redact(self, data: bytes) -> bytes:
        """Return the frames that ``data`` completes; nothing more once the framing is lost."""
        whole = b""
        position = 0
        try:
            while position < len(data) and not self._lost:
                events, position = self._parser.feed(data, position)
                for event in events:
                    match event:
                        case HeadReceived(head=head):
                            self._begin(head)
                        case BodyReceived(data=body):
                            self._octets += len(body)
                        case FrameEnded(flag=flag):
                            whole += self._end(flag)
        except RemoteProtocolError:
            self._lost = True
        return whole

    def _begin(self, head: RequestHead | ResponseHead) -> None:
        self._identifier = head.transaction_id.encode()
        if isinstance(head, RequestHead):
            start = head.method
            self._has_body = head.has_body
        else:
            start = f"{head.status_code:03} {head.comment or ''}".rstrip()
            self._has_body = False
        fields = _SECRET.sub(rb"\1: redacted", head.raw_fields)
        self._octets = 0
        self._head = b"MSRP %b %b\r\nTo-Path: %b\r\nFrom-Path: %b\r\n%b" % (
            self._identifier, start.encode(), head.raw_to_path, head.raw_from_path, fields
        )  # fmt: skip

    def _end(self, flag: str) -> bytes:
        body = b"\r\n" + b"x" * self._octets + b"\r\n" if self._has_body else b""
        return self._head + body + b"-------" + self._identifier + flag.encode() + b"\r\n"


class Trace:
    """One running trace; a ``Tracer`` of the relay."""

    def __init__(
        self,
        selector: Selector,
        path: Path,
        wall: Callable[[], float],
        largest: int,
        hep: HepSender | None = None,
    ) -> None:
        self.tap = SipTap(self)
        self._hep = hep
        self._selector = selector
        self._path = path
        self._wall = wall
        self._largest = largest
        self._redactors: dict[tuple[int, bool], Redactor] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = PcapWriter(path.open("wb"))
        path.chmod(0o600)
        self.started = wall()
        self.active = True

    def received(self, hop: Hop, data: bytes) -> None:
        """Bytes came. A connection whose session is not known yet is followed silently, from a frame's beginning."""
        at_boundary = hop.parser is None and not hop.rest
        if (hop.channel.id, True) not in self._redactors and not at_boundary:
            return
        redacted = self._redactor(hop, incoming=True).redact(data)
        self._write(hop, hop.channel.remote, hop.channel.local, redacted)

    def sent(self, hop: Hop, frames: list[bytes]) -> None:
        """Frames go."""
        redacted = self._redactor(hop, incoming=False).redact(b"".join(frames))
        self._write(hop, hop.channel.local, hop.channel.remote, redacted)

    def _redactor(self, hop: Hop, *, incoming: bool) -> Redactor:
        key = (hop.channel.id, incoming)
        if key not in self._redactors:
            self._redactors[key] = Redactor()
        return self._redactors[key]

    def forget(self, hop: Hop) -> None:
        """The connection is gone."""
        self._redactors.pop((hop.channel.id, True), None)
        self._redactors.pop((hop.channel.id, False), None)

    def _write(self, hop: Hop, source: tuple[str, int], destination: tuple[str, int], data: bytes) -> None:
        if data and self.active and self._selector.matches(hop):
            self._writer.write(source, destination, data, self._wall())
            if self._writer.octets >= self._largest:
                self.close()

    # SIP (a Watcher of its taps)

    def wants(self, users: frozenset[str], call_id: str) -> bool:
        """Tell whether a SIP message is selected."""
        selector = self._selector
        return self.active and (
            selector.user in users or (selector.call_id is not None and selector.call_id == call_id)
        )

    def show(
        self, source: tuple[str, int], destination: tuple[str, int], data: bytes, call_id: str, *, datagram: bool
    ) -> None:
        """Write a SIP message."""
        wall = self._wall()
        if self._hep is not None:
            protocol: Protocol = "udp" if datagram else "tcp"
            self._hep.send(source, destination, data, wall, protocol=protocol, correlation_id=call_id)
        (self._writer.write_datagram if datagram else self._writer.write)(source, destination, data, wall)
        if self._writer.octets >= self._largest:
            self.close()

    def view(self) -> TraceView:
        """Return what an operator sees."""
        return TraceView(
            selector=str(self._selector),
            file=str(self._path),
            started=self.started,
            packets=self._writer.packets,
            bytes=self._writer.octets,
            active=self.active,
        )

    def close(self) -> None:
        """End the file."""
        if self.active:
            self.active = False
            self._writer.close()


class Traces:
    """The running traces.

    Args:
        relay: Whose traffic.
        directory: Where the files go.
        largest: Bytes at which a file ends.

    Attributes:
        hep: Is shown SIP messages too; None: nobody is.
        addresses: Where SIP is spoken.
    """

    def __init__(self, relay: Relay, directory: Path, largest: int) -> None:
        self.hep: HepSender | None = None
        self.addresses: Sequence[SipAddress] = ()
        self._relay = relay
        self._directory = directory
        self._largest = largest
        self._running: dict[Selector, Trace] = {}

    def views(self) -> list[TraceView]:
        """Return all that were started and not stopped."""
        return [trace.view() for trace in self._running.values()]

    def start(self, selector: Selector) -> TraceView:
        """Begin a trace.

        Raises:
            ConflictError: It runs already.
            NotFoundError: There is no such session.
            ConfigurationError: The file can't be written.
        """
        if selector in self._running:
            raise ConflictError(f"{selector} is traced already")
        if selector.session is not None:
            self._relay.session(selector.session)
        name = f"{_UNSAFE.sub('_', str(selector))}-{int(self._relay.runtime.wall())}.pcap"
        try:
            trace = Trace(selector, self._directory / name, self._relay.runtime.wall, self._largest, self.hep)
        except OSError as error:
            raise ConfigurationError(f"trace: {self._directory / name}: {error.strerror}") from error
        self._running[selector] = trace
        self._relay.tracers.append(trace)
        for address in self.addresses:
            address.taps.append(trace.tap)
        return trace.view()

    def stop(self, selector: Selector) -> TraceView:
        """End a trace.

        Raises:
            NotFoundError: It does not run.
        """
        trace = self._running.pop(selector, None)
        if trace is None:
            raise NotFoundError(f"{selector} is not traced")
        self._relay.tracers.remove(trace)
        for address in self.addresses:
            address.taps.remove(trace.tap)
        trace.close()
        return trace.view()

    def close(self) -> None:
        """End all."""
        for selector in list(self._running):
            self.stop(selector)
