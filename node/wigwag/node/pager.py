"""What ``wigwag send`` and ``wigwag receive`` do: one message out, or messages in until it is enough."""

import asyncio
import base64
import contextlib
import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wigwag.errors import ProtocolError, WigwagError
from wigwag.protocols.cpim import CPIM_TYPE, CpimMessage
from wigwag.protocols.sip import SipError
from wigwag.protocols.sip.user_agent import AgentOptions, MessageReceived
from wigwag.transport.sip_client import Delivery, Sent, SipClientOptions

from .sip_account import SipAccount

ACCEPTED, REFUSED, UNANSWERED = 3, 4, 5
"""Exit statuses besides 0, which is: delivered, or as many messages received as wanted."""
_STATUSES = {Delivery.DELIVERED: 0, Delivery.ACCEPTED: ACCEPTED, Delivery.REFUSED: REFUSED}
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a message."""

    delivery: str
    """``delivered``, ``accepted``, ``refused`` or ``unknown``."""
    status: int | None
    """Status code of the final response, if there was one."""
    reason: str
    exit_status: int

    @property
    def text(self) -> str:
        """In words."""
        outcome = "no answer" if self.delivery == _UNKNOWN else self.delivery
        status = "" if self.status is None else f"{self.status} "
        hint = " (wrong user name or password?)" if self.status in (401, 407) else ""
        return f"{outcome}: {status}{self.reason}{hint}"

    def members(self) -> dict[str, Any]:
        """For JSON."""
        return {"delivery": self.delivery, "status": self.status, "reason": self.reason}


async def send_message(account: SipAccount, to: str, content_type: str, body: bytes, timeout: float) -> Report:
    """Send one message and say what became of it.

    Raises:
        SipError: ``to`` is no address that can be sent to.
    """
    try:
        async with asyncio.timeout(timeout), account.client(SipClientOptions(register=False)) as client:
            return _report(await client.send_message(to, content_type, body))
    except SipError:
        raise
    except TimeoutError:
        return Report(delivery=_UNKNOWN, status=None, reason=f"{timeout:g} seconds are over", exit_status=UNANSWERED)
    except WigwagError as error:
        return Report(delivery=_UNKNOWN, status=None, reason=str(error), exit_status=UNANSWERED)


def _report(sent: Sent) -> Report:
    delivery = sent.delivery
    return Report(
        delivery=delivery.value,
        status=sent.response.status,
        reason=sent.response.reason,
        exit_status=_STATUSES[delivery],
    )


class Receiving:
    """Messages that come to a user until there are enough, the time is over, or somebody ends it.

    Args:
        account: Whose messages.
        show: Gets each message in order.
        changed: Told whether messages can come now, whenever that changes.
        count: How many are enough; None: none.
        timeout: Seconds after which it ends; None: never.
    """

    def __init__(
        self,
        account: SipAccount,
        *,
        show: Callable[[MessageReceived], None],
        changed: Callable[[bool], None],
        count: int | None,
        timeout: float | None,
    ) -> None:
        self._account = account
        self._show = show
        self._changed = changed
        self._missing = count
        self._timeout = timeout
        self._enough = asyncio.Event()
        self._ending = False

    async def run(self) -> int:
        """Receive; return the exit status.

        Raises:
            RegistrationError: The server refuses.
            TransportError: There is no way to the server.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._enough.set)
        receiving = asyncio.create_task(self._receive())
        enough = asyncio.create_task(self._enough.wait())
        done, _ = await asyncio.wait((receiving, enough), timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
        self._ending = True
        enough.cancel()
        receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await receiving
        return UNANSWERED if not done and self._missing else 0

    async def _receive(self) -> None:
        options = SipClientOptions(agent=AgentOptions(expires=600), longest_wait=60.0)
        async with self._account.client(options, self._take, self._tell) as client:
            await client.wait_lost()

    def _tell(self, reached: bool) -> None:
        if not self._ending:
            self._changed(reached)

    def _take(self, message: MessageReceived) -> None:
        # RFC 3428 section 7: what came too late is not shown; that somebody types is no message (RFC 3994).
        if message.expired or self._enough.is_set() or message.media_type == "application/im-iscomposing+xml":
            return
        self._show(message)
        if self._missing is not None:
            self._missing -= 1
            if self._missing <= 0:
                self._enough.set()


def message_as_json(message: MessageReceived) -> str:
    """Return a message as one line of JSON; a body that is no UTF-8 as Base64."""
    members: dict[str, Any] = {
        "time": time.time(),
        "from": message.from_uri,
        "display_name": message.display_name,
        "to": message.to_uri,
        "content_type": message.content_type,
        "call_id": message.call_id,
    }
    try:
        members["text"] = message.body.decode()
    except UnicodeDecodeError:
        members["base64"] = base64.b64encode(message.body).decode("ascii")
    return json.dumps(members, ensure_ascii=False)


def readable_message(message: MessageReceived) -> str:
    """Return a message as text for people: who it is from, and the text or what it is instead."""
    sender = f"{message.display_name} <{message.from_uri}>" if message.display_name else message.from_uri
    content_type, body = _said(message)
    if not content_type or content_type.lower().startswith("text/"):
        return f"{sender}: {body.decode(errors='replace')}"
    return f"{sender}: [{content_type}, {len(body)} octets]"


def _said(message: MessageReceived) -> tuple[str, bytes]:
    """Return type and body of what somebody says: of what is inside of message/cpim, if it can be read."""
    if message.media_type == CPIM_TYPE:
        with contextlib.suppress(ProtocolError):
            wrapped = CpimMessage.parse(message.body)
            return wrapped.content_type, wrapped.content
    return message.content_type, message.body
