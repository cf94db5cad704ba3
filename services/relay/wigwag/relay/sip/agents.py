"""The user agent's pods as the edge reaches them: by the session that a request names, or any of them for a new call.

Theory of operation. Each ua pod registers a binding of one AOR over its connection to the edge; which pod owns a
session the store knows. A request of a dialog goes to the owner; when nobody owns the session, or its owner can't be
reached, to another pod, which takes the session over: always to the same one, computed from the session's id, so that
two requests don't make two pods claim it. One that refuses (503) lets the next have it. Nothing names a connection, so
a dialog outlives both the pod's connection and the pod.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from wigwag.protocols.sip import SipError, SipUri, parse_name_address, parse_uri
from wigwag.protocols.sip.uri import normal_user
from wigwag.runtime.agents import ApplicationUris, pod_instance, pods_aor
from wigwag.store import Binding, Registration, StoreError
from wigwag.store.agent_sessions import AgentSession

from .flows.flow import Flow, StreamFlow
from .incoming import NEIGHBOUR, Identity, Incoming, Target
from .ports import Applications, Locating

if TYPE_CHECKING:
    from .edge import Edge
    from .proxy.targets import Groups

AWAY: Final = (("Retry-After", "5"),)
_REMEMBERED: Final = 65_536
_LONGEST_ID: Final = 255


class SessionOwners(Protocol):
    """Knows which ua pod owns a session: the part of ``AgentSessions`` that the edge asks."""

    async def find_agent_sessions(self, session_ids: Sequence[str]) -> Mapping[str, AgentSession]:
        """Return those that there are; StoreError."""


@dataclass(frozen=True, slots=True)
class AgentDirectory:
    """Who knows what belongs to the user agent."""

    domain: str = "agents.invalid"
    """Host of the user agent's Contacts, which only the edge knows."""
    sessions: SessionOwners | None = None
    """Knows which pod owns a session; None: nobody does."""
    applications: Applications = field(default_factory=ApplicationUris)
    """Knows the SIP addresses of applications."""


NOBODYS: Final = AgentDirectory()
"""There is no user agent."""


