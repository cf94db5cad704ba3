"""What an offer and its answer come to, for either side (RFC 3264 section 7, RFC 6135, RFC 6714 section 4)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from .addresses import addresses_match
from .comedia import Direction, offerer_connects
from .description import SessionDescription
from .error import SdpError, refusal
from .msrp_media import MsrpMedia
from .offer_answer import UNRESOLVED


class Role(Enum):
    """Which of two descriptions is ours."""

    OFFERER = auto()
    ANSWERER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One MSRP stream that both sides want."""

    index: int
    """Of its ``m=`` line, from 0."""
    local: MsrpMedia
    remote: MsrpMedia
    active: bool
    """Whether this side opens the connection and sends the first SEND; behind a relay of its own, only the latter."""
    cema: bool
    """Whether the connection goes where ``c=`` and ``m=`` say. The paths in requests stay those of the URIs."""
    cema_failed: bool
    """Whether this side has to offer again without CEMA, because a middlebox is in the way (RFC 6714 section 4.2)."""

    @property
    def direction(self) -> Direction:
        """Which way messages go, seen from this side."""
        return self.remote.direction.answered(self.local.direction)

    @property
    def connect_to(self) -> tuple[str, int] | None:
        """Host and port to connect to; None when the peer connects, or this side reaches him by its own relay."""
        if not self.active or self.local.uses_relay:
            return None
        if self.cema:
            return self.remote.connection_address, self.remote.connection_port
        # RFC 4975 section 8.3: only the first URI matters for the connection.
        return self.remote.uris[0].host, self.remote.uris[0].port

    def may_send(self, content_type: str, *, wrapped: bool = False) -> bool:
        """Tell whether a message of this Content-Type may be sent to the peer; see ``MsrpMedia.accepts``.

        The direction does not bind notifications such as IMDN (RFC 4975 section 8.9); ask ``remote.accepts`` for them.
        """
        return self.direction.sends and self.remote.accepts(content_type, wrapped=wrapped)


def agreed(
    offered: SessionDescription,
    answered: SessionDescription,
    role: Role,
    *,
    resolved: Mapping[str, Collection[str]] = UNRESOLVED,
) -> tuple[Agreement, ...]:
    """Check an answer against its offer and return the MSRP streams that are to be.

    Args:
        offered: The offer.
        answered: The answer.
        role: Which of them is ours.
        resolved: IP addresses of the host names in the answer; see ``answer``.

    Returns:
        One agreement per accepted MSRP stream; declined streams and other media are left out.

    Raises:
        SdpError: The answer does not fit the offer; an offerer has to end the session.
    """
    if len(answered.media) != len(offered.media):
        raise refusal("the answer has not as many m= lines as the offer")
    agreements = []
    for index in range(len(offered.media)):
        if _is_accepted(offered, answered, index):
            asked, given = MsrpMedia.of(offered, index), MsrpMedia.of(answered, index)
            agreements.append(_agreement(asked, given, index, role, resolved))
    return tuple(agreements)


def _is_accepted(offered: SessionDescription, answered: SessionDescription, index: int) -> bool:
    """Tell whether both speak of the same MSRP stream and neither declines it."""
    asked, given = offered.media[index], answered.media[index]
    line = given.lines[0].number
    if (asked.media.lower(), asked.proto.upper()) != (given.media.lower(), given.proto.upper()):
        raise refusal("the answer has another medium or protocol than the offer", line=line)
    if given.port and not asked.port:
        raise refusal("the answer accepts a stream that was not offered", line=line)
    return given.port > 0 and given.is_msrp


def _agreement(
    offered: MsrpMedia, answered: MsrpMedia, index: int, role: Role, resolved: Mapping[str, Collection[str]]
) -> Agreement:
    _check_file(offered, answered)
    offerer_active = offerer_connects(offered.setup, answered.setup)
    if role is Role.ANSWERER:
        return Agreement(
            index=index,
            local=answered,
            remote=offered,
            active=not offerer_active,
            cema=answered.cema and offered.cema,
            cema_failed=False,
        )
    cema, failed = _offerers_cema(offered, answered, offerer_active, resolved)
    return Agreement(index=index, local=offered, remote=answered, active=offerer_active, cema=cema, cema_failed=failed)


def _offerers_cema(
    offered: MsrpMedia, answered: MsrpMedia, active: bool, resolved: Mapping[str, Collection[str]]
) -> tuple[bool, bool]:
    """Tell whether CEMA is used, and whether it has to be taken back (RFC 6714 section 4.2)."""
    if not offered.cema or answered.cema:
        return offered.cema, False
    if addresses_match(answered, resolved):
        return False, False
    if not active or offered.uses_relay or answered.uses_relay:
        return False, True
    # "In other cases": the middlebox anchors the connection although the answerer knows nothing of it.
    return True, False


def _check_file(offered: MsrpMedia, answered: MsrpMedia) -> None:
    if offered.file is None or answered.file is None:
        return
    if offered.file.transfer_id != answered.file.transfer_id:
        raise SdpError("the answer is about another file transfer", status=488)
