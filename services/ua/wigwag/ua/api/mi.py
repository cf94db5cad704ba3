"""MI commands of OpenSIPS's module msrp_ua: its parameters, replies and errors, over our use cases.

``failure_report`` and ``success_report`` decide which E_MSRP_REPORT_RECEIVED follow. The SEND itself asks for all
reports whatever they say, because the message's state follows from them.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from wigwag.api.ua.v1 import session_pb2, ua_pb2
from wigwag.errors import NotFoundError, ServiceError, WigwagError
from wigwag.runtime.management import Arguments, Command
from wigwag.runtime.ua_messages import reports_of
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.ports import Agent

from .authentication import OPERATOR

NEW, ESTABLISHED, TERMINATED = 0, 2, 3
"""OpenSIPS's states of a session; the one between them, confirmed, is told as new."""
_DEFAULT_TYPE: Final = "text/plain"
_PAGE: Final = 1_000


class Owners(Protocol):
    """Whose an address is."""

    def owner(self, uri: str) -> ApplicationSettings | None:
        """Return the application; None: nobody's."""

    def find(self, name: str) -> ApplicationSettings | None:
        """Return an application; None: there is none of that name."""


def agent_commands(agent: Agent, applications: Owners, wall: Callable[[], float]) -> list[Command]:
    """Return the commands.

    Args:
        agent: The use cases.
        applications: Whose sessions they are: ``from_uri`` says it.
        wall: Seconds since 1970.
    """
    commands = _Commands(agent, applications, wall)
    return [
        Command(
            name="msrp_ua:start_session",
            aliases=("msrp_ua_start_session",),
            run=commands.start,
            required=("content_types", "from_uri", "to_uri", "ruri"),
            summary="Call a SIP user; E_MSRP_SESSION_NEW tells when he has answered.",
        ),
        Command(
            name="msrp_ua:send_message",
            aliases=("msrp_ua_send_message",),
            run=commands.send,
            required=("session_id",),
            optional=("mime", "body", "failure_report", "success_report"),
            summary="Send a message; it is durable when this returns.",
        ),
        Command(
            name="msrp_ua:list_sessions",
            aliases=("msrp_ua_list_sessions",),
            run=commands.list,
            changes=False,
            summary="Sessions of all applications that have not ended.",
        ),
        Command(
            name="msrp_ua:end_session",
            aliases=("msrp_ua_end_session",),
            run=commands.end,
            required=("session_id",),
            summary="End a session.",
        ),
    ]


class _Commands:
    def __init__(self, agent: Agent, applications: Owners, wall: Callable[[], float]) -> None:
        self._agent = agent
        self._applications = applications
        self._wall = wall

    async def start(self, arguments: Arguments) -> None:
        owner = self._applications.owner(arguments["from_uri"])
        if owner is None:
            raise ServiceError("Failed to start session: from_uri is no application's")
        request = ua_pb2.StartSessionRequest(
            application=owner.name,
            accept_types=arguments["content_types"].split(),
            from_uri=arguments["from_uri"],
            to_uri=arguments["to_uri"],
            request_uri="" if arguments["ruri"] == arguments["to_uri"] else arguments["ruri"],
        )
        try:
            await self._agent.start_session(OPERATOR, request)
        except WigwagError as error:
            raise ServiceError(f"Failed to start session: {error}") from error

    async def send(self, arguments: Arguments) -> None:
        failure, success = arguments.get("failure_report", "yes"), arguments.get("success_report", "no")
        if failure not in ("yes", "no", "partial"):
            raise ServiceError("Unacceptable value for Failure-Report")
        if success not in ("yes", "no"):
            raise ServiceError("Unacceptable value for Success-Report")
        has_both = "mime" in arguments and "body" in arguments
        message = ua_pb2.OutboundMessage(
            session_id=arguments["session_id"],
            content_type=arguments["mime"] if has_both else _DEFAULT_TYPE,
            body=arguments["body"].encode("utf-8", "surrogateescape") if has_both else b"",
            reports=reports_of(f"{success} {failure}"),
        )
        (outcome,) = await self._agent.send_messages(OPERATOR, [message])
        if isinstance(outcome.error, NotFoundError):
            raise NotFoundError("Unknown session")
        if outcome.error is not None:
            raise ServiceError(f"Failed to send message: {outcome.error}")

    async def list(self, arguments: Arguments) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = await self._agent.list_sessions(
                OPERATOR, ua_pb2.ListSessionsRequest(page_size=_PAGE, page_token=token)
            )
            found += map(self._listed, page.sessions)
            token = page.next_page_token
            if not token:
                return found

    def _listed(self, session: session_pb2.Session) -> dict[str, Any]:
        return {
            "session_id": session.session_id,
            "b2b_key": session.call_id,
            "type": "UAS" if session.direction == session_pb2.SESSION_DIRECTION_INBOUND else "UAC",
            "handler": "msrp_ua",
            "dlg_state": ESTABLISHED if session.state == session_pb2.SESSION_STATE_OPEN else NEW,
            # The path is the owner's own affair; whom it leads to is not.
            "peer_path": session.remote_uri,
            "lifetime": self._lifetime(session),
        }

    def _lifetime(self, session: session_pb2.Session) -> int:
        """Return the seconds that are left; 0: it has no limit."""
        application = self._applications.find(session.application)
        if application is None or not application.max_duration:
            return 0
        since = session.opened_at if session.HasField("opened_at") else session.created_at
        return max(1, round(since.seconds + application.max_duration - self._wall()))

    async def end(self, arguments: Arguments) -> None:
        asked = ua_pb2.GetSessionRequest(session_id=arguments["session_id"])
        try:
            found = (await self._agent.get_session(OPERATOR, asked)).session
            if found.state == session_pb2.SESSION_STATE_ENDED:
                raise NotFoundError("Unknown session")
            await self._agent.end_session(OPERATOR, ua_pb2.EndSessionRequest(session_id=found.session_id))
        except NotFoundError as error:
            raise NotFoundError("Unknown session") from error
        except WigwagError as error:
            raise ServiceError(f"Unable to end session: {error}") from error
