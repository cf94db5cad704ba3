"""Settings of the gateway, frozen; the node reads them from the environment and the TOML file."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wigwag.runtime.settings import PositiveCount, PositiveSeconds, Seconds, Section

SetupPolicy = Literal["store", "retry", "fail"]


class GatewaySetupSettings(Section):
    """What becomes of messages whose session could not be set up."""

    absent: SetupPolicy = "store"
    """404, 408, 410, 480, 604, no answer, a lost pod: nobody is there."""
    busy: SetupPolicy = "retry"
    """486, 600, 503."""
    declined: SetupPolicy = "fail"
    """403, 603, and every other refusal."""
    retries: PositiveCount = 5
    """Sessions that are tried for a message before it fails (``retry``)."""
    pause: PositiveSeconds = 5.0
    """Seconds until the next try, doubled each time."""
    longest_pause: PositiveSeconds = 300.0


class GatewayLimits(Section):
    """Bounds; what is above fails: with 480, of which the sender is told, or with 413."""

    conversations_per_user: PositiveCount = 100
    """Open conversations of one address."""
    waiting: PositiveCount = 1_000
    """Messages of a session-mode user that wait for one page-mode user; for the other way see ``relay.sip.pager``."""
    waiting_bytes: PositiveCount = 10_485_760
    """Octets of them together."""
    page_bytes: PositiveCount = 1_300
    """Largest MESSAGE toward a page-mode user that may go over UDP (RFC 3428 section 8)."""
    message_bytes: PositiveCount = 65_536
    """Largest body that is passed toward a page-mode user at all; it is told to the other side as ``a=max-size``."""


class ArchiveDomainSettings(Section):
    """What the archive keeps of a domain's users."""

    domain: str
    """Host part of their addresses, in lower case."""
    retention: PositiveSeconds | None = None
    """Seconds since a message was accepted; None: as for all."""
    bodies: bool | None = None
    """Whether bodies are kept; None: as for all."""


class GatewayArchiveSettings(Section):
    """What is remembered of messages that are over, beyond the ledger's seven days.

    Of a message between two domains that are named here the shorter retention counts, and its body is kept only if both
    keep bodies; a domain that is not named has no say then.
    """

    enabled: bool = True
    """Whether there is an archive."""
    retention: PositiveSeconds = 2_592_000.0
    """Seconds since a message was accepted."""
    bodies: bool = False
    """Whether bodies are kept, up to 64 KiB each; else only parties, times, type, size and outcome."""
    domains: tuple[ArchiveDomainSettings, ...] = ()
    """Domains with settings of their own."""


class GatewaySettings(Section):
    """SIP MESSAGE <-> MSRP."""

    ua: tuple[str, ...] = ()
    """Where the gRPC of the user agent is, ``host:port``, when another process hosts it: one name, of one address or
    many, or the numeric addresses of several pods; the first that answers is used until it does not. Empty: it is in
    the same process."""
    idle_timeout: Seconds = 7_200.0
    """Without a message either way, after which a conversation's session is ended; 0: never."""
    max_duration: Seconds = 43_200.0
    """Of a session; 0: no limit."""
    ringing: Annotated[float, Field(gt=0, le=180)] = 60.0
    """Seconds for which a session-mode user may let it ring."""
    prefer: Literal["page", "session"] = "page"
    """Which way a message takes to a user who can have both."""
    large: Literal["tcp", "split", "refuse"] = "tcp"
    """What is done with more than ``limits.page_bytes`` for a page-mode user: sent over a stream transport only, cut
    into parts that are marked ``(1/3)``, or refused with 413."""
    unknown_types: Literal["pass", "refuse"] = "pass"
    """Types other than text, message/cpim, IMDN and is-composing."""
    accepted_is_delivered: bool = False
    """Whether 202 from a page-mode device counts as delivered; else an IMDN is waited for."""
    notices: Literal["imdn", "text", "none"] = "text"
    """How a page-mode sender is told of a failure: by IMDN if he asked for one, else by text; only by IMDN; never."""
    end_notice: bool = True
    """Whether a page-mode user is told, by text, that the other side has left their session."""
    store: Literal["all", "first"] = "all"
    """Which devices get what waited: all, or the one that registered."""
    sessions_for_absent: bool = True
    """Whether INVITEs for one of our users who is absent, or takes page mode only, are answered here."""
    wake_url: str | None = None
    """Told by POST when a message waits for an absent user; None: nobody is."""
    setup: GatewaySetupSettings = GatewaySetupSettings()
    limits: GatewayLimits = GatewayLimits()
    archive: GatewayArchiveSettings = GatewayArchiveSettings()

    @model_validator(mode="after")
    def _order_of_limits(self) -> Self:
        if self.limits.page_bytes > self.limits.message_bytes:
            raise ValueError("gateway.limits.page_bytes is above gateway.limits.message_bytes")
        return self
