"""What the gateway needs: the edge in the same process, if it is there, and the user agent."""

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from wigwag.errors import ConfigurationError
from wigwag.gateway.ports import Agents
from wigwag.relay.config import RelaySettings
from wigwag.runtime.agents import GATEWAY

from .agents import pod_access
from .gateway_agents import DirectAgents
from .settings import Settings

if TYPE_CHECKING:
    from wigwag.ua.module import UaModule

KEEP: Final = 604_800.0
"""Seconds for which messages wait for absent users at most, unless the settings say it."""


def with_gateway(relay: RelaySettings, *, sessions: bool = True) -> RelaySettings:
    """Return the relay's settings so that what is the gateway's reaches it; what they say themselves stays.

    MESSAGEs for absent and session-mode users are kept for it, a week at most, and INVITEs for users who are absent or
    take MESSAGE only are led to it.

    Args:
        relay: All of the relay's settings.
        sessions: Whether INVITEs are (``gateway.sessions_for_absent``).
    """
    sip = relay.sip
    services = sip.pager.services
    pager = _completed(sip.pager, store=True, keep=KEEP)
    if GATEWAY not in services:
        pager = pager.model_copy(update={"services": (*services, GATEWAY)})
    edge = _completed(sip.gateway, sessions="both") if sessions else sip.gateway
    return relay.model_copy(update={"sip": sip.model_copy(update={"pager": pager, "gateway": edge})})


def _completed(section: Any, **values: Any) -> Any:
    """Return a section with values for those settings that nobody has given."""
    return section.model_copy(
        update={name: value for name, value in values.items() if name not in section.model_fields_set}
    )


def gateway_agents(settings: Settings, ua: "UaModule | None") -> Agents:
    """Return the user agent as the gateway uses it.

    Args:
        settings: All settings.
        ua: That of the same process, which serves by now; None: it is hosted elsewhere.

    Raises:
        ConfigurationError: It is not said where it is, or not so that it can be reached.
    """
    if not settings.gateway.ua:
        if ua is None:
            raise ConfigurationError("gateway.ua is not set, and this process hosts no user agent")
        return DirectAgents(ua.agent)
    # Whoever has the user agent in his own process is spared the time that gRPC takes to load.
    from wigwag.gateway.rpc_agents import RpcAgents
    from wigwag.runtime.rpc import ClientTls

    access = pod_access(settings)
    tls = ClientTls(ca_file=access.ca_file, certificate=access.certificate) if access.encrypted else None
    return RpcAgents(rpc_target(settings.gateway.ua), tls=tls, token=access.token)


def rpc_target(pods: Sequence[str]) -> str:
    """Return what gRPC is told of several addresses of one service.

    Args:
        pods: ``host:port`` each; one, or numeric ones of one version of IP.

    Raises:
        ConfigurationError: They are neither.
    """
    versions = {_version(pod) for pod in pods}
    if versions <= {4} or versions <= {6}:
        return f"ipv{versions.pop()}:{','.join(pods)}"
    if len(pods) > 1:
        raise ConfigurationError("gateway.ua: several have to be numeric addresses, all IPv4 or all IPv6")
    return pods[0]


def _version(pod: str) -> int | None:
    host, colon, port = pod.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise ConfigurationError(f"gateway.ua: {pod!r} is not host:port")
    try:
        return ipaddress.ip_address(host.strip("[]")).version
    except ValueError:
        return None
