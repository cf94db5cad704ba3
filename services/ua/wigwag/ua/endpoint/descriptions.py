"""The session descriptions of one session: what is offered, answered and agreed on (RFC 4975 section 8)."""

from collections.abc import Sequence

from wigwag.protocols.sdp import (
    Agreement,
    Direction,
    MediaTypes,
    MsrpMedia,
    Origin,
    Role,
    SdpError,
    SessionDescription,
    Setup,
    agreed,
    answer,
    held,
    offer,
)
from wigwag.protocols.sdp.error import WarningCode, refusal

from .model import MediaWish


class Descriptions:
    """Makes our descriptions and reads the peer's; each is kept until the next.

    Args:
        wish: What we want.
        number: For ``o=``: unique among our sessions.

    Attributes:
        local: What we said last.
        remote: What the peer said last.
        agreement: What holds; None: nothing yet.
    """

    def __init__(self, wish: MediaWish, number: int) -> None:
        self.wish = wish
        self.local: SessionDescription | None = None
        self.remote: SessionDescription | None = None
        self.agreement: Agreement | None = None
        self._number = number
        self._role = Role.OFFERER
        self._holding = False

    def offer(self, path: Sequence[str], *, listens: bool) -> bytes:
        """Return our offer, first or again.

        Args:
            path: MSRP URIs of our relays and our own.
            listens: Whether peers can connect to us, directly or at our relay.
        """
        media = self._media(path, listens=listens)
        self.local = offer(media, origin=self._origin(media), previous=self.local)
        self._role = Role.OFFERER
        return bytes(self.local)

    def offer_again(self) -> bytes:
        """Return the offer that repeats what we said last: for a re-INVITE that has none."""
        assert self.local is not None
        self._role = Role.OFFERER
        return bytes(self.local)

    def hold(self, *, on: bool) -> bytes:
        """Return the offer that stops what the peer sends, or lets it come again (RFC 3264 section 8.4)."""
        assert self.local is not None
        self._holding = on
        self.local = held(self.local, on=on)
        self._role = Role.OFFERER
        return bytes(self.local)

    def take_answer(self, text: bytes) -> Agreement:
        """Read the answer to our offer.

        Raises:
            SdpError: It does not fit, or declines the stream.
        """
        assert self.local is not None
        remote = SessionDescription.parse(text)
        return self._agree(self.local, remote, remote)

    def read_offer(self, text: bytes) -> MsrpMedia:
        """Return the first MSRP stream of an offer.

        Raises:
            SdpError: There is none that can be read; ``status`` is 488.
        """
        return first_stream(SessionDescription.parse(text))

    def answer(self, offered: bytes, path: Sequence[str], *, listens: bool) -> bytes:
        """Return our answer to an offer.

        Raises:
            SdpError: Nothing of it can be accepted; ``status`` is 488.
        """
        remote = SessionDescription.parse(offered)
        media = self._media(path, listens=listens)
        self.local = answer(remote, media, origin=self._origin(media), previous=self.local)
        self._role = Role.ANSWERER
        self._agree(remote, self.local, remote)
        return bytes(self.local)

    def restore(self, local: bytes, remote: bytes, *, offerer: bool) -> None:
        """Go on where another was.

        Raises:
            SdpError: What was stored is no agreement.
        """
        self.local, self.remote = SessionDescription.parse(local), SessionDescription.parse(remote)
        self._holding = self.wish.direction.receives and not first_stream(self.local).direction.receives
        self._role = Role.OFFERER if offerer else Role.ANSWERER
        pair = (self.local, self.remote) if offerer else (self.remote, self.local)
        self._agree(*pair, self.remote)

    @property
    def is_offerer(self) -> bool:
        """Whether our description in force is an offer."""
        return self._role is Role.OFFERER

    def _agree(
        self, offered: SessionDescription, answered: SessionDescription, remote: SessionDescription
    ) -> Agreement:
        found = agreed(offered, answered, self._role)
        if not found:
            raise refusal("the MSRP stream was declined", WarningCode.MEDIA_TYPE_NOT_AVAILABLE)
        agreement = found[0]
        if not agreement.remote.accept_types.common_with(MediaTypes(self.wish.accept_types)):
            raise refusal("no common type in a=accept-types", WarningCode.INCOMPATIBLE_MEDIA_FORMAT)
        self.remote, self.agreement = remote, agreement
        return agreement

    def _media(self, path: Sequence[str], *, listens: bool) -> MsrpMedia:
        wish = self.wish
        wrapped = MediaTypes(wish.accept_wrapped_types) if wish.accept_wrapped_types else None
        return MsrpMedia(
            path=tuple(path),
            accept_types=MediaTypes(wish.accept_types),
            accept_wrapped_types=wrapped,
            max_size=None if wish.streams else wish.max_size,
            setup=Setup.ACTPASS if listens else Setup.ACTIVE,
            file=wish.file,
            direction=Direction.of(wish.direction.sends, wish.direction.receives and not self._holding),
        )

    def _origin(self, media: MsrpMedia) -> Origin:
        return Origin.at(media.uris[-1].host, self._number)


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
