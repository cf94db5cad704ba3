"""What the gateway needs: the edge in the same process, if it is there, and the user agent."""

from typing import TYPE_CHECKING, Any, Final

from wigwag.errors import ConfigurationError
from wigwag.gateway.ports import Agents
from wigwag.relay.config import RelaySettings
from wigwag.runtime.agents import GATEWAY

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
        ConfigurationError: It is not said where it is.
    """
    if ua is not None:
        return DirectAgents(ua.agent)
    raise ConfigurationError("gateway.ua is not set, and this process hosts no user agent")
