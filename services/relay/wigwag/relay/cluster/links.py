"""The links that this pod has opened, and those that others have opened to it."""

import asyncio
from typing import TYPE_CHECKING, Protocol

from wigwag.errors import OverloadedError, WigwagError
from wigwag.protocols.digest import SigningKeys
from wigwag.runtime.members import Members
from wigwag.transport.channel import Receiver

from . import frames
from .frames import Told
from .holder import Harbour, HolderLink
from .link import Ended, PodLink
from .remote import Remote, Target

if TYPE_CHECKING:
    from wigwag.relay.service import Relay

ANSWER = 3.0
"""Seconds that another pod has to answer an operator's question."""
FAILURE_REMEMBERED = 0.5
"""Seconds for which a pod that could not be reached is not tried again."""


class LinkConnector(Protocol):
    """Opens connections to other pods."""

    async def connect(self, receiver: Receiver, address: str) -> None:
        """Connect to ``host:port`` or ``unix:/path``; ``receiver`` has heard ``connected`` when this returns.

        Raises:
            ConnectError: It can't be.
        """


class SipGuest(Protocol):
    """SIP, which uses the links too."""

    def received(self, pod: str, content: bytes) -> None:
        """Another pod has sent this."""

    def link_lost(self, pod: str) -> None:
        """What was sent to the pod may not have arrived."""


