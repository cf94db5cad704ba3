"""What a body becomes on its way from one side to the other (RFC 3862 section 4, RFC 4975 section 8.6, RFC 5438).

Theory of operation. What the other side takes as it came goes as it came. A body is wrapped in message/cpim when that
alone can say something, or is the only way in which the other side takes it, and unwrapped when it takes no
message/cpim. What the sender asked for by IMDN then can't be answered by the recipient: ``owed`` says that it is the
gateway's to do.
The same message becomes the same octets whenever it is asked: nothing here depends on the time.
"""

from dataclasses import dataclass
from functools import lru_cache

from wigwag.protocols.cpim import CPIM_TYPE, CpimMessage
from wigwag.protocols.imdn import message_id_of, requested
from wigwag.protocols.sdp import MediaTypes

from .config import GatewaySettings
from .kinds import Content, RefusedError, bare, is_known_type
from .wrapping import Headers, PageMessage, page_headers, says_more, stays_wrapped, wrapped


@dataclass(frozen=True, slots=True)
class Accepts:
    """What the peer of a session takes."""

    types: tuple[str, ...] = ()
    """Empty: that is not known yet."""
    wrapped: tuple[str, ...] = ()
    """Types that it takes within message/cpim only."""
    max_size: int = 0
    """Octets of the largest message; 0: it does not say."""

    def bare(self, media_type: str) -> bool:
        """Tell whether it takes a type as it is."""
        return not self.types or takes(self.types, media_type)

    def within_cpim(self, media_type: str) -> bool:
        """Tell whether it takes a type within message/cpim."""
        in_it = takes(self.wrapped, media_type) or takes(self.types, media_type)
        return not self.types or (takes(self.types, CPIM_TYPE) and in_it)

    def fits(self, size: int) -> bool:
        """Tell whether a message is not too large for it."""
        return not self.max_size or size <= self.max_size


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContent:
    """What is sent into a session."""

    content_type: str
    body: bytes
    owed: CpimMessage | None = None
    """The wrapping that was taken off: its sender asked to be told what becomes of the message, and only the gateway
    can do it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """What is sent as SIP MESSAGE."""

    content_type: str
    body: bytes
    headers: Headers = ()
    """Subject, Date and Content-*."""
    imdn_message_id: str = ""
    """By which a notification of the recipient will refer to it; empty: none will come."""
    owed: CpimMessage | None = None
    """As with ``SessionContent``."""


def to_session(message: PageMessage, peer: Accepts, settings: GatewaySettings) -> SessionContent:
    """Return a MESSAGE as the peer of a session takes it.

    Raises:
        RefusedError: It is malformed (400), too large (413), or of a type that is not taken (415).
    """
    content = message.content
    if content.error is not None:
        raise content.error
    if not content.body:
        raise RefusedError(400, "a MESSAGE without a body")
    if message.get("content-encoding").strip().lower() not in ("", "identity"):
        raise RefusedError(415, "a body with a Content-Encoding")
    if content.message is not None:
        return _as_it_came(content, content.message, peer, settings) or _unwrapped_for(content, peer, settings)
    _check_type(content.media_type, settings)
    if not peer.bare(content.media_type):
        return _only_wrapped(message, peer)
    in_cpim = wrapped(message) if says_more(message) and _can_wrap(content, peer) else None
    if in_cpim is not None and peer.fits(len(in_cpim)):
        return SessionContent(content_type=CPIM_TYPE, body=in_cpim)
    return _fitting(SessionContent(content_type=content.content_type, body=content.body), peer)


def _can_wrap(content: Content, peer: Accepts) -> bool:
    return bool(peer.types) and peer.within_cpim(content.media_type)


def _only_wrapped(message: PageMessage, peer: Accepts) -> SessionContent:
    in_cpim = wrapped(message) if _can_wrap(message.content, peer) else None
    if in_cpim is None:
        raise RefusedError(415, f"the recipient takes {' '.join(peer.types)}")
    return _fitting(SessionContent(content_type=CPIM_TYPE, body=in_cpim), peer)


def _fitting(content: SessionContent, peer: Accepts) -> SessionContent:
    if not peer.fits(len(content.body)):
        raise RefusedError(413, f"the recipient takes {peer.max_size} octets")
    return content


def _as_it_came(
    content: Content, message: CpimMessage, peer: Accepts, settings: GatewaySettings
) -> SessionContent | None:
    """Return message/cpim that stays what it is; None: the peer does not take it."""
    _check_type(message.media_type, settings)
    if not peer.within_cpim(message.media_type) or not peer.fits(len(content.body)):
        return None
    return SessionContent(content_type=content.content_type, body=content.body)


def _unwrapped_for(content: Content, peer: Accepts, settings: GatewaySettings) -> SessionContent:
    inner = _unwrapped(content, settings)
    if not peer.bare(inner.media_type):
        raise RefusedError(415, f"the recipient takes {' '.join(peer.types)}")
    owed = _owed(content.message)
    return _fitting(SessionContent(content_type=inner.content_type, body=inner.body, owed=owed), peer)


def _unwrapped(content: Content, settings: GatewaySettings) -> Content:
    """Return what is inside, if it says the same without its wrapping."""
    assert content.message is not None
    if content.message.required:
        raise RefusedError(415, "message/cpim that requires what gets lost without it")
    inner = content.inner()
    if inner.error is not None:
        raise inner.error
    if not inner.body:
        raise RefusedError(400, "message/cpim without content")
    _check_type(inner.media_type, settings)
    return inner


def _owed(message: CpimMessage | None) -> CpimMessage | None:
    return message if message is not None and requested(message) else None


def _check_type(media_type: str, settings: GatewaySettings) -> None:
    if settings.unknown_types == "refuse" and not is_known_type(media_type):
        raise RefusedError(415, "only text, message/cpim, IMDN and is-composing are passed")


def to_page(content: Content, *, page: str, session: str, settings: GatewaySettings, cpim: bool = True) -> PageContent:
    """Return what came by a session as a MESSAGE carries it.

    Args:
        content: What came.
        page: Canonical address of the recipient.
        session: Canonical address of the sender.
        settings: What is passed, and how large.
        cpim: Whether message/cpim stays when names or IMDN demand it; False: the recipient's device does not take it.

    Raises:
        RefusedError: It is malformed (400), too large (413), or of a type that is not passed (415).
    """
    if content.error is not None:
        raise content.error
    if not content.body:
        raise RefusedError(400, "a message without a body")
    message = content.message
    if message is None:
        _check_type(content.media_type, settings)
        return _sized(PageContent(content_type=content.content_type, body=content.body), settings)
    if cpim and stays_wrapped(message, page, session):
        _check_type(message.media_type, settings)
        known_by = (message_id_of(message) or "") if requested(message) else ""
        kept = PageContent(content_type=content.content_type, body=content.body, imdn_message_id=known_by)
        return _sized(kept, settings)
    inner = _unwrapped(content, settings)
    headers = tuple(page_headers(message))
    return _sized(
        PageContent(content_type=inner.content_type, body=inner.body, headers=headers, owed=_owed(message)), settings
    )


def _sized(content: PageContent, settings: GatewaySettings) -> PageContent:
    largest = settings.limits.message_bytes
    if len(content.body) > largest:
        raise RefusedError(413, f"more than {largest} octets for a page-mode recipient")
    return content


@lru_cache(maxsize=4_096)
def takes(types: tuple[str, ...], content_type: str) -> bool:
    """Tell whether one of these media ranges covers a type; parameters do not matter."""
    return bool(types) and MediaTypes(types).accepts(bare(content_type))
