"""Settings of the SIP routing table: rows, pools, the hook. Rows of the database are read by the same rules."""

from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.runtime.settings import Count, PositiveCount, PositiveSeconds, Seconds, Secret, Section

Action = Literal["location", "service", "forward", "pool", "refuse"]
Answer = Literal["acceptance", "delivery"]
Sender = Literal["authenticated", "neighbour", "anybody"]


class SipRouteSettings(Section):
    """One row of the SIP routing table: conditions, all of which have to hold, and what is done then."""

    name: str = ""
    """For people."""
    listener: str | None = None
    """Listener by which the request came."""
    source_network: str | None = None
    """Network that it came from, such as ``192.0.2.0/24``."""
    methods: tuple[str, ...] = ()
    """Methods; empty: any."""
    scheme: Literal["sip", "sips", "tel"] | None = None
    """Of the Request-URI."""
    user: str | None = None
    """User part of the Request-URI, or the number of a tel URI; ``*`` stands for any characters."""
    domain: str | None = None
    """Domain of the Request-URI, in lower case; ``*`` stands for any characters. A tel URI has none."""
    sender: Sender | None = None
    """``authenticated``: a user of ours; ``neighbour``: trusted; ``anybody``: strangers too, without digest. None: a
    user or a neighbour, and for ``refuse`` everybody."""
    action: Action
    service: str = ""
    """Name of the service (``service``)."""
    pool: str = ""
    """Name of the pool (``pool``)."""
    next_hops: tuple[str, ...] = ()
    """URIs to send to, one after the other (``forward``); empty: where the Request-URI leads."""
    status: Annotated[int, Field(ge=400, le=699)] = 403
    """Status of the response (``refuse``)."""
    reason: str = "Forbidden"
    """Its reason phrase."""
    answer: Answer | None = None
    """When a MESSAGE that is kept for a service, or for an absent or session-mode user, is answered: 202 at its
    ``acceptance``, which is the default, or at its ``delivery`` with what became of it: 200, or the status of the
    failure; 202 after 50*T1 all the same."""
    trust: bool = False
    """Takes what matches without digest, as a neighbour's; needs a ``source_network``."""
    allow_private: bool = False
    """Lets the request go to loopback, link-local, private and our own addresses."""
    strip: Count = 0
    """Characters taken off the beginning of the user part."""
    prefix: str = ""
    """Put before it then."""
    set_domain: str = ""
    """Domain put into the Request-URI; a tel URI becomes a SIP URI by it."""

    @field_validator("source_network")
    @classmethod
    def _is_network(cls, value: str | None) -> str | None:
        if value is not None:
            ip_network(value)
        return value

    @field_validator("next_hops")
    @classmethod
    def _are_uris(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for hop in value:
            hop_uri(hop)
        return value

    @field_validator("prefix", "set_domain", "reason")
    @classmethod
    def _is_printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("has control characters")
        return value

    @model_validator(mode="after")
    def _has_what_its_action_needs(self) -> Self:
        for action, value in (("service", self.service), ("pool", self.pool)):
            if (self.action == action) != bool(value):
                raise ValueError(f"the action {action} and the name of a {action} go together")
        if self.answer is not None and self.action not in ("service", "location"):
            raise ValueError("answer goes with the actions service and location")
        if self.next_hops and self.action != "forward":
            raise ValueError("next_hops go with the action forward")
        self._rewrites()
        return self

    def _rewrites(self) -> None:
        if not (self.prefix or self.set_domain or self.strip):
            return
        try:
            parse_uri(f"sip:{self.prefix}1@{self.set_domain or 'example.com'}")
        except SipError as error:
            raise ValueError(f"prefix or set_domain can't stand in a URI: {error.reason}") from error

    @model_validator(mode="after")
    def _opens_no_relay(self) -> Self:
        if self.trust and (self.source_network is None or ip_network(self.source_network).prefixlen == 0):
            raise ValueError("trust needs a source_network, and not one of everybody")
        if self.trust and self.sender is not None:
            raise ValueError("trust makes neighbours: a sender is not asked for")
        if self.sender == "anybody" and self.action in ("forward", "pool"):
            registers = self.action == "forward" and self.next_hops and tuple(self.methods) == ("REGISTER",)
            if not registers:
                raise ValueError("anybody may not be forwarded elsewhere, only a REGISTER to fixed next_hops")
        return self


class SipPoolMemberSettings(Section):
    """One server of a pool."""

    uri: str
    """``sip:host:port;transport=tcp`` and the like."""
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Its share among members of the same priority; 0: only when no other is left."""
    priority: int = 0
    """Lower ones are used first."""
    enabled: bool = True

    @field_validator("uri")
    @classmethod
    def _is_uri(cls, value: str) -> str:
        hop_uri(value)
        return value


class SipPoolSettings(Section):
    """Servers that serve alike, watched by OPTIONS requests."""

    name: str
    members: tuple[SipPoolMemberSettings, ...] = ()
    """Those of the database come after them."""
    ping_interval: Seconds = 10.0
    """Between two OPTIONS; 0: members are not watched."""
    ping_timeout: PositiveSeconds = 4.0
    """For the answer."""
    failures: PositiveCount = 3
    """In a row, until a member gets no requests; one answer brings it back."""
    longest_interval: PositiveSeconds = 60.0
    """To which the interval grows, doubled each time, while a member is down."""
    allow_private: bool = False
    """Lets members be at loopback, link-local, private and our own addresses."""


class SipRouteHookSettings(Section):
    """An HTTP service that may decide in place of the table."""

    url: str
    timeout: PositiveSeconds = 2.0
    cache: Seconds = 5.0
    """Seconds an answer is kept; 0: never."""
    token: Secret = None
    """Sent as bearer token."""
    on_failure: Literal["refuse", "table"] = "refuse"
    """When it gives no usable answer: 503, or the table decides."""


def hop_uri(text: str) -> SipUri:
    """Return the SIP URI of a next hop.

    Raises:
        ValueError: It is none.
    """
    try:
        uri = parse_uri(text)
    except SipError as error:
        raise ValueError(f"{text}: {error.reason}") from error
    if not isinstance(uri, SipUri):
        raise ValueError(f"{text}: not a SIP URI")
    return uri
