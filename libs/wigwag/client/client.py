"""A client of the user agent for applications, over gRPC."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import grpc
import grpc.aio

from wigwag.api.ua.v1 import event_pb2, message_pb2, ua_pb2, ua_pb2_grpc
from wigwag.runtime.rpc import ClientTls, open_channel, service_error

from .events import Event
from .reading import read_event
from .sending import Sending
from .session import Sent, Session
from .watching import Watching

_SERVICE: Final = ua_pb2.DESCRIPTOR.services_by_name["UaService"]
_PIECE: Final = 1_048_576
"""Octets of a part of a file, at most."""
_PAGE: Final = 1_000


class Client:
    """One application at a user agent::

        async with Client("127.0.0.1:9090", key=KEY) as client:
            session = await client.start("sip:alice@example.com")
            await session.send("hello")
            async for event in client.events():
                match event:
                    case MessageReceived(session=session, text=text):
                        await session.send(f"you said: {text}")

    A connection that is lost is got back: events go on where they stopped, and what was sent is sent again under the
    same idempotency keys.

    Args:
        target: ``host:port`` of a node's gRPC.
        key: API key of the application, or an operator's token.
        application: Which one, if the key is an operator's.
        tls: None: plain text.
        resume_token: ``resume_token`` of an earlier client: events go on there; empty: from now on.
        watch: Whether there will be events; without, ``events`` has none.
        timeout: Seconds until a call has to be answered.

    Raises:
        ConfigurationError: A file of ``tls`` can't be used.
    """

    def __init__(
        self,
        target: str,
        *,
        key: str | None = None,
        application: str = "",
        tls: ClientTls | None = None,
        resume_token: str = "",
        watch: bool = True,
        timeout: float = 30.0,
    ) -> None:
        self._target = target
        self._key = key
        self._application = application
        self._tls = tls
        self._watch = watch
        self._timeout = timeout
        self._sessions: dict[str, Session] = {}
        self._channel: grpc.aio.Channel
        self._stub: Any
        self._sending: Sending
        self._watching: Watching
        self._token = resume_token

    async def __aenter__(self) -> Self:
        """Connect; what happens from now on is told by ``events``.

        Raises:
            ServiceError: The user agent refuses, or is not reached in time (``OverloadedError``).
        """
        self._channel = open_channel(
            self._target, services=[_SERVICE], tls=self._tls, token=self._key, timeout=self._timeout
        )
        self._stub = ua_pb2_grpc.UaServiceStub(self._channel)
        self._sending = Sending(self._stub.SendMessages, timeout=self._timeout)
        self._watching = Watching(self._open_watch, token=self._token)
        if self._watch:
            try:
                await self._watching.begin(self._timeout)
            except BaseException:
                await self.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close; nothing happens the second time."""
        await self._watching.close()
        await self._sending.close()
        await self._channel.close(None)

    # Events

    @property
    def resume_token(self) -> str:
        """Stands for all events that ``events`` has returned; to be kept by who wants to go on after a restart."""
        return self._watching.token

    async def events(self) -> AsyncIterator[Event]:
        """Yield events, as long as the client is open. An event that is being worked on counts as returned.

        Raises:
            ServiceError: The user agent refuses, or what the resume token stands for is kept no more.
        """
        while self._watch:
            event = read_event(await self._watching.next(), self.session)
            if event is None:
                continue
            if event.session.state == "ended":
                self._sessions.pop(event.session.id, None)
            yield event

    async def raw_events(self) -> AsyncIterator[event_pb2.Event]:
        """Yield events as the contract has them, in place of ``events``.

        Raises:
            ServiceError: As ``events``.
        """
        while self._watch:
            yield await self._watching.next()

    def _open_watch(self, token: str) -> Any:
        return self._stub.Watch(ua_pb2.WatchRequest(application=self._application, resume_token=token))

    # Sessions

    async def start(
        self,
        to_uri: str,
        *,
        from_uri: str = "",
        display_name: str = "",
        subject: str = "",
        accept_types: Sequence[str] = (),
        ring: timedelta | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str = "",
    ) -> Session:
        """Call a SIP user; events tell what becomes of it, messages may be sent at once.

        Args:
            to_uri: sip, sips or tel URI.
            from_uri: One of the application's; empty: its first.
            display_name: As the application calls itself.
            subject: Of the call.
            accept_types: Media types; empty: the application's.
            ring: How long it may ring; None: 60 s.
            labels: Kept with the session.
            idempotency_key: The same key within a day is the same session; empty: one is made up.

        Raises:
            InvalidRequestError: A URI or type is malformed.
            NotAuthorizedError: ``from_uri`` is not the application's.
        """
        request = ua_pb2.StartSessionRequest(
            application=self._application,
            to_uri=to_uri,
            from_uri=from_uri,
            from_display_name=display_name,
            subject=subject,
            accept_types=accept_types,
            labels=labels or {},
            idempotency_key=idempotency_key or uuid4().hex,
        )
        if ring is not None:
            request.timeout.FromTimedelta(ring)
        answer = await self.call("StartSession", request)
        session = self.session(answer.session.session_id)
        session.update(answer.session)
        return session

    def session(self, session_id: str) -> Session:
        """Return the session of an id, without asking whether there is one."""
        found = self._sessions.get(session_id)
        if found is None:
            found = self._sessions[session_id] = Session(self, session_id)
        return found

    async def sessions(
        self, *, labels: Mapping[str, str] | None = None, remote_uri: str = ""
    ) -> AsyncIterator[Session]:
        """Yield the sessions that have not ended."""
        request = ua_pb2.ListSessionsRequest(
            application=self._application, labels=labels or {}, remote_uri=remote_uri, page_size=_PAGE
        )
        while True:
            page = await self.call("ListSessions", request)
            for known in page.sessions:
                session = self.session(known.session_id)
                session.update(known)
                yield session
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    # Messages

    async def send(self, message: ua_pb2.OutboundMessage) -> Sent:
        """Send a message; see ``Session.send``."""
        return await self._sending.send(message)

    async def message(self, message_id: str) -> ua_pb2.GetMessageResponse:
        """Return a message, and where it is.

        Raises:
            NotFoundError: There is none.
        """
        answer: ua_pb2.GetMessageResponse = await self.call(
            "GetMessage", ua_pb2.GetMessageRequest(message_id=message_id)
        )
        return answer

    async def body(self, blob_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield a body that is kept as a blob, in pieces.

        Raises:
            NotFoundError: There is none.
        """
        try:
            async for piece in self._stub.GetMessageBody(ua_pb2.GetMessageBodyRequest(blob_id=blob_id, offset=offset)):
                yield piece.data
        except grpc.aio.AioRpcError as error:
            raise service_error(error) from error

    # Files

    async def send_file(
        self,
        to_uri: str,
        content: bytes | Path | AsyncIterable[bytes],
        *,
        name: str = "",
        content_type: str = "application/octet-stream",
        size: int = 0,
        from_uri: str = "",
        idempotency_key: str = "",
    ) -> message_pb2.File:
        """Send a file in a session of its own (RFC 5547); events tell how far it is.

        Args:
            to_uri: Whom to.
            content: The file, where it is, or its pieces.
            name: As the receiver sees it; empty: that of the path.
            content_type: Its media type.
            size: Octets; 0: as ``content`` says, which pieces can't.
            from_uri: One of the application's.
            idempotency_key: The same key is the same transfer.

        Raises:
            OSError: A path can't be read.
            InvalidRequestError: Something of its description is malformed.
        """
        name, size = name or _name_of(content), size or _size_of(content)
        described = ua_pb2.FileDescription(
            application=self._application,
            to_uri=to_uri,
            from_uri=from_uri,
            name=name,
            content_type=content_type,
            size=size,
            idempotency_key=idempotency_key or uuid4().hex,
        )
        try:
            # As long as the file takes; the user agent gives up when no part comes for 30 seconds.
            answer = await self._stub.SendFile(_parts(described, content))
        except grpc.aio.AioRpcError as error:
            raise service_error(error) from error
        file: message_pb2.File = answer.file
        return file

    async def call(self, method: str, request: Any) -> Any:
        """Make a call of ``wigwag.api.ua.v1.UaService`` with one request and one response.

        Raises:
            ServiceError: It was refused, or not answered in time.
        """
        try:
            return await getattr(self._stub, method)(request)
        except grpc.aio.AioRpcError as error:
            raise service_error(error) from error


def _name_of(content: object) -> str:
    return content.name if isinstance(content, Path) else ""


def _size_of(content: object) -> int:
    if isinstance(content, Path):
        return content.stat().st_size
    return len(content) if isinstance(content, bytes) else 0


async def _parts(
    described: ua_pb2.FileDescription, content: bytes | Path | AsyncIterable[bytes]
) -> AsyncIterator[ua_pb2.SendFileRequest]:
    yield ua_pb2.SendFileRequest(file=described)
    async for piece in _pieces(content):
        for at in range(0, len(piece), _PIECE):
            yield ua_pb2.SendFileRequest(data=piece[at : at + _PIECE])


async def _pieces(content: bytes | Path | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, Path):
        with content.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    else:
        async for piece in content:
            yield piece
