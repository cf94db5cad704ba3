"""Offers and answers about MSRP streams (RFC 3264, RFC 4975 section 8, RFC 6135, RFC 6714, RFC 5547 section 8).

Theory of operation. Both sides say what they want as ``MsrpMedia``. ``offer`` writes it down; ``answer`` pairs each
offered stream, in the offer's order, with the first wish that fits and that was not taken yet, and declines the rest by
port 0; ``agreed`` (agreement.py) reads what came out of both. A later description of the same dialog is made from the
``previous`` one of the same side: it keeps the number and order of streams, and its version grows by one exactly when
something else changed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeAlias

from wigwag.errors import LocalProtocolError

from .addresses import addresses_match
from .comedia import Direction, Setup
from .description import MediaDescription, SdpAttribute, SessionDescription
from .error import SdpError, WarningCode, refusal
from .fields import Connection, Origin
from .line import Line
from .msrp_media import MsrpMedia

Stream: TypeAlias = MsrpMedia | MediaDescription | None
"""What becomes of one ``m=`` line: an MSRP stream, another stream as it is, or none (port 0)."""

UNRESOLVED: Final[Mapping[str, Collection[str]]] = MappingProxyType({})
"""No name is known."""


def offer(
    media: MsrpMedia | Sequence[Stream], *, origin: Origin | None = None, previous: SessionDescription | None = None
) -> SessionDescription:
    """Return an offer.

    Args:
        media: One stream per ``m=`` line. In a later offer those beyond the end, and None, are switched off.
        origin: Who offers, in the first offer of a dialog.
        previous: The last description that this side sent in the dialog, offer or answer; the offer is this very
            object when nothing changed.

    Raises:
        LocalProtocolError: Neither ``origin`` nor ``previous``, a first offer with None, or a stream that is to be
            ``passive`` or ``holdconn``, which an MSRP offer must not say (RFC 6135 section 4.2).
    """
    streams: list[Stream] = [media] if isinstance(media, MsrpMedia) else list(media)
    before = () if previous is None else previous.media
    streams += [None] * (len(before) - len(streams))
    if any(stream is None for stream in streams[len(before) :]):
        raise LocalProtocolError("a new stream that is none")
    written = [_declined(before[index]) if stream is None else _offered(stream) for index, stream in enumerate(streams)]
    head = ("s=-", "t=0 0") if previous is None else _head_of(previous)
    return _described(written, head, origin, previous)


def answer(
    offered: SessionDescription,
    media: MsrpMedia | Sequence[MsrpMedia],
    *,
    origin: Origin | None = None,
    previous: SessionDescription | None = None,
    resolved: Mapping[str, Collection[str]] = UNRESOLVED,
) -> SessionDescription:
    """Return the answer to an offer.

    Args:
        offered: The offer.
        media: What this side would take part in; each is used for one stream at most. ``setup`` says what this side
            can do: ``active`` for one that can't be reached, ``passive`` for one that can't connect, anything else
            for both. ``file`` has to be given for streams that transfer a file, and only for those.
        origin: Who answers, in the first answer of a dialog.
        previous: The last description that this side sent in the dialog; see ``offer``.
        resolved: IP addresses of the host names in the offer, for the comparison of RFC 6714 section 4.4; a name that
            is absent is taken to be equal to anything.

    Raises:
        SdpError: No stream of the offer can be accepted; ``status`` is 488 and ``warning`` says why. An update that
            only ends streams has nothing to accept and is answered.
        LocalProtocolError: Neither ``origin`` nor ``previous``.
    """
    spare = [media] if isinstance(media, MsrpMedia) else list(media)
    refusals: list[SdpError] = []
    written: list[MsrpMedia | MediaDescription] = []
    for index, described in enumerate(offered.media):
        try:
            written.append(_accepted(offered, index, spare, resolved) if described.port else _declined(described))
        except SdpError as error:
            refusals.append(error)
            written.append(_declined(described))
    if not any(isinstance(stream, MsrpMedia) for stream in written) and (refusals or previous is None):
        raise _telling(refusals)
    # RFC 3264 section 6: the t= line of the answer is that of the offer.
    times = [str(line) for line in offered.lines if line.type == "t"] or ["t=0 0"]
    return _described(written, ("s=-", *times), origin, previous)


def held(previous: SessionDescription, *, on: bool = True) -> SessionDescription:
    """Return the offer that stops the peer's messages, or lets them come again (RFC 3264 section 8.4).

    Args:
        previous: The last description that this side sent in the dialog.
        on: False to resume.
    """
    streams: list[Stream] = []
    for index, described in enumerate(previous.media):
        if not described.port or not described.is_msrp:
            streams.append(described if described.port else None)
            continue
        stream = MsrpMedia.of(previous, index)
        setup = stream.setup if stream.setup is Setup.ACTIVE else Setup.ACTPASS
        streams.append(replace(stream, setup=setup, direction=Direction.of(stream.direction.sends, not on)))
    return offer(streams, previous=previous)


def _offered(stream: MsrpMedia | MediaDescription) -> MsrpMedia | MediaDescription:
    if isinstance(stream, MediaDescription):
        return stream
    if stream.setup in (Setup.PASSIVE, Setup.HOLDCONN):
        raise LocalProtocolError(f"an MSRP offer with a=setup:{stream.setup.value}")
    if stream.setup is None or (stream.cema and stream.uses_relay):
        # RFC 6135 section 4.2.1: always explicit. RFC 6714 section 4.2, item 3: actpass with a relay.
        return replace(stream, setup=Setup.ACTPASS)
    return stream


def _accepted(
    offered: SessionDescription, index: int, spare: list[MsrpMedia], resolved: Mapping[str, Collection[str]]
) -> MsrpMedia:
    line = offered.media[index].lines[0].number
    stream = MsrpMedia.of(offered, index)
    if not spare:
        raise refusal("one MSRP stream more than can be accepted", WarningCode.MISCELLANEOUS, line=line)
    obstacles = [_obstacle(stream, wish, resolved) for wish in spare]
    for at, obstacle in enumerate(obstacles):
        if obstacle is None:
            return _reply(stream, spare.pop(at))
    cause, code = obstacles[0] or ("", WarningCode.MISCELLANEOUS)
    raise refusal(cause, code, line=line)


def _obstacle(
    stream: MsrpMedia, wish: MsrpMedia, resolved: Mapping[str, Collection[str]]
) -> tuple[str, WarningCode] | None:
    """Return why ``wish`` is no answer to ``stream``, None if it is one."""
    if stream.secure != wish.secure:
        return f"{wish.proto} is wanted here", WarningCode.INCOMPATIBLE_TRANSPORT_PROTOCOL
    if not stream.accept_types.common_with(wish.accept_types):
        return "no common type in a=accept-types", WarningCode.INCOMPATIBLE_MEDIA_FORMAT
    if (stream.file is None) != (wish.file is None):
        return f"{'no file' if wish.file is None else 'a file'} is wanted here", WarningCode.MISCELLANEOUS
    if _must_be_active(stream) and wish.setup is Setup.ACTIVE and not wish.uses_relay:
        return "both sides can only be active", WarningCode.MISCELLANEOUS
    if stream.setup is Setup.PASSIVE and wish.setup is Setup.PASSIVE:
        return "both sides can only be passive", WarningCode.MISCELLANEOUS
    if wish.cema and not stream.cema and not addresses_match(stream, resolved):
        # RFC 6714 section 4.3: a middlebox without CEMA is in the way.
        return "c= and m= differ from a=path, without a=msrp-cema", WarningCode.MISCELLANEOUS
    return None


def _must_be_active(stream: MsrpMedia) -> bool:
    """Tell whether the offerer connects whatever the answer says (RFC 4975 section 8.5, RFC 6135 section 4.2.1)."""
    return stream.setup in (None, Setup.ACTIVE, Setup.HOLDCONN)


def _reply(stream: MsrpMedia, wish: MsrpMedia) -> MsrpMedia:
    cema = wish.cema and stream.cema and _cema_possible(stream, wish)
    file = wish.file
    if file is not None and stream.file is not None:
        # RFC 5547 section 8.1: the answer repeats the identifier.
        file = replace(file, transfer_id=stream.file.transfer_id)
    return replace(
        wish,
        setup=_answered_setup(stream, wish, cema),
        direction=stream.direction.answered(wish.direction),
        cema=cema,
        file=file,
    )


def _cema_possible(stream: MsrpMedia, wish: MsrpMedia) -> bool:
    """Apply the three exceptions of RFC 6714 section 4.3, and 4.1: who has a relay has to be the passive one."""
    if stream.uses_relay:
        return not wish.uses_relay and not _must_be_active(stream) and wish.setup is not Setup.PASSIVE
    return not (wish.uses_relay and stream.setup is Setup.PASSIVE)


def _answered_setup(stream: MsrpMedia, wish: MsrpMedia, cema: bool) -> Setup:
    if stream.setup is Setup.PASSIVE:
        return Setup.ACTIVE
    if stream.setup is not Setup.ACTPASS:
        return Setup.PASSIVE
    if cema and (stream.uses_relay or wish.uses_relay):
        return Setup.ACTIVE if stream.uses_relay else Setup.PASSIVE
    # RFC 6135 section 4.2.2: who is not behind a NAT should be passive.
    return Setup.ACTIVE if wish.setup is Setup.ACTIVE else Setup.PASSIVE


def _declined(described: MediaDescription) -> MediaDescription:
    """Return the same ``m=`` line with port 0 (RFC 3264 section 6)."""
    line = replace(described.media_line, port=0, port_count=None)
    # RFC 5547 section 8.1: the identifier of a file transfer is repeated here too.
    kept = [SdpAttribute("file-transfer-id", value) for value in described.attribute_values("file-transfer-id")[:1]]
    return MediaDescription((Line("m", str(line)), *(attribute.line() for attribute in kept)))


def _telling(refusals: Iterable[SdpError]) -> SdpError:
    """Return the refusal of an MSRP stream rather than that of another one."""
    known = sorted(refusals, key=lambda error: error.warning.code == WarningCode.MEDIA_TYPE_NOT_AVAILABLE)
    return known[0] if known else refusal("no media", WarningCode.MEDIA_TYPE_NOT_AVAILABLE)


def _head_of(previous: SessionDescription) -> tuple[str, ...]:
    return tuple(str(line) for line in previous.lines if line.type not in "voc")


def _described(
    streams: Sequence[MsrpMedia | MediaDescription],
    head: Iterable[str],
    origin: Origin | None,
    previous: SessionDescription | None,
) -> SessionDescription:
    since = origin if previous is None else previous.origin
    if since is None:
        raise LocalProtocolError("a first description without an origin")
    own = (stream.connection_address for stream in streams if isinstance(stream, MsrpMedia))
    address = next(own, since.address)
    rows = ["v=0", f"o={since}", *head]
    lines = [Line(row[0], row[2:]) for row in rows]
    # c= stands before t= and all that may follow it (RFC 8866 section 9).
    at = next((index for index, line in enumerate(lines) if line.type in "btrzka"), len(lines))
    lines.insert(at, Line("c", str(Connection.to(address))))
    media = (stream.describe(address) if isinstance(stream, MsrpMedia) else stream for stream in streams)
    new = SessionDescription(tuple(lines), tuple(media))
    if previous is None:
        return new
    return previous if new == previous else new.with_origin(since.next_version())
