"""Listeners for MSRP: how they are opened, and where clients find them."""

from wigwag.transport.listener import ListenerOptions

from .config import Limits, ListenerSettings
from .views import ListenerAddress


def listener_options(settings: ListenerSettings, limits: Limits, *, reuse_port: bool) -> ListenerOptions:
    """Return how a listener is opened.

    Args:
        settings: Of the listener.
        limits: Of the relay.
        reuse_port: Whether other processes of this host listen on the same port.
    """
    return ListenerOptions(
        name=settings.name,
        kind=settings.kind,
        host=settings.host,
        port=settings.port,
        certificates=settings.certificates,
        client_ca=settings.client_ca,
        origins=settings.origins,
        subprotocol=settings.subprotocol,
        handshake_timeout=limits.handshake_timeout,
        close_timeout=limits.close_timeout,
        max_websocket_message=settings.websocket_message_bytes,
        ping_interval=settings.ping_interval,
        reuse_port=reuse_port,
    )


def listener_address(settings: ListenerSettings, port: int) -> ListenerAddress:
    """Return where a listener is that is bound to a port, as clients see it."""
    host = settings.advertised_host or settings.host
    return ListenerAddress(
        name=settings.name,
        kind=settings.kind,
        host=host,
        port=settings.advertised_port or port,
        bound_port=port,
        domain=settings.domain or host,
        plain_auth=settings.plain_auth,
    )