class UserAgents:
    """Finds ua pods for requests; ``Agents`` of the edge.

    Args:
        edge: The edge.
        locating: Knows their bindings.
        names: Names in client certificates by which ua pods are known.
        directory: Knows whose sessions and addresses are.
        wall: The store's clock.

    Attributes:
        aor: The AOR that all ua pods register.
    """

    def __init__(
        self,
        edge: "Edge",
        locating: Locating,
        *,
        names: Iterable[str],
        directory: AgentDirectory,
        wall: Callable[[], float],
    ) -> None:
        self.aor = pods_aor(directory.domain)
        self._edge = edge
        self._locating = locating
        self._names = frozenset(map(str.lower, names))
        self._directory = directory
        self._wall = wall
        self._owners: dict[str, str] = {}
        """Who owned a session when it was asked last, for while the store is away or has lost it."""

    # Who calls

    def serves(self, uri: SipUri) -> bool:
        """Tell whether an address belongs to an application."""
        return self._directory.applications.owner(uri) is not None

    def is_pod(self, flow: Flow) -> bool:
        """Tell whether a flow is a ua pod's: over mutual TLS, with a certificate that says so.

        Another neighbour's certificate makes him a neighbour, not one who takes the calls of applications.
        """
        if not isinstance(flow, StreamFlow) or not flow.address.trusted or flow.channel is None:
            return False
        return not self._names.isdisjoint(flow.channel.certificate_names)

    def identify(self, incoming: Incoming) -> Identity:
        """Return who sent a request over a neighbour's flow.

        A ua pod speaks for applications; they may do what users may.
        """
        if self.is_pod(incoming.flow):
            sender = parse_uri(incoming.request.from_.uri)
            if isinstance(sender, SipUri) and self.serves(sender):
                return Identity(aor=sender.aor, trusted=True)
        return NEIGHBOUR

    def is_caller(self, incoming: Incoming) -> bool:
        """Tell whether a request comes from a session of a ua pod: its Contact says so."""
        contacts = incoming.request.items("contact")
        if len(contacts) != 1 or not self.is_pod(incoming.flow):
            return False
        uri = parse_uri(parse_name_address(contacts[0]).uri)
        return isinstance(uri, SipUri) and self._edge.names.is_agents(uri)

    # Who is called

    async def of_session(self, incoming: Incoming) -> "Groups":
        """Return the owner of the session that the Request-URI names, then the others.

        Raises:
            SipError: 503: no ua pod is there.
        """
        session_id = normal_user(incoming.target.user)
        owner, lapsed = await self._owner(session_id)
        pods = await self._pods(session_id, owner)
        # Stable: within each class they stay in the order that the session's id gives.
        pods.sort(key=lambda pod: 0 if pod[0].instance == owner else 2 if pod[0].instance == lapsed else 1)
        return self._targets(pods, incoming.request.uri)

    async def of_call(self, incoming: Incoming, uri: str, application: str = "") -> "Groups":
        """Return the pod that takes a new call, then the others.

        Args:
            incoming: The INVITE.
            uri: Request-URI that it gets.
            application: Whose call it is whatever the URI; empty: that of who owns the URI.

        Raises:
            SipError: 503: no ua pod is there.
        """
        return self._targets(await self._pods(incoming.request.call_id), uri, application)

    async def _owner(self, session_id: str) -> tuple[str, str]:
        """Return the instances of the pod that owns a session, and of one whose lease has run out."""
        sessions = self._directory.sessions
        if sessions is None or not 0 < len(session_id) <= _LONGEST_ID:
            return "", ""
        try:
            session = (await sessions.find_agent_sessions([session_id])).get(session_id)
        except StoreError:
            session = None
        if session is None:
            # A store that came back empty knows of no session until its owner has written it again.
            known = self._owners.get(session_id, "")
            return (_instance(known) if known else ""), ""
        if not session.pod:
            self._owners.pop(session_id, None)
            return "", ""
        self._remember(session_id, session.pod)
        instance = _instance(session.pod)
        return (instance, "") if session.lease_until > self._wall() else ("", instance)

    def _remember(self, session_id: str, pod: str) -> None:
        if session_id not in self._owners and len(self._owners) >= _REMEMBERED:
            del self._owners[next(iter(self._owners))]
        self._owners[session_id] = pod

    async def _pods(self, key: str, owner: str = "") -> list[tuple[Binding, Flow]]:
        """Return the bindings of ua pods that can be reached, in the order that ``key`` gives (rendezvous hashing)."""
        live = await self._live()
        if not live or (owner and all(binding.instance != owner for binding, _ in live)):
            # It may have come back by another edge, of which this one has not heard yet.
            self._locating.forget(self.aor)
            live = await self._live()
        if not live:
            # It is the function that is missing, not the user (480); and it does not end a dialog (RFC 5057).
            raise SipError("Service Unavailable: no user agent is there", status=503, headers=AWAY)
        return sorted(live, key=lambda pod: (_rank(pod[0].instance, key), pod[1].is_leaving, -pod[0].updated_at))

    async def _live(self) -> list[tuple[Binding, Flow]]:
        found = self._locating.find(self.aor)
        registration = found if found is None or isinstance(found, Registration) else await found
        live = []
        for binding in registration.bindings if registration is not None else ():
            flow = self._edge.flow(binding.flow) if binding.flow is not None else None
            if flow is not None and flow.is_open:
                live.append((binding, flow))
        return live

    def _targets(self, pods: Sequence[tuple[Binding, Flow]], uri: str, application: str = "") -> "Groups":
        first, *others = [
            Target(
                uri=uri,
                name=f"{self.aor} {binding.key}",
                flow=flow,
                stored_flow=binding.flow,
                aor=self.aor,
                application=application,
            )
            for binding, flow in pods[: self._edge.settings.limits.branches]
        ]
        first.others = others
        return [[first]]


def _instance(pod: str) -> str:
    """Return a pod's instance as a binding has it."""
    return f"<{pod_instance(pod)}>"


def _rank(instance: str, key: str) -> bytes:
    return hashlib.blake2s(f"{instance}\n{key}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
