"""How the user agent reaches the edge: that of the settings, or the one in the same process by listeners of its own."""

import asyncio
import datetime
from typing import TYPE_CHECKING, Final

import structlog

from wigwag.database import Database
from wigwag.database.applications import Applications
from wigwag.errors import ConfigurationError, DatabaseError
from wigwag.protocols.sip import SipUri
from wigwag.relay.config import ListenerSettings, RelaySettings
from wigwag.relay.sip.agents import AgentDirectory
from wigwag.relay.sip.config import SipListenerSettings
from wigwag.runtime.agents import ApplicationUris
from wigwag.store import Store
from wigwag.ua.config import EdgeAddresses, PodAccess

from .certificates import InternalCertificates, ensure_internal_certificates
from .settings import Settings

if TYPE_CHECKING:
    from wigwag.relay.module import RelayModule

LISTENER: Final = "internal-ua"
"""Name of the listeners, of MSRP and of SIP, that only the user agent of the same process can use."""
RELOAD: Final = 5.0
"""Seconds between two looks at the table of applications."""
_HOST: Final = "127.0.0.1"
_ALL_ADDRESSES: Final = ("0.0.0.0", "::")  # noqa: S104

logger = structlog.get_logger(__name__)


class KnownApplications:
    """Whose a SIP address is, as the edge asks: applications of the settings, then those of the database.

    Args:
        settings: All settings.
        database: Read again every few seconds.

    Raises:
        ConfigurationError: What an application of the settings has as its address is none.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._configured = [(each.name, each.uris) for each in settings.ua.applications]
        self._table = Applications(database)
        try:
            self._uris = ApplicationUris(self._configured)
        except ValueError as error:
            raise ConfigurationError(f"ua.applications: {error}") from error

    def owner(self, uri: SipUri) -> str | None:
        """Return the name of the application that owns an address; None: none does."""
        return self._uris.owner(uri)

    async def reload(self) -> int:
        """Read the database again; on an error what was known stays.

        Returns:
            How many applications there are.

        Raises:
            DatabaseError: It can't be read.
            ValueError: A URI of an application is none.
        """
        found = {row.name: row.uris for row in await self._table.list()}
        self._uris = ApplicationUris([*self._configured, *found.items()])
        return len(found.keys() | {name for name, _ in self._configured})

    async def refresh(self) -> None:
        """Read the database again if it can be read."""
        try:
            await self.reload()
        except (DatabaseError, ValueError) as error:
            logger.warning("applications are not read", reason=str(error))

    async def run(self) -> None:
        """Read it every few seconds until cancelled."""
        while True:
            await asyncio.sleep(RELOAD)
            await self.refresh()


def directory(settings: Settings, store: Store, applications: KnownApplications | None) -> AgentDirectory:
    """Return what the edge knows of the user agent."""
    known = applications if applications is not None else ApplicationUris()
    return AgentDirectory(domain=settings.ua.domain, sessions=store, applications=known)


def certificates(settings: Settings) -> InternalCertificates:
    """Return the certificates of the edge and the user agent in one process, made or renewed when needed.

    Raises:
        ConfigurationError: The relay would know no user agent.
    """
    if not settings.relay.agents:
        raise ConfigurationError("relay.agents is empty: the user agent of this process needs a name there")
    place = settings.node.data_dir / "internal"
    return ensure_internal_certificates(place, settings.relay.agents[0], datetime.datetime.now(datetime.UTC))


def is_embedded(settings: Settings) -> bool:
    """Tell whether the user agent is to use the edge of the same process."""
    return not settings.ua.edge.sip and not settings.ua.edge.relay


def with_internal_listeners(settings: Settings) -> RelaySettings:
    """Return the relay's settings with listeners for the user agent of the same process.

    Raises:
        ConfigurationError: It can't be: there is no SIP, or a name is taken.
    """
    relay, sip = settings.relay, settings.relay.sip
    if not sip.listeners:
        raise ConfigurationError("relay.sip.listeners is empty: the user agent needs SIP, or ua.edge.sip has to be set")
    if LISTENER in {*(each.name for each in relay.listeners), *(each.name for each in sip.listeners)}:
        raise ConfigurationError(f"a listener is named {LISTENER}, as the one for the user agent is")
    edge = certificates(settings).edge
    pairs = ((str(edge.certificate), str(edge.key)),)
    authority = str(edge.authority)
    for_sip = SipListenerSettings(
        name=LISTENER, kind="peer", host=_HOST, port=0, certificates=pairs, client_ca=authority
    )
    changes: dict[str, object] = {"sip": sip.model_copy(update={"listeners": (*sip.listeners, for_sip)})}
    if relay.listeners:  # Without any, no peer could come to the URIs that it hands out.
        for_msrp = ListenerSettings(
            name=LISTENER, kind="peer", host=_HOST, port=0, certificates=pairs, client_ca=authority
        )
        changes["listeners"] = (*relay.listeners, for_msrp)
    return relay.model_copy(update=changes)


def edge_addresses(settings: Settings, relay: "RelayModule | None") -> EdgeAddresses:
    """Return where the edge is.

    Args:
        settings: All settings.
        relay: The relay of this process, which listens by now; None: it is hosted elsewhere.

    Raises:
        ConfigurationError: It is not said where; names the setting.
    """
    edge = settings.ua.edge
    if not is_embedded(settings):
        for name, value in (("sip", edge.sip), ("relay", edge.relay), ("certificate", edge.certificate)):
            if not value:
                raise ConfigurationError(f"ua.edge.{name} is not set, but other settings of ua.edge are")
        return EdgeAddresses(sip=edge.sip, relay=edge.relay, certificate=edge.certificate, ca_file=edge.ca_file)
    if relay is None or relay.sip is None:
        raise ConfigurationError("ua.edge.sip is not set, and this process hosts no edge with SIP")
    agent = certificates(settings).agent
    (sip,) = [address for address in relay.sip.listeners.addresses if address.name == LISTENER]
    msrp = relay.relay.listeners.get(LISTENER)
    return EdgeAddresses(
        sip=(f"sip:{_HOST}:{sip.bound_port};transport=tls",),
        relay=f"msrps://{_HOST}:{msrp.bound_port};tcp" if msrp is not None else "",
        certificate=(str(agent.certificate), str(agent.key)),
        ca_file=str(agent.authority),
    )


def pod_access(settings: Settings) -> PodAccess:
    """Return how the ua pods call each other: with the token, and the certificate, that they share or show anyway.

    Raises:
        ConfigurationError: Other pods could not reach this one, or this one not call them.
    """
    rpc = settings.rpc
    token = next((each.token for each in rpc.tokens if each.role == "operate"), None)
    if settings.redis.url is not None:
        if rpc.host in _ALL_ADDRESSES and rpc.advertised_host is None:
            raise ConfigurationError(
                f"rpc.host {rpc.host} stands for all addresses: other ua pods need rpc.advertised_host to call this one"
            )
        if rpc.tokens and token is None and rpc.client_ca is None:
            raise ConfigurationError('rpc.tokens has none with role = "operate", and ua pods call each other with it')
    certificate = rpc.certificate if rpc.client_ca is not None else None
    return PodAccess(
        token=token,
        encrypted=rpc.certificate is not None,
        ca_file=rpc.ca_file or rpc.client_ca,
        certificate=certificate,
    )
