"""MSRP sessions as an endpoint knows them, and which connection each is bound to (RFC 4975 sections 5.4, 7.3, 8.6)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from wigwag.errors import ConflictError

from .grammar import Path
from .uri import MsrpUri, UriKey

# All MSRP endpoints MUST be able to receive these (RFC 4975 section 7.3.1).
_ALWAYS_ACCEPTED: Final = frozenset(("multipart/mixed", "multipart/alternative"))


class SessionState(Enum):
    """Whether a session can still be used for sending."""

    OPEN = "open"
    FAILED = "failed"
    """Octets are missing at the peer or he denies the session: it goes on only over new URIs (section 7.3.2)."""
    ENDED = "ended"


@dataclass(slots=True, eq=False, kw_only=True)
class Session:
    """One session, with what signalling agreed on for it."""

    local_uri: MsrpUri
    """Our URI: From-Path of what we send, To-Path of what is for us."""
    remote_path: Path
    """To-Path of what we send: our relays (Use-Path), then the path from the peer's SDP. The peer's requests carry the
    same URIs in the same order in From-Path, because every relay moves its own from one to the other."""
    other_path: Path | None = None
    """Another path that the peer's requests may carry for now: ours is about to change, or has just changed."""
    accept_types: tuple[str, ...] = ("*",)
    """Our a=accept-types in lower case: ``type/subtype``, ``type/*`` or ``*``."""
    max_size: int | None = None
    """Our a=max-size: octets of the largest message we take; None is no limit."""
    passive: bool = False
    """Whether the peer opens the connection: the session is then bound to the one its first request comes over."""
    automatic_reports: bool = True
    """Whether the engine sends success REPORTs when a message is complete; otherwise the application does, when it
    knows what became of it."""
    deferred_acceptance: bool = False
    """Whether the chunk that completes a message is answered, and reported on, only when the application calls
    ``Connection.accept_message`` or ``refuse_message``; chunks before it are answered as they come."""
    resumable: bool = False
    """Whether a 408 that a relay tells of fails its message only, in spite of section 7.3.2: the path holds as long as
    the relay keeps the peer's URI for him, and a SEND to one that is gone is answered 481. A deviation: see
    ``docs/decisions/0004-resume.md``."""
    continued: bool = False
    """Whether it goes on over another connection than it began with, perhaps of another process: then a chunk that does
    not begin its message, and follows nothing that came here, is refused with 413. Its beginning was answered elsewhere
    and is lost, so the message can't become complete, and its sender has to know."""
    continues: bool = False
    """Whether the beginning of a message may have come over another connection. The octets before the first one that
    comes here count as received then; the application, which is told from which octet on it hears of the message,
    refuses it when it does not have them."""
    state: SessionState = SessionState.OPEN
    binding: object | None = field(default=None, repr=False)
    """The connection that the session is bound to; set by ``SessionTable``."""

    def is_from_peer(self, from_path: Path) -> bool:
        """Tell whether a request with this From-Path comes over the path that was agreed on."""
        keys = [uri.key for uri in from_path]
        if keys == [uri.key for uri in self.remote_path]:
            return True
        return self.other_path is not None and keys == [uri.key for uri in self.other_path]

    def accepts(self, content_type: str) -> bool:
        """Tell whether a Content-Type is acceptable (RFC 4975 sections 7.3.1 and 8.6); parameters don't count."""
        media_type = content_type.partition(";")[0].strip().lower()
        kind, slash, _ = media_type.partition("/")
        if not slash:
            return False
        if media_type in _ALWAYS_ACCEPTED:
            return True
        return any(accepted in ("*", media_type, f"{kind}/*") for accepted in self.accept_types)


class SessionTable:
    """The sessions of one endpoint, shared by all of its connections.

    Args:
        on_bound: Told when a session is bound to a connection.
        admits: Tells whether a connection that the peer opened may have a session; one that may not is told 481.
    """

    def __init__(
        self,
        on_bound: Callable[[Session, object], None] = lambda session, binding: None,
        admits: Callable[[Session, object], bool] = lambda session, binding: True,
    ) -> None:
        self._on_bound = on_bound
        self.admits = admits
        self._sessions: dict[UriKey, Session] = {}
        self._bound: dict[object, list[Session]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def add(self, session: Session) -> None:
        """Take up a session.

        Raises:
            ConflictError: Its URI is in use.
        """
        if session.local_uri.key in self._sessions:
            raise ConflictError(f"there is a session at {session.local_uri} already")
        self._sessions[session.local_uri.key] = session

    def remove(self, session: Session) -> None:
        """Forget a session, if it is there."""
        self._sessions.pop(session.local_uri.key, None)
        self.unbind(session)

    def bind(self, session: Session, binding: object) -> None:
        """Bind a session to a connection."""
        session.binding = binding
        self._bound.setdefault(binding, []).append(session)
        self._on_bound(session, binding)

    def unbind(self, session: Session) -> None:
        """Make a session bound to no connection."""
        bound = self._bound.get(session.binding, [])
        if session in bound:
            bound.remove(session)
            if not bound:
                del self._bound[session.binding]
        session.binding = None

    def bound_to(self, binding: object) -> list[Session]:
        """Return the sessions bound to a connection."""
        return list(self._bound.get(binding, ()))

    def find(self, uri: MsrpUri) -> Session | None:
        """Return the session whose local URI is equivalent to ``uri`` (RFC 4975 section 6.1)."""
        return self._sessions.get(uri.key)
