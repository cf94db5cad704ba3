"""A session as an application holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from wigwag.api.ua.v1 import message_pb2, session_pb2, ua_pb2

if TYPE_CHECKING:
    from .client import Client

TEXT: Final = "text/plain;charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the user agent has accepted; events tell what becomes of it."""

    message_id: str
    duplicate: bool
    """Whether it had been accepted before, under the same idempotency key."""


class Session:
    """A session between the application and a SIP user.

    What it knows is as of the last event or call; ``refresh`` asks again.

    Args:
        client: By which it is reached.
        session_id: Its id.
    """

    def __init__(self, client: "Client", session_id: str) -> None:
        self._client = client
        self._known = session_pb2.Session(session_id=session_id)

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.state} {self.remote_uri}>"

    # What is known

    @property
    def known(self) -> session_pb2.Session:
        """All of it, as the contract has it."""
        return self._known

    @property
    def id(self) -> str:
        """Its id, unique for ever."""
        return self._known.session_id

    @property
    def state(self) -> str:
        """``starting``, ``offered``, ``open`` or ``ended``; ``unspecified``: nothing is known yet."""
        return session_pb2.SessionState.Name(self._known.state).removeprefix("SESSION_STATE_").lower()

    @property
    def remote_uri(self) -> str:
        """The SIP user."""
        return self._known.remote_uri

    @property
    def local_uri(self) -> str:
        """Our side."""
        return self._known.local_uri

    @property
    def display_name(self) -> str:
        """As the SIP user calls himself."""
        return self._known.remote_display_name

    @property
    def subject(self) -> str:
        """Of the call."""
        return self._known.subject

    @property
    def held(self) -> bool:
        """Whether the SIP user has put us on hold: what is sent waits."""
        return self._known.held

    @property
    def accept_types(self) -> Sequence[str]:
        """Media types that the SIP user takes."""
        return tuple(self._known.accept_types)

    @property
    def labels(self) -> Mapping[str, str]:
        """What the application gave it."""
        return dict(self._known.labels)

    def update(self, known: session_pb2.Session) -> None:
        """Take what was told of it."""
        self._known = known

    async def refresh(self) -> "Session":
        """Ask how it is.

        Raises:
            NotFoundError: There is no such session.
        """
        answer = await self._client.call("GetSession", ua_pb2.GetSessionRequest(session_id=self.id))
        self.update(answer.session)
        return self

    # Offered sessions

    async def answer(self, *, accept_types: Sequence[str] = (), labels: Mapping[str, str] | None = None) -> None:
        """Take the call.

        Raises:
            ConflictError: It is not offered (any more).
        """
        request = ua_pb2.AnswerSessionRequest(session_id=self.id, accept_types=accept_types, labels=labels or {})
        self.update((await self._client.call("AnswerSession", request)).session)

    async def reject(self, sip_status: int = 603, sip_reason: str = "") -> None:
        """Turn it away.

        Raises:
            ConflictError: It is not offered (any more).
        """
        request = ua_pb2.RejectSessionRequest(session_id=self.id, sip_status=sip_status, sip_reason=sip_reason)
        await self._client.call("RejectSession", request)

    # Open sessions

    async def send(
        self,
        body: str | bytes,
        content_type: str = TEXT,
        *,
        display: bool = False,
        expires_at: datetime | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str = "",
    ) -> Sent:
        """Send a message; returns when it is durable. Many may be on their way at once, and keep their order.

        Args:
            body: A text, or octets of ``content_type``.
            content_type: Media type with its parameters.
            display: Whether to ask to be told when it is displayed (RFC 5438).
            expires_at: It is not sent any more afterwards.
            headers: Of message/cpim besides From, To and DateTime.
            idempotency_key: The same key in the same session is the same message, also after a restart of the
                application; empty: one is made up, by which a lost connection makes no second message.

        Raises:
            NotFoundError: There is no such session.
            ConflictError: It is over.
            InvalidRequestError: The peer takes no such message.
            OverloadedError: It was not accepted in time; it may still be, unless it is sent again under the same key.
        """
        message = ua_pb2.OutboundMessage(
            session_id=self.id,
            content_type=content_type,
            body=body.encode() if isinstance(body, str) else body,
            idempotency_key=idempotency_key,
            cpim_headers=[message_pb2.CpimHeader(name=name, value=value) for name, value in (headers or {}).items()],
        )
        if display:
            message.notifications.display = True
        if expires_at is not None:
            message.expires_at.FromDatetime(expires_at)
        return await self._client.send(message)

    async def composing(self, active: bool = True, content_type: str = "") -> None:
        """Tell that somebody is writing, or has stopped."""
        request = ua_pb2.SetComposingRequest(session_id=self.id, active=active, content_type=content_type)
        await self._client.call("SetComposing", request)

    async def displayed(self, message_id: str) -> None:
        """Tell that a message of the SIP user was shown, if he asked for it."""
        await self._client.call("MarkDisplayed", ua_pb2.MarkDisplayedRequest(message_id=message_id))

    async def hold(self, on: bool = True) -> None:
        """Stop what the SIP user sends, or let it come again.

        Raises:
            ConflictError: The session is not open.
        """
        await self._change("HoldSession", ua_pb2.HoldSessionRequest(session_id=self.id, hold=on))

    async def end(self) -> None:
        """End it; nothing happens if it is over."""
        await self._change("EndSession", ua_pb2.EndSessionRequest(session_id=self.id))

    async def _change(self, method: str, request: Any) -> None:
        self.update((await self._client.call(method, request)).session)
