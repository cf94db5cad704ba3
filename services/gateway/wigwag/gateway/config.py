"""Settings of the gateway, frozen; the node reads them from the environment and the TOML file."""

import re
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from wigwag.runtime.settings import PositiveCount, PositiveSeconds, Seconds, Secret, Section

SetupPolicy = Literal["store", "retry", "fail"]
_HOST: Final = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")


class GatewaySetupSettings(Section):
    """What becomes of messages whose session could not be set up."""

    absent: SetupPolicy = "store"
    """404, 408, 410, 480, 604, no answer, a lost pod, no device registered: nobody is there. What the edge keeps for an
    absent user, and no route leads here, waits in any case (``relay.sip.pager.store``)."""
    busy: SetupPolicy = "retry"
    """486, 600, 503."""
    declined: SetupPolicy = "fail"
    """403, 603, and every other refusal."""
    retries: PositiveCount = 5
    """Sessions that are tried for a message before it fails (``retry``)."""
    pause: PositiveSeconds = 5.0
    """Seconds until the next try, doubled each time."""
    longest_pause: PositiveSeconds = 300.0
    """Seconds up to which it is doubled."""

    @model_validator(mode="after")
    def _order_of_pauses(self) -> Self:
        if self.pause > self.longest_pause:
            raise ValueError("gateway.setup.pause is above gateway.setup.longest_pause")
        return self


class GatewayLimits(Section):
    """Bounds; what is above fails: with 480, of which the sender is told, or with 413."""

    conversations_per_user: PositiveCount = 100
    """Open conversations of one address."""
    waiting: PositiveCount = 1_000
    """Messages of a session-mode user that wait for one page-mode user; for the other way see ``relay.sip.pager``."""
    waiting_bytes: PositiveCount = 10_485_760
    """Octets of them together."""
    page_bytes: Annotated[int, Field(ge=1_000)] = 1_300
    """Largest MESSAGE toward a page-mode user, with the head that it may get on its way, which is not treated as
    ``large`` says; 1,000 at least. Over UDP none above 1,300 octets is sent, whatever stands here (RFC 3428 section
    8)."""
    message_bytes: Annotated[int, Field(gt=0, le=65_536)] = 65_536
    """Largest body that is passed toward a page-mode user at all, 65,536 at most; the other side is told it as
    ``a=max-size``."""


class ArchiveDomainSettings(Section):
    """What the archive keeps of a domain's users."""

    domain: str
    """Host part of their addresses."""
    retention: PositiveSeconds | None = None
    """Seconds since a message was accepted; None: as for all."""
    bodies: bool | None = None
    """Whether bodies are kept; None: as for all."""

    @field_validator("domain")
    @classmethod
    def _is_host(cls, domain: str) -> str:
        if not _HOST.fullmatch(domain):
            raise ValueError("the form is example.com: the host of the users' addresses, without a port")
        return domain.lower()


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

    @field_validator("domains")
    @classmethod
    def _are_different(cls, domains: tuple[ArchiveDomainSettings, ...]) -> tuple[ArchiveDomainSettings, ...]:
        names = [each.domain for each in domains]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} stands there twice")
        return domains


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
    """Which way a message that has waited here takes to a user who can have both. What comes while he is registered
    goes to his devices that take MESSAGE, unless a route leads it here: then into a session."""
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
    """Whether a page-mode user is told that the other side has left their session; by text, so only where ``notices``
    is ``text``."""
    store: Literal["all", "first"] = "all"
    """Which devices get what waited: all, or the one that registered."""
    sessions_for_absent: bool = True
    """Whether INVITEs for one of our users who is absent, or takes page mode only, are answered here."""
    wake_url: str | None = None
    """Told by POST of ``{"address": "sip:bob@example.com"}``, as JSON, that a message waits for an absent user, once a
    minute at most for each; its answer does not matter. None: nobody is told."""
    wake_token: Secret = None
    """Sent with it as bearer token."""
    setup: GatewaySetupSettings = GatewaySetupSettings()
    limits: GatewayLimits = GatewayLimits()
    archive: GatewayArchiveSettings = GatewayArchiveSettings()

    @field_validator("wake_url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        try:
            usable = url is None or (urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname))
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("it has to begin with http:// or https:// and a host")
        return url
