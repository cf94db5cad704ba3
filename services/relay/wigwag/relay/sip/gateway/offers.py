"""Whether an INVITE asks for a session of messages, and what answers say that a device takes none (RFC 4975, 3841)."""

import re
from typing import TYPE_CHECKING, Final

from wigwag.relay.sip.pager.storing import is_local
from wigwag.runtime.capabilities import capabilities

if TYPE_CHECKING:
    from wigwag.protocols.sip import Request
    from wigwag.relay.sip.proxy.forwarding_branch import Branch

_MEDIA: Final = re.compile(rb"^m=(\S+) +([0-9]+)\S* +(\S+)", re.MULTILINE)
_MSRP: Final = ("tcp/msrp", "tcp/tls/msrp")
_FILE: Final = b"\na=file-selector:"
_NO_SESSIONS: Final = frozenset({405, 415, 488, 501, 606})


def asks_for_messages(request: "Request") -> bool:
    """Tell whether an INVITE is for a session of messages, and for nothing else.

    Its offer has MSRP only, and is no file transfer (RFC 5547); one that comes without an offer names a feature of
    messages in Accept-Contact: of any other nobody knows yet what it is for.
    """
    body = request.body
    if not body:
        return any(map(_wants_messages, request.items("accept-contact")))
    media = [(kind, proto) for kind, port, proto in _MEDIA.findall(body) if int(port)]
    return bool(media) and _FILE not in body and all(_is_messages(*each) for each in media)


def takes_no_sessions(branch: "Branch") -> bool:
    """Tell whether a device has answered that it takes no session such as was offered."""
    return branch.final is not None and not is_local(branch) and branch.final.status in _NO_SESSIONS


def _is_messages(kind: bytes, proto: bytes) -> bool:
    return kind.lower() == b"message" and proto.decode("latin-1").lower() in _MSRP


def _wants_messages(value: str) -> bool:
    _, separator, params = value.partition(";")
    return capabilities(separator + params).session is True
