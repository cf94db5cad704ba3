"""Pods of the user agent at an edge without sockets, and a store that knows whose their sessions are."""

from collections.abc import Mapping, Sequence

from tests.support.sip_edge import EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response
from wigwag.runtime.agents import ApplicationUris, pod_instance
from wigwag.store import StoreError
from wigwag.store.agent_sessions import AgentSession

AGENTS = "agents.invalid"
HELPDESK = "sip:helpdesk@example.com"
"""Address of an application."""


class Owners:
    """Who owns which session; ``away`` makes the look-up fail."""

    def __init__(self) -> None:
        self.sessions: dict[str, AgentSession] = {}
        self.away = False

    def own(self, session_id: str, pod: str, *, lease_until: float = 1e12) -> None:
        """Let a pod own a session; an empty name: nobody."""
        self.sessions[session_id] = AgentSession(
            session_id=session_id, application="helpdesk", content=b"", pod=pod, lease_until=lease_until
        )

    async def find_agent_sessions(self, session_ids: Sequence[str]) -> Mapping[str, AgentSession]:
        if self.away:
            raise StoreError("away")
        return {session_id: self.sessions[session_id] for session_id in session_ids if session_id in self.sessions}


def applications() -> ApplicationUris:
    """Return one application, ``helpdesk``."""
    return ApplicationUris([("helpdesk", [HELPDESK, "sip:desk-*@example.com"])])


class AgentPod(SipClient):
    """A ua pod, connected to the peer listener of an edge.

    Args:
        edge: Its edge.
        pod: Its id.
        application: The address that it calls as.
    """

    def __init__(self, edge: EdgeUnderTest, pod: str, application: str = HELPDESK) -> None:
        super().__init__(edge, pod, kind="peer")
        self.pod = pod
        self.aor = application

    def connect(self) -> None:
        """Open a new connection, with a certificate."""
        super().connect()
        self.connection.certificate_names = (AGENTS,)

    def registration(self, expires: int = 600, **more: str) -> Request:
        """Make its REGISTER."""
        contact = f'<sip:{self.pod}@{AGENTS}>;+sip.instance="<{pod_instance(self.pod)}>";reg-id=1'
        fields = [("Contact", more.get("contact", contact)), ("Expires", str(expires)), ("Supported", "outbound")]
        pods = f"sip:pods@{AGENTS}"
        request = self.request("REGISTER", f"sip:{AGENTS}", fields, to=more.get("to", pods), call_id=f"reg-{self.pod}")
        request.set("From", f"<{pods}>;tag={self.pod}")
        return request

    async def register_pod(self, expires: int = 600, **more: str) -> Response:
        """Register; returns the response."""
        return await self.exchange(self.registration(expires, **more))

    def calls(self, session_id: str, uri: str) -> Request:
        """Make the INVITE of a session."""
        return self.request("INVITE", uri, [("Contact", f"<sip:{session_id}@{AGENTS}>")], b"v=0", call_id=session_id)
