"""What the edge has to do when the gateway is hosted in the same process."""

from typing import Any, Final

from wigwag.relay.config import RelaySettings
from wigwag.runtime.agents import GATEWAY

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
