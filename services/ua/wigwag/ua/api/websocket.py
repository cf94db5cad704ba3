"""Events out and commands in over a WebSocket, as JSON: ``/v1/events``.

Theory of operation. The first frame of a client says who he is, unless a header or a subprotocol did. Then one task
sends events, and each command is a task of its own; those of one session wait for each other. Everything that is sent
goes through one lock, and a client that does not read is one whose events overflow: his stream ends, and he comes back
with his last resume token. Close codes: 4400 a frame makes no sense, 4401 nobody knows who he is, 4403 he may not
watch, 4410 the token stands for what is kept no more, 4429 he reads too slowly, 1011 something is away.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import (
    InvalidRequestError,
    NotAuthenticatedError,
    NotAuthorizedError,
    OutOfRangeError,
    OverloadedError,
    WigwagError,
)
from wigwag.runtime.http_tracing import ended, serving
from wigwag.runtime.names import COMMAND, HTTP_STATUS, WEBSOCKET_SERVE
from wigwag.runtime.traceparent import HEADER
from wigwag.runtime.tracing import Tracing
from wigwag.ua.ports import Agent, Caller

from .authentication import Authenticator, bearers
from .commands import COMMANDS, carried_out, session_of
from .gateway_failures import GatewayFailures
from .guard import values
from .opensips_events import OpensipsFormat
from .origins import Origins
from .presenting import event_json
from .problems import problem_json

SUBPROTOCOL: Final = "wigwag.events.v1"
TOKEN_SUBPROTOCOL: Final = "wigwag.bearer."  # noqa: S105
"""Followed by a credential: browsers can set no header of a WebSocket."""
LARGEST: Final = 1_048_576
"""Octets of a frame."""
MOST_COMMANDS: Final = 64
"""Of one client, under way at once; while there are as many, none is read."""
PATIENCE: Final = 10.0
"""Seconds that a client has to say who he is."""
_CODES: Final[Mapping[type[WigwagError], int]] = {
    InvalidRequestError: 4400,
    NotAuthenticatedError: 4401,
    NotAuthorizedError: 4403,
    OutOfRangeError: 4410,
    OverloadedError: 4429,
}
_MISDIRECTED: Final = 4421

logger = structlog.get_logger(__name__)


class Format(Protocol):
    """How a client wants events."""

    def frames(self, response: ua_pb2.WatchResponse) -> list[dict[str, Any]]:
        """Return what is sent for events."""


class OurFormat:
    """Events as they are everywhere, with a resume token on the last one."""

    def frames(self, response: ua_pb2.WatchResponse) -> list[dict[str, Any]]:
        """Return a frame for each event; one without an event where there is a new token only."""
        frames: list[dict[str, Any]] = [{"event": event_json(event)} for event in response.events] or [{}]
        frames[-1]["resume_token"] = response.resume_token
        return frames


FORMATS: Final[Mapping[str, Callable[[], Format]]] = {"": OurFormat, "opensips": OpensipsFormat}
"""Ways to tell events, by the value of ``format``."""


class EventSockets:
    """Serves ``/v1/events``.

    Args:
        agent: The use cases.
        authenticator: Tells who calls.
        origins: Whom browsers may bring.
        patience: Seconds that a client has to say who he is.
        tracing: Begins a span for each command; None: there are none.
        failures: What operators are told in OpenSIPS's form besides; None: nothing.
    """

    def __init__(
        self,
        agent: Agent,
        authenticator: Authenticator,
        origins: Origins,
        *,
        patience: float = PATIENCE,
        tracing: Tracing | None = None,
        failures: GatewayFailures | None = None,
    ) -> None:
        self._failures = failures
        self._agent = agent
        self._authenticator = authenticator
        self._origins = origins
        self._patience = patience
        self._tracing = tracing or Tracing()

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client until he leaves."""
        shown = _shown(socket)
        hosts = values(socket.scope, "host")
        known_host = self._authenticator.demands or self._origins.knows_host(hosts)
        offered = socket.scope.get("subprotocols", [])
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        if not known_host or not self._origins.allow(values(socket.scope, "origin"), hosts):
            await socket.close(_MISDIRECTED, "requests from this origin are refused")
            return
        try:
            client = _Client(socket, self._agent, _format(socket), self._tracing, self._failures)
            with suppress(WebSocketDisconnect):
                await client.run(await self._beginning(socket, shown))
        except WigwagError as error:
            await _close(socket, error)

    async def _beginning(self, socket: WebSocket, shown: list[str]) -> "_Beginning":
        """Return who it is and what he watches: by his query where he has shown who he is, else by his first frame."""
        if shown or not self._authenticator.demands:
            who = await self._authenticator.caller(shown)
            return _Beginning(who, _asked(socket.query_params.get("resume_token", ""), socket.query_params))
        try:
            async with asyncio.timeout(self._patience):
                frame = await _received(socket)
        except TimeoutError as error:
            raise NotAuthenticatedError("nothing came that says who you are") from error
        credential = frame.get("authenticate")
        if not isinstance(credential, str):
            raise NotAuthenticatedError('the first frame has to say who you are: {"authenticate": KEY}')
        who = await self._authenticator.caller([credential])
        token = frame.get("resume_token", "") or socket.query_params.get("resume_token", "")
        return _Beginning(who, _asked(token, socket.query_params))


class _Beginning:
    def __init__(self, who: Caller, asked: ua_pb2.WatchRequest) -> None:
        self.who = who
        self.asked = asked


