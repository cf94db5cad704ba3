"""The routing question asked of an HTTP service."""

from dataclasses import asdict

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import MsrpUri
from wigwag.runtime.http_hook import HookError, HttpHook

from .routing import RouteDecision, RouteQuestion


class HttpRouteHook:
    """Asks before the routing table is looked at.

    The question is ``{"source", "listener", "scheme", "destination"}``. The answer is 404 to let the table decide, or
    200 with ``{"action": "refuse", "reason"}`` or ``{"action": "forward", "out_listener", "next_hop",
    "allow_private"}``; all but ``action`` may be left out.
    """

    def __init__(self, hook: HttpHook) -> None:
        self._hook = hook

    async def decide(self, question: RouteQuestion) -> RouteDecision | None:
        """Return the service's decision, or None when it leaves it to the table.

        Raises:
            HookError: There is no usable answer.
        """
        answer = await self._hook.ask(asdict(question))
        if answer is None:
            return None
        action = answer.get("action")
        if action == "refuse":
            return RouteDecision(refused=_printable(str(answer.get("reason") or "refused by policy")))
        if action != "forward":
            raise HookError("action is neither forward nor refuse")
        next_hop, listener = answer.get("next_hop"), answer.get("out_listener")
        try:
            uri = MsrpUri.parse(str(next_hop)) if next_hop else None
        except RemoteProtocolError as error:
            raise HookError(f"next_hop: {error.reason}") from error
        return RouteDecision(
            out_listener=str(listener) if listener else None,
            next_hop=uri,
            allow_private=answer.get("allow_private") is True,
        )


def _printable(text: str) -> str:
    """Return what can stand in a status line's comment."""
    return "".join(character if " " <= character <= "~" else "?" for character in text[:200])
