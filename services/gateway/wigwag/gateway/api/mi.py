"""MI commands of OpenSIPS's module msrp_gateway: its parameters, replies and errors, over our use cases."""

from typing import Any

from wigwag.api.gateway.v1 import conversation_pb2, gateway_pb2
from wigwag.errors import InvalidRequestError, NotFoundError, ServiceError, WigwagError
from wigwag.gateway.operations import Operations
from wigwag.runtime.management import Arguments, Command


def gateway_commands(operations: Operations) -> list[Command]:
    """Return the commands.

    Args:
        operations: The use cases.
    """
    commands = _Commands(operations)
    return [
        Command(
            name="msrp_gateway:list_sessions",
            aliases=("msrp_gw_list_sessions",),
            run=commands.list,
            changes=False,
            summary="Conversations between a page-mode and a session-mode user that are not closed.",
        ),
        Command(
            name="msrp_gateway:end_session",
            aliases=("msrp_gw_end_session",),
            run=commands.end,
            required=("key",),
            summary="Hang up in a conversation.",
        ),
    ]


class _Commands:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def list(self, arguments: Arguments) -> list[dict[str, Any]]:
        return [
            {
                "key": each.key,
                "msg_side_to": each.page,
                "msg_side_ruri": each.page,
                "msrp_ua_session_id": each.session_id,
            }
            for each in await self._operations.conversations()
        ]

    async def end(self, arguments: Arguments) -> None:
        key = arguments["key"]
        try:
            found = await self._operations.get_conversation(gateway_pb2.GetConversationRequest(key=key))
            if found.conversation.state == conversation_pb2.CONVERSATION_STATE_CLOSED:
                raise NotFoundError("Session doesn't exist")
            await self._operations.end_conversation(gateway_pb2.EndConversationRequest(key=key))
        except (NotFoundError, InvalidRequestError) as error:
            raise NotFoundError("Session doesn't exist") from error
        except WigwagError as error:
            raise ServiceError(f"Unable to end session: {error}") from error
