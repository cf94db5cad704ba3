"""One pod link, the sender's end: streams out, outcomes back."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from wigwag.errors import ProtocolError, RemoteProtocolError
from wigwag.protocols.digest import SigningKeys
from wigwag.relay.destination import Holding

from . import frames
from .frames import Answered, Beat, Challenge, Closed, Failed, Frame, FrameReader, Response, Sip, Taken, Told
from .greeting import check_holder
from .remote import Remote, Target

if TYPE_CHECKING:
    from wigwag.relay.service import Relay
    from wigwag.transport.channel import Channel

BEAT = 1.0
"""Seconds between two PINGs."""
DEAD_AFTER = 3.0
"""Seconds of silence after which the other pod counts as dead."""

MOST_PENDING = 4096
"""Frames of SIP that may wait for the link to stand."""

Ended = Callable[[Remote, Holding, Closed | None], None]


class LinkObserver(Protocol):
    """Who is told of a link's life."""

    def link_up(self, link: "PodLink") -> None:
        """Both ends have proven themselves."""

    def link_lost(self, link: "PodLink", reason: str) -> None:
        """The link is over, or never stood."""

    def told(self, frame: Told) -> None:
        """A question is answered."""

    def sip_received(self, pod: str, content: bytes) -> None:
        """The other pod has something of SIP for this one."""


class PodLink:
    """The link over which this pod sends to another; the ``Receiver`` of its channel.

    Args:
        relay: The relay of this pod.
        keys: The cluster's signing keys.
        own: This pod's id.
        pod: The other's.
        observer: Is told of its life.

    Attributes:
        up: Frames may be sent.
        was_up: It stood once: what was sent may have arrived.
        lost: It is over.
    """

    def __init__(self, relay: "Relay", keys: SigningKeys, *, own: str, pod: str, observer: LinkObserver) -> None:
        self.pod = pod
        self.up = self.was_up = self.lost = False
        self.remotes: dict[int, Remote] = {}
        self._relay = relay
        self._keys = keys
        self._own = own
        self._observer = observer
        self._nonce = relay.runtime.random(frames.NONCE)
        self._reader = FrameReader()
        self._pending: list[bytes] = []
        self._channel: Channel | None = None
        self._channel_full = False
        self._heard_at = self._beat_at = relay.now()
        self._streams = 0

    @property
    def writable(self) -> bool:
        """Whether streams may send."""
        return self.up and not self._channel_full

    def open(self, target: Target, ended: Ended) -> Remote:
        """Begin a stream; it is full until the link is up."""
        self._streams += 1
        remote = self.remotes[self._streams] = Remote(self._relay, self, self._streams, target, ended)
        return remote

    def forget(self, remote: Remote) -> None:
        """The stream is over."""
        self.remotes.pop(remote.stream, None)

    def send(self, *parts: bytes) -> None:
        """Have link frames written at the end of this turn, or once the link is up."""
        if self.lost:
            return
        if not self._pending and self.up:
            # At the front, since the list is worked off from its end: what streams still add is written with it.
            self._relay.to_flush.insert(0, self)
        self._pending.extend(parts)

    def send_if_room(self, frame: bytes) -> bool:
        """Have a frame written unless too much waits to be."""
        if self.lost or self._channel_full or len(self._pending) >= MOST_PENDING:
            return False
        self.send(frame)
        return True

    def flush(self) -> None:
        """Write what is to be written."""
        if self._channel is None or not self.up or not self._pending:
            return
        pending, self._pending = self._pending, []
        self._channel.send(pending)

    def tick(self, now: float) -> None:
        """Beat, and give the other pod up when it is silent."""
        if self.lost:
            return
        if now - self._heard_at >= DEAD_AFTER:
            self.close("the other pod is silent")
        elif self.up and now - self._beat_at >= BEAT:
            self._beat_at = now
            self.send(frames.PING)
            for remote in self.remotes.values():
                remote.forget_unanswered(now)

    def close(self, reason: str) -> None:
        """End the link at once."""
        if self._channel is not None:
            self._channel.abort(reason)
        self.disconnected(reason)

    def finish(self, reason: str) -> None:
        """End the link once what is to be written has been written."""
        self.flush()
        if self._channel is not None:
            self._channel.close(reason)
        self.disconnected(reason)

    # Receiver

    def connected(self, channel: "Channel") -> None:
        """The connection stands: say hello."""
        self._channel = channel
        self._heard_at = self._relay.now()
        if self.lost:
            channel.abort("given up")
            return
        channel.send([frames.hello(self._nonce, self._own)])

    def data_received(self, data: bytes) -> None:
        """Take a read."""
        now = self._relay.now()
        self._heard_at = now
        try:
            for frame in self._reader.feed(data):
                self._handle(frame, now)
        except ProtocolError as error:
            self._relay.log_event("pod link broken", pod=self.pod, reason=str(error))
            self.close(str(error))
        self._relay.flush()

    def pause_sending(self) -> None:
        """The connection's buffer is full: every stream stops."""
        self._channel_full = True
        for remote in self.remotes.values():
            remote.full = True

    def resume_sending(self) -> None:
        """There is room again."""
        self._channel_full = False
        self._make_room()
        self._relay.flush()

    def disconnected(self, reason: str) -> None:
        """The link is over: its streams end, what they have not been told the outcome of is unknown."""
        if self.lost:
            return
        self.lost = True
        self.up = False
        for remote in list(self.remotes.values()):
            remote.end(None, "the link to the receiver's pod is lost")
        self._observer.link_lost(self, reason)
        self._relay.flush()

    # Frames

    def _handle(self, frame: Frame, now: float) -> None:
        match frame:
            case Challenge():
                self._prove(frame, now)
            case Beat():
                pass
            case Told() if self.up:
                self._observer.told(frame)
            case Sip(content=content) if self.up:
                self._observer.sip_received(self.pod, content)
            case Taken() | Answered() | Failed() | Response() | Closed() if self.up:
                self._told(frame, now)
            case _:
                raise RemoteProtocolError(f"{type(frame).__name__} out of place")

    def _prove(self, challenge: Challenge, now: float) -> None:
        if self.up or self._channel is None:
            raise RemoteProtocolError("a second challenge")
        key_id, mac = check_holder(self._keys, challenge, self._nonce, self._own, self.pod)
        self._channel.send([frames.proof(key_id, mac)])
        self._reader.largest = frames.LARGEST_FRAME
        self.up = self.was_up = True
        self.flush()
        self._make_room()
        self._observer.link_up(self)

    def _told(self, frame: Taken | Answered | Failed | Response | Closed, now: float) -> None:
        remote = self.remotes.get(frame.stream)
        if remote is None:
            return  # It has ended meanwhile.
        match frame:
            case Taken():
                remote.taken(frame, now)
            case Answered():
                remote.answered(frame, now)
            case Failed():
                remote.failed(frame, now)
            case Response():
                remote.response(frame, now)
            case Closed():
                remote.end(frame, "the receiver's connection has ended")

    def _make_room(self) -> None:
        now = self._relay.now()
        remotes: Iterable[Remote] = list(self.remotes.values())
        for remote in remotes:
            remote.make_room(now)