class _Client:
    """One connection of somebody who is known."""

    def __init__(
        self, socket: WebSocket, agent: Agent, format_: Format, tracing: Tracing, failures: GatewayFailures | None
    ) -> None:
        self._failures = failures
        self._socket = socket
        self._agent = agent
        self._format = format_
        self._tracing = tracing
        self._traceparent = next(iter(values(socket.scope, HEADER)), None)
        """Of commands that bring none of their own."""
        self._sending = asyncio.Lock()
        self._slots = asyncio.Semaphore(MOST_COMMANDS)
        self._commands: set[asyncio.Task[None]] = set()
        self._turns: dict[str, asyncio.Task[None]] = {}
        """Session -> its last command."""

    async def run(self, beginning: _Beginning) -> None:
        """Send events and carry out commands until one side ends."""
        telling = asyncio.create_task(self._tell(beginning))
        listening = asyncio.create_task(self._listen(beginning.who))
        tasks = {telling, listening}
        if self._failures is not None and self._is_told_failures(beginning):
            tasks.add(asyncio.create_task(self._tell_failures(self._failures)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            # What was begun is finished, whether anybody hears of it or not.
            await asyncio.gather(*tasks, *self._commands, return_exceptions=True)

    async def _tell(self, beginning: _Beginning) -> None:
        watched: AsyncIterator[ua_pb2.WatchResponse] = self._agent.watch(beginning.who, beginning.asked)
        async with aclosing(cast(Any, watched)):
            async for response in watched:
                for frame in self._format.frames(response):
                    await self._send(frame)

    def _is_told_failures(self, beginning: _Beginning) -> bool:
        """Tell whether he is an operator who asks for everything, in the form that has these events."""
        asked = beginning.asked
        everything = not (beginning.who.application or asked.application or asked.session_ids)
        return everything and isinstance(self._format, OpensipsFormat)

    async def _tell_failures(self, failures: GatewayFailures) -> None:
        async with aclosing(cast(Any, failures.frames())) as frames:
            async for frame in frames:
                await self._send(frame)

    async def _send(self, frame: Mapping[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(json.dumps(frame, ensure_ascii=False))

    async def _listen(self, who: Caller) -> None:
        while True:
            frame = await _received(self._socket)
            if "authenticate" in frame:
                # Who is let in without it must not take himself for somebody he is not.
                raise InvalidRequestError("authenticate: it is settled already who you are")
            await self._slots.acquire()
            session_id = session_of(frame)
            before = self._turns.get(session_id) if session_id else None
            task = asyncio.create_task(self._carry_out(who, frame, before))
            self._commands.add(task)
            if session_id:
                self._turns[session_id] = task
            task.add_done_callback(partial(self._done, session_id))

    def _done(self, session_id: str, task: "asyncio.Task[None]") -> None:
        self._slots.release()
        self._commands.discard(task)
        if self._turns.get(session_id) is task:
            del self._turns[session_id]

    async def _carry_out(self, who: Caller, frame: dict[str, Any], before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        request_id = frame.pop("id", None)
        named, traceparent = frame.pop("command", None), frame.pop(HEADER, None)
        name = named if isinstance(named, str) else ""
        parent = traceparent if isinstance(traceparent, str) else self._traceparent
        known = {COMMAND: name} if name in COMMANDS else {}
        reply: dict[str, Any] = {"id": request_id if isinstance(request_id, str | int) else None}
        with serving(self._tracing, WEBSOCKET_SERVE, parent, known) as span:
            reply |= await self._reply(who, name, frame)
            ended(span, HTTP_STATUS, reply["error"]["status"] if "error" in reply else HTTPStatus.OK)
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._send(reply)

    async def _reply(self, who: Caller, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"result": await carried_out(self._agent, who, name, fields)}
        except WigwagError as error:
            return {"error": problem_json(error)}
        except Exception as error:
            logger.error("a command failed", exc_info=error)
            return {"error": problem_json(WigwagError("an internal error; the log has the details"))}


def _format(socket: WebSocket) -> Format:
    made = FORMATS.get(socket.query_params.get("format", ""))
    if made is None:
        raise InvalidRequestError(f"format: one of {', '.join(filter(None, FORMATS))}, or left out")
    return made()


def _shown(socket: WebSocket) -> list[str]:
    """Return the credentials of the header, or of a subprotocol."""
    found = bearers(values(socket.scope, "authorization"))
    offered = socket.scope.get("subprotocols", [])
    found += [each.removeprefix(TOKEN_SUBPROTOCOL) for each in offered if each.startswith(TOKEN_SUBPROTOCOL)]
    return found


def _asked(token: object, query: Any) -> ua_pb2.WatchRequest:
    return ua_pb2.WatchRequest(
        application=query.get("application", ""),
        resume_token=token if isinstance(token, str) else "",
        session_ids=query.getlist("session_id"),
    )


async def _received(socket: WebSocket) -> dict[str, Any]:
    """Return the next frame.

    Raises:
        InvalidRequestError: It is no JSON object.
        WebSocketDisconnect: He has left.
    """
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    try:
        frame = json.loads(message.get("text") or "")
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("a frame is no JSON text") from error
    if not isinstance(frame, dict):
        raise InvalidRequestError("a frame is no JSON object")
    return frame


async def _close(socket: WebSocket, error: WigwagError) -> None:
    code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), 1011)
    if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, WebSocketDisconnect):
            # A reason has 123 octets at most (RFC 6455 section 5.5).
            await socket.close(code, str(error).encode()[:120].decode(errors="ignore"))
