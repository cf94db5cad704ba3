"""The session descriptions of one session: what is offered, answered and agreed on (RFC 4975 section 8)."""

from collections.abc import Sequence
from typing import Protocol

from wigwag.protocols.sdp import (
    Agreement,
    Direction,
    FileSelector,
    Fingerprint,
    MediaTypes,
    MsrpMedia,
    Origin,
    Role,
    SdpError,
    SessionDescription,
    Setup,
    agreed,
    answer,
    offer,
)
from wigwag.protocols.sdp.error import WarningCode, refusal
from wigwag.protocols.sdp.msrp_media import TCP_MSRP, TCP_TLS_MSRP

from .model import MediaWish


class Reachability(Protocol):
    """How the peer gets to us: a way of MSRP."""

    @property
    def listens(self) -> bool:
        """Whether peers can connect to us, directly or at our relay."""

    @property
    def cema(self) -> bool:
        """Whether ``a=msrp-cema`` is offered (RFC 6714)."""

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """Of the certificates that we show to peers (RFC 8122)."""


class Descriptions:
    """Makes our descriptions and reads the peer's.

    What was agreed on holds until the next agreement: an offer that is refused, or not answered yet, changes nothing
    but the version of the next description (RFC 3264 section 8).

    Args:
        wish: What we want.
        number: For ``o=``: unique among our sessions.

    Attributes:
        local: Our side of what was agreed on, or our first offer.
        remote: The peer's side.
        agreement: What holds; None: nothing yet.
        holding: Whether we want nothing from the peer for now.
    """

    def __init__(self, wish: MediaWish, number: int) -> None:
        self.wish = wish
        self.local: SessionDescription | None = None
        self.remote: SessionDescription | None = None
        self.agreement: Agreement | None = None
        self.holding = False
        self._number = number
        self._role = Role.OFFERER
        self._said: SessionDescription | None = None
        """What we said last."""
        self._without_cema = False

    def offer(self, path: Sequence[str], reach: Reachability) -> bytes:
        """Return our offer, first or again.

        Args:
            path: MSRP URIs of our relays and our own.
            reach: How the peer gets to us.
        """
        media = self._media(path, reach)
        self._said = offer(media, origin=self._origin(media), previous=self._said)
        if self.agreement is None:
            self.local, self._role = self._said, Role.OFFERER
        return bytes(self._said)

    def take_answer(self, text: bytes, offered: bytes | None = None) -> Agreement:
        """Read the answer to our offer.

        Args:
            text: The answer.
            offered: The offer, when it need not be what we said last: a refresh repeats what was agreed on.

        Raises:
            SdpError: It does not fit, or declines the stream.
        """
        assert self._said is not None
        said = self._said if offered in (None, bytes(self._said)) else SessionDescription.parse(offered or b"")
        agreement = self._agree(said, SessionDescription.parse(text), Role.OFFERER)
        # RFC 6714 section 4.2: a middlebox is in the way that knows nothing of CEMA.
        self._without_cema = self._without_cema or agreement.cema_failed
        return agreement

    def changes_refused(self) -> None:
        """Hear that our last offer was refused: we go on wanting what was agreed on."""
        if self.agreement is not None:
            self.holding = self._is_holding(self.agreement)

    def read_offer(self, text: bytes) -> MsrpMedia:
        """Return the first MSRP stream of an offer.

        Raises:
            SdpError: There is none that can be read; ``status`` is 488.
        """
        return first_stream(SessionDescription.parse(text))

    def answer(self, offered: bytes, path: Sequence[str], reach: Reachability) -> bytes:
        """Return our answer to an offer.

        Raises:
            SdpError: Nothing of it can be accepted; ``status`` is 488.
        """
        remote = SessionDescription.parse(offered)
        self._check_file(remote)
        media = self._media(path, reach)
        said = answer(remote, media, origin=self._origin(media), previous=self._said)
        self._agree(said, remote, Role.ANSWERER)
        self._said = said
        return bytes(said)

    def _check_file(self, remote: SessionDescription) -> None:
        """Check that it is our file that is spoken of (RFC 5547 section 8.1): a session of ours has one only."""
        known = self.wish.file
        if known is None or known.transfer_id is None or not any(each.port for each in remote.media):
            return
        offered = first_stream(remote).file
        if offered is None:
            return
        if offered.transfer_id != known.transfer_id:
            raise refusal("another file transfer needs a session of its own")
        if not _may_be_same(known.selector, offered.selector):
            raise refusal("another file under the same a=file-transfer-id")

    def restore(self, local: bytes, remote: bytes, *, offerer: bool) -> None:
        """Go on where another was.

        Raises:
            SdpError: What was stored is no agreement.
        """
        self._said = SessionDescription.parse(local)
        role = Role.OFFERER if offerer else Role.ANSWERER
        self.holding = self._is_holding(self._agree(self._said, SessionDescription.parse(remote), role))

    def _is_holding(self, agreement: Agreement) -> bool:
        wants = self.wish.direction.receives and agreement.remote.direction.sends
        return wants and not agreement.local.direction.receives

    @property
    def is_offerer(self) -> bool:
        """Whether our description in force is an offer."""
        return self._role is Role.OFFERER

    def _agree(self, local: SessionDescription, remote: SessionDescription, role: Role) -> Agreement:
        pair = (local, remote) if role is Role.OFFERER else (remote, local)
        found = agreed(*pair, role)
        if not found:
            raise refusal("the MSRP stream was declined", WarningCode.MEDIA_TYPE_NOT_AVAILABLE)
        agreement = found[0]
        if not agreement.remote.accept_types.common_with(MediaTypes(self.wish.accept_types)):
            raise refusal("no common type in a=accept-types", WarningCode.INCOMPATIBLE_MEDIA_FORMAT)
        self.local, self.remote, self.agreement, self._role = local, remote, agreement, role
        return agreement

    def _media(self, path: Sequence[str], reach: Reachability) -> MsrpMedia:
        wish = self.wish
        wrapped = MediaTypes(wish.accept_wrapped_types) if wish.accept_wrapped_types else None
        return MsrpMedia(
            path=tuple(path),
            # Of our own URI, whatever the relays before it speak (RFC 4976 section 4).
            proto=TCP_TLS_MSRP if path[-1].lower().startswith("msrps:") else TCP_MSRP,
            accept_types=MediaTypes(wish.accept_types),
            accept_wrapped_types=wrapped,
            max_size=None if wish.streams else wish.max_size,
            setup=Setup.ACTPASS if reach.listens else Setup.ACTIVE,
            cema=reach.cema and not self._without_cema,
            fingerprints=reach.fingerprints,
            file=wish.file,
            direction=Direction.of(wish.direction.sends, wish.direction.receives and not self.holding),
        )

    def _origin(self, media: MsrpMedia) -> Origin:
        return Origin.at(media.uris[-1].host, self._number)


def _may_be_same(first: FileSelector, second: FileSelector) -> bool:
    """Tell whether two selectors can mean one file: what both say is equal."""
    pairs = ((first.name, second.name), (first.size, second.size), (first.media_type, second.media_type))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return False
    known = dict(first.hashes)
    return all(known.get(function, digest) == digest for function, digest in second.hashes)


def first_stream(description: SessionDescription) -> MsrpMedia:
    """Return the first MSRP stream of a description.

    Raises:
        SdpError: None can be read; ``status`` is 488.
    """
    problem = refusal("no MSRP stream", WarningCode.MEDIA_TYPE_NOT_AVAILABLE)
    for index in range(len(description.media)):
        try:
            return MsrpMedia.of(description, index)
        except SdpError as error:
            problem = error
    raise problem


def warning(error: SdpError) -> tuple[tuple[str, str], ...]:
    """Return the Warning of a response that refuses a session description (RFC 3261 section 20.43)."""
    return (("Warning", error.warning.header("wigwag")),)
