"""One pod link, the holder's end: frames for this pod's clients and peers come in."""

from typing import TYPE_CHECKING, Protocol

from wigwag.errors import ProtocolError, RemoteProtocolError
from wigwag.protocols.digest import SigningKeys

from . import frames
from .arrivals import Arrivals
from .frames import Ask, Beat, Data, Ending, Frame, FrameReader, Hello, Open, Proof, Sip, Stop, Superseded
from .greeting import check_sender, prove_holder
from .link import DEAD_AFTER

if TYPE_CHECKING:
    from wigwag.relay.service import Relay
    from wigwag.transport.channel import Channel


class Harbour(Protocol):
    """Where streams are led to their receivers."""

    pod: str
    keys: SigningKeys

    def opened(self, link: "HolderLink", frame: Open) -> Arrivals | tuple[Ending, int, str]:
        """Return the stream's receiver, or why there is none: ending, epoch, pod."""

    def superseded(self, frame: Superseded) -> None:
        """A client has AUTHed elsewhere."""

    def asked(self, question: bytes) -> bytes:
        """Answer an operator's question."""

    def sip_received(self, pod: str, content: bytes) -> None:
        """Another pod has something of SIP for this one."""

    def holder_connected(self, link: "HolderLink") -> None:
        """A connection came in."""

    def holder_proven(self, link: "HolderLink") -> None:
        """It is another pod's."""

    def holder_lost(self, link: "HolderLink") -> None:
        """It is over."""

    def stream_closed(self, arrivals: Arrivals) -> None:
        """A stream is over, while its link stands."""


class HolderLink:
    """The link over which another pod sends to this one; the ``Receiver`` of its channel.

    Args:
        relay: The relay of this pod.
        harbour: Leads streams to their receivers.
    """

    def __init__(self, relay: "Relay", harbour: Harbour) -> None:
        self.pod = ""
        """Who has opened it, once that is proven."""
        self._relay = relay
        self._harbour = harbour
        self._nonce = relay.runtime.random(frames.NONCE)
        self._hello: Hello | None = None
        self._proven = self._lost = False
        self._reader = FrameReader()
        self._streams: dict[int, Arrivals] = {}
        self._touched: set[Arrivals] = set()
        self._pending: list[bytes] = []
        self._channel: Channel | None = None
        self._heard_at = self._opened_at = relay.now()

    @property
    def streams(self) -> list[Arrivals]:
        """The streams that are open."""
        return list(self._streams.values())

    def send(self, *parts: bytes) -> None:
        """Have link frames written at the end of this turn."""
        if self._lost:
            return
        if not self._pending and not self._touched:
            self._relay.to_flush.insert(0, self)
        self._pending.extend(parts)

    def touch(self, arrivals: Arrivals) -> None:
        """Have the stream's progress told at the end of this turn."""
        if self._lost:
            return
        if not self._pending and not self._touched:
            self._relay.to_flush.insert(0, self)
        self._touched.add(arrivals)

    def forget(self, arrivals: Arrivals) -> None:
        """The stream is over."""
        self._streams.pop(arrivals.opened.stream, None)
        self._touched.discard(arrivals)
        self._harbour.stream_closed(arrivals)

    def flush(self) -> None:
        """Write what is to be written."""
        touched, self._touched = self._touched, set()
        pending, self._pending = self._pending, []
        for arrivals in touched:
            pending += arrivals.tell()
        if self._channel is not None and pending and not self._lost:
            self._channel.send(pending)

    def tick(self, now: float) -> None:
        """Give the other pod up when it is silent (it beats every second), or does not prove that it is one."""
        if not self._lost and now - (self._heard_at if self._proven else self._opened_at) >= DEAD_AFTER:
            self.close("the other pod is silent")

    def close(self, reason: str) -> None:
        """End the link at once."""
        if self._channel is not None:
            self._channel.abort(reason)
        self.disconnected(reason)

    # Receiver

    def connected(self, channel: "Channel") -> None:
        """A pod, or somebody who says so, has connected."""
        self._channel = channel
        self._harbour.holder_connected(self)

    def data_received(self, data: bytes) -> None:
        """Take a read."""
        now = self._relay.now()
        if now - self._heard_at >= DEAD_AFTER:
            # This pod was paused. The sender has given us up and reported what it had sent: it must not arrive late.
            self.close("this pod was silent")
            return
        self._heard_at = now
        try:
            for frame in self._reader.feed(data):
                self._handle(frame, now)
        except ProtocolError as error:
            self._relay.log_event("pod link broken", pod=self.pod, reason=str(error))
            self.close(str(error))
        self._relay.flush()

    def pause_sending(self) -> None:
        """The sender does not read what we tell it: take nothing more from it."""
        if self._channel is not None:
            self._channel.pause_reading()

    def resume_sending(self) -> None:
        """It reads again."""
        if self._channel is not None:
            self._channel.resume_reading()

    def disconnected(self, reason: str) -> None:
        """The link is over."""
        if self._lost:
            return
        self._lost = True
        for arrivals in self._streams.values():
            arrivals.abandon()
        self._streams.clear()
        self._harbour.holder_lost(self)

    # Frames

    def _handle(self, frame: Frame, now: float) -> None:
        if not self._proven:
            self._greet(frame)
            return
        match frame:
            case Data():
                arrivals = self._streams.get(frame.stream)
                if arrivals is not None:  # Else it was closed while this was under way; the sender has kept it.
                    arrivals.arrived(frame, now)
            case Open():
                self._open(frame)
            case Stop(stream=stream):
                if stream in self._streams:
                    self._streams[stream].close(Ending.STOPPED)
            case Ask(number=number, question=question):
                self.send(frames.told(number, self._harbour.asked(question)))
            case Superseded():
                self._harbour.superseded(frame)
            case Sip(content=content):
                self._harbour.sip_received(self.pod, content)
            case Beat():
                self.send(frames.PONG)
            case _:
                raise RemoteProtocolError(f"{type(frame).__name__} out of place")

    def _greet(self, frame: Frame) -> None:
        assert self._channel is not None
        keys, own = self._harbour.keys, self._harbour.pod
        match frame:
            case Hello() if self._hello is None:
                self._hello = frame
                key_id, mac = prove_holder(keys, frame, self._nonce, own)
                self._channel.send([frames.challenge(self._nonce, key_id, mac, own)])
            case Proof() if self._hello is not None:
                check_sender(keys, frame, self._hello, self._nonce, own)
                self.pod = self._hello.pod
                self._proven = True
                self._reader.largest = frames.LARGEST_FRAME
                self._harbour.holder_proven(self)
            case _:
                raise RemoteProtocolError(f"{type(frame).__name__} before the proof")

    def _open(self, frame: Open) -> None:
        if frame.stream in self._streams:
            raise RemoteProtocolError("a stream is opened twice")
        found = self._harbour.opened(self, frame)
        if isinstance(found, Arrivals):
            self._streams[frame.stream] = found
            self.send(frames.taken(frame.stream, 0))
        else:
            ending, epoch, pod = found
            self.send(frames.closed(frame.stream, ending, 0, epoch, pod))
