"""Whom browsers may bring: Host and Origin of requests.

A service on loopback is within reach of every web page that its user looks at. Where nothing has to be shown to be let
in, the Host has to be this machine's, so that no name that resolves to it leads here (DNS rebinding); and an Origin has
to be the server's own, or one of the settings.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from wigwag.runtime.settings import is_loopback


class Origins:
    """What is let in.

    Args:
        allowed: Origins of the settings, such as ``https://desk.example.com``.
        host: The address that is bound.
    """

    def __init__(self, allowed: Sequence[str], host: str) -> None:
        self._allowed = frozenset(each.lower().rstrip("/") for each in allowed)
        self._host = host.lower()

    def knows_host(self, hosts: Sequence[str]) -> bool:
        """Tell whether Host headers name this server, or are for everybody to choose since it is bound to all."""
        if len(hosts) != 1:
            return False
        try:
            name = urlsplit(f"//{hosts[0]}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or name == self._host

    def allow(self, origins: Sequence[str], hosts: Sequence[str]) -> bool:
        """Tell whether a request of these Origin headers may come; without any it is no browser's."""
        own = {f"{scheme}://{host.lower()}" for host in hosts for scheme in ("http", "https")}
        return all(origin.lower() in self._allowed | own for origin in origins)
