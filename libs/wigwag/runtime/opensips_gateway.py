"""The event of OpenSIPS's module msrp_gateway, in the JSON-RPC notifications of its event_stream."""

from typing import Any, Final, Protocol

SETUP_FAILED: Final = "E_MSRP_GW_SETUP_FAILED"


class Failure(Protocol):
    """A session that could not be set up, as the bus and the contract for operators have it."""

    key: str
    from_uri: str
    to_uri: str
    code: int
    reason: str
    remedy: str

    @property
    def message_ids(self) -> Any:
        """The messages that waited for it."""


def setup_failed(failure: Failure) -> dict[str, Any]:
    """Return the notification: what OpenSIPS has, then which messages are concerned and what becomes of them.

    The URIs are those of a MESSAGE that tells the page-mode side of it, from the session-mode side. As there, code and
    reason are null when no response came.
    """
    return {
        "jsonrpc": "2.0",
        "method": SETUP_FAILED,
        "params": {
            "key": failure.key,
            "from_uri": failure.to_uri,
            "to_uri": failure.from_uri,
            "ruri": failure.from_uri,
            "code": failure.code or None,
            "reason": failure.reason if failure.code else None,
            "message_ids": list(failure.message_ids),
            "remedy": failure.remedy,
        },
    }
