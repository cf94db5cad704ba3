"""How the user agent is attached to the edge: SIP over one connection, and the ways of MSRP."""

import secrets
import ssl
from collections.abc import Callable, Sequence
from random import SystemRandom

from wigwag.errors import ConfigurationError, RemoteProtocolError
from wigwag.protocols.msrp import MsrpUri
from wigwag.protocols.sdp import Fingerprint
from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.protocols.sip.digest import DigestClient
from wigwag.protocols.sip.user_agent import AgentOptions, Identity
from wigwag.runtime.agents import pod_instance, pods_aor
from wigwag.transport.connector import Connector
from wigwag.transport.listener import Listener, ListenerKind, ListenerOptions
from wigwag.transport.name_service import NameService
from wigwag.transport.resolver import Resolver
from wigwag.transport.sip_client_options import SipClientOptions
from wigwag.transport.sip_link import Locate
from wigwag.transport.sip_locations import SipLocations, SipTransport
from wigwag.transport.sip_servers import SipLocation, SipServer
from wigwag.transport.tls import certificate_of, client_context, sip_client_context

from .config import EdgeAddresses, UaDirectSettings, UaForeignRelaySettings, UaSettings
from .endpoint.direct import DirectWay
from .endpoint.endpoint import Endpoint
from .endpoint.media import MediaSide, RelayWay, Way
from .endpoint.sip_side import SipSide

REGISTRATION = 120
"""Seconds of our binding at the edge: what a lost pod leaves behind goes soon."""
GRANT = 600
"""Seconds of a URI at our relay: what a lost pod leaves behind goes soon."""
_TRANSPORTS: tuple[SipTransport, ...] = ("tcp", "tls")


def sip_side(
    settings: UaSettings,
    edge: EdgeAddresses,
    endpoint: Endpoint,
    *,
    pod: str,
    wall: Callable[[], float],
    on_change: Callable[[bool], None],
) -> SipSide:
    """Return the SIP of a ua pod.

    Raises:
        ConfigurationError: An address of the edge, or a certificate, can't be used.
    """
    context = sip_client_context(ca_file=edge.ca_file, certificate=edge.certificate)
    instance = pod_instance(pod).strip("<>")
    return SipSide(
        Identity.of(pods_aor(settings.domain), instance=instance),
        DigestClient(lambda _: None, secrets.token_bytes),
        locate=_locate(edge.sip),
        connector=Connector(_resolver(), tls=lambda: context),
        random=secrets.token_bytes,
        wall=wall,
        contact=lambda _, session_id: f"sip:{session_id or 'pods'}@{settings.domain}",
        on_dialog=endpoint.dialog_event,
        on_change=on_change,
        options=SipClientOptions(agent=AgentOptions(expires=REGISTRATION, accept=()), first_wait=0.1, longest_wait=2.0),
        session_expires=settings.session_expires,
    )


def media_side(settings: UaSettings, edge: EdgeAddresses) -> MediaSide:
    """Return the ways of MSRP: our relay, those of others, and without any.

    Raises:
        ConfigurationError: A URI or a certificate can't be used.
    """
    ways: dict[str, Way] = {}
    if edge.relay:
        context = client_context(ca_file=edge.ca_file, certificate=edge.certificate)
        ways["relay"] = RelayWay(
            uri=_relay_uri("ua.edge.relay", edge.relay),
            connector=Connector(_resolver(), tls=lambda: context),
            expires=GRANT,
            fencing=True,
            own_host=settings.domain,
        )
    for relay in settings.relays:
        ways[relay.name] = _foreign(relay)
    ways["direct"] = _direct()
    return MediaSide(ways, secrets.token_bytes)


async def listen_direct(settings: UaDirectSettings, media: MediaSide) -> Listener:
    """Listen for peers that connect to us without a relay.

    Raises:
        ListenError: The address can't be bound.
    """
    host = settings.advertised_host or settings.host
    way = _direct(settings)
    kind: ListenerKind = settings.kind
    listener = Listener(
        ListenerOptions(
            name="ua-direct",
            kind=kind,
            host=settings.host,
            port=settings.port,
            certificates=settings.certificates,
            # A browser that has none to show would not connect.
            ask_certificate=kind == "tls",
        ),
        way.accepted,
    )
    await listener.start()
    way.asks = listener.tls is not None and listener.tls.asks
    scheme = "msrps" if kind in ("tls", "wss") else "msrp"
    literal = f"[{host}]" if ":" in host else host
    transport = "ws" if kind in ("ws", "wss") else "tcp"
    way.uri = MsrpUri.parse(f"{scheme}://{literal}:{listener.address[1]};{transport}")
    media.ways["direct"] = way
    return listener


def _foreign(relay: UaForeignRelaySettings) -> RelayWay:
    context = client_context(ca_file=relay.ca_file)
    return RelayWay(
        uri=_relay_uri(f"ua.relays {relay.name}", relay.uri),
        connector=Connector(_resolver(), tls=lambda: context),
        username=relay.username,
        password=relay.password or "",
    )


def _relay_uri(setting: str, text: str) -> MsrpUri:
    try:
        return MsrpUri.parse(text)
    except RemoteProtocolError as error:
        raise ConfigurationError(f"{setting}: {text!r}: {error.reason}") from error


def _direct(settings: UaDirectSettings | None = None) -> DirectWay:
    """Return the way without a relay; ``uri`` is for who listens."""
    pairs = settings.certificates if settings is not None else ()
    pair = pairs[0] if pairs else None
    trusting = client_context(certificate=pair)
    # Peers may have certificates that no authority has issued; a=fingerprint says which.
    unverified = client_context(certificate=pair)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return DirectWay(
        Connector(_resolver(), tls=lambda: trusting),
        secrets.token_bytes,
        cema=settings is not None and settings.cema,
        allow_private=True,
        fingerprints=tuple(Fingerprint.of(certificate_of(chain)) for chain, _ in pairs),
        unverified=unverified,
    )


def _resolver() -> Resolver:
    choose = SystemRandom()
    return Resolver(choose=lambda most: choose.randint(0, most))


def _locate(uris: Sequence[str]) -> Locate:
    servers = [_server(uri) for uri in uris]
    choose = SystemRandom()
    locations = SipLocations(NameService(), choose=lambda most: choose.randint(0, most), transports=_TRANSPORTS)

    async def locate() -> Sequence[SipLocation]:
        found = [
            (server, location)
            for server in servers
            for location in await locations.locate(
                server.host, server.port, transport=server.transport, secure=server.secure
            )
        ]
        return [server.at(location) for server, location in found]

    return locate


def _server(text: str) -> SipServer:
    try:
        uri = parse_uri(text)
    except SipError as error:
        raise ConfigurationError(f"ua.edge.sip: {text!r}: {error.reason}") from error
    if not isinstance(uri, SipUri) or not uri.host:
        raise ConfigurationError(f"ua.edge.sip: {text!r} is no SIP URI with a host")
    transport = (uri.parameter("transport") or ("tls" if uri.scheme == "sips" else "tcp")).lower()
    if transport not in ("tcp", "tls"):
        raise ConfigurationError(f"ua.edge.sip: {text!r}: tcp or tls, because a flow has to be reliable")
    return SipServer(
        transport="tls" if transport == "tls" else "tcp",
        host=uri.host.strip("[]"),
        port=uri.port,
        secure=transport == "tls",
    )