class Links:
    """Opens a link when there is something to send to a pod, and watches all of them."""

    def __init__(self, relay: "Relay", keys: SigningKeys, members: Members, connector: LinkConnector) -> None:
        self._relay = relay
        self._keys = keys
        self._members = members
        self._connector = connector
        self._links: dict[str, PodLink] = {}
        self._failures: dict[str, float] = {}
        self._unopened: dict[str, str] = {}
        """Why no link could be opened when one was wanted last, by pod."""
        self.holders: set[HolderLink] = set()
        self._questions: dict[int, tuple[str, asyncio.Future[bytes]]] = {}
        self._asked = 0
        self.sip: SipGuest | None = None

    def reachable(self, pod: str) -> bool:
        """Tell whether something can be sent to the pod, or may be tried."""
        link = self._links.get(pod)
        if link is not None:
            return True
        failed_at = self._failures.get(pod)
        if failed_at is not None and self._relay.now() - failed_at < FAILURE_REMEMBERED:
            return False
        return bool(self._members.address(pod))

    def stands(self, pod: str) -> bool:
        """Tell whether the link to the pod is up."""
        link = self._links.get(pod)
        return link is not None and link.up

    def hears(self, pod: str) -> bool:
        """Tell whether the pod has a link to this one."""
        return any(holder.pod == pod for holder in self.holders)

    def prepare(self, pod: str) -> None:
        """Open the link to a pod ahead of need."""
        if pod not in self._links and self.reachable(pod):
            self._link(pod)

    def open(self, pod: str, target: Target, ended: Ended) -> Remote:
        """Begin a stream to a pod that is reachable; it is full until its link stands."""
        return self._link(pod).open(target, ended)

    def tell_superseded(self, pod: str, session_id: str, epoch: int) -> None:
        """Tell a pod that a client it may hold has AUTHed here."""
        if self.reachable(pod):
            self._link(pod).send(frames.superseded(epoch, session_id, self._members.pod.id))

    async def ask(self, pod: str, question: bytes) -> bytes:
        """Have another pod answer an operator's question.

        Raises:
            OverloadedError: It can't be reached, or not in time.
        """
        if not self.reachable(pod):
            raise OverloadedError(f"pod {pod} can't be reached")
        self._asked = (self._asked + 1) & 0xFFFF_FFFF
        number = self._asked
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._questions[number] = (pod, answer)
        try:
            self._link(pod).send(frames.ask(number, question))
            self._relay.flush()
            async with asyncio.timeout(ANSWER):
                return await answer
        except TimeoutError as error:
            raise OverloadedError(f"pod {pod} does not answer") from error
        finally:
            del self._questions[number]

    def send_sip(self, pod: str, content: bytes) -> bool:
        """Send a pod something of SIP, once the link to it stands; False: there is no hope, or too much waits.

        A pod that has just started knows us before we hear of it: it is answered over the link that it has opened.
        """
        if self.reachable(pod):
            return self._link(pod).send_if_room(frames.sip(content))
        for holder in self.holders:
            if holder.pod == pod:
                holder.send(frames.sip(content))
                return True
        return False

    def sip_received(self, pod: str, content: bytes) -> None:
        """Another pod has something of SIP for this one."""
        if self.sip is not None:
            self.sip.received(pod, content)

    def told(self, frame: Told) -> None:
        """A question is answered; the asker may have given up."""
        found = self._questions.get(frame.number)
        if found is not None and not found[1].done():
            found[1].set_result(frame.answer)

    def _link(self, pod: str) -> PodLink:
        link = self._links.get(pod)
        if link is None:
            link = PodLink(self._relay, self._keys, own=self._members.pod.id, pod=pod, observer=self)
            self._links[pod] = link
            self._relay.runtime.spawn(self._connect(link, self._members.address(pod)))
        return link

    async def _connect(self, link: PodLink, address: str) -> None:
        try:
            await self._connector.connect(link, address)
        except (WigwagError, OSError) as error:
            link.close(str(error))

    def views(self) -> dict[str, str]:
        """Return the state of each link that this pod has opened, or could not open to a pod that lives."""
        unopened = {pod: f"can't be opened: {why}" for pod, why in self._unopened.items() if self._members.alive(pod)}
        links = {pod: link for pod, link in self._links.items() if link.up or pod not in unopened}
        return unopened | {pod: "up" if link.up else "connecting" for pod, link in links.items()}

    def remotes(self) -> list[Remote]:
        """Return the streams that are open."""
        return [remote for link in self._links.values() for remote in link.remotes.values()]

    def tick(self, now: float) -> None:
        """Beat, and give up what is silent."""
        for link in list(self._links.values()):
            link.tick(now)
        for holder in list(self.holders):
            holder.tick(now)
        for pod in [pod for pod, at in self._failures.items() if now - at >= FAILURE_REMEMBERED]:
            del self._failures[pod]
        for pod in [pod for pod in self._unopened if not self._members.alive(pod)]:
            del self._unopened[pod]

    def close(self) -> None:
        """End every link."""
        for link in list(self._links.values()):
            link.finish("this pod ends")
        for holder in list(self.holders):
            holder.close("this pod ends")

    def accept(self, harbour: Harbour) -> HolderLink:
        """Return the receiver of a connection that another pod opens."""
        return HolderLink(self._relay, harbour)

    def holder_lost(self, holder: HolderLink) -> None:
        """A link that another pod had opened is over: what was sent over it may not have arrived."""
        self.holders.discard(holder)
        if self.sip is not None and holder.pod and holder.pod not in self._links:
            self.sip.link_lost(holder.pod)

    # LinkObserver

    def link_up(self, link: PodLink) -> None:
        """Both ends have proven themselves."""
        self._unopened.pop(link.pod, None)
        self._relay.log_event("pod link is up", pod=link.pod)

    def link_lost(self, link: PodLink, reason: str) -> None:
        """The link is over."""
        if self._links.get(link.pod) is link:
            del self._links[link.pod]
            self._failures[link.pod] = self._relay.now()
            if not link.was_up:
                self._unopened[link.pod] = reason
        if self.sip is not None:
            self.sip.link_lost(link.pod)
        for pod, answer in self._questions.values():
            if pod == link.pod and not answer.done():
                answer.set_exception(OverloadedError(f"pod {pod} can't be reached: {reason}"))
        self._relay.counters["link_losses"] += 1
        self._relay.log_event("pod link is lost", pod=link.pod, reason=reason)
