"""Who may still connect: bounds on open connections, in total and per address, shared by all listeners."""

from wigwag.transport.addresses import network_of


class Admission:
    """Counts open connections against two bounds.

    Args:
        connections: Most open connections in total; 0: no limit.
        per_address: Most open connections of one IPv4 address or one IPv6 /64 network; 0: no limit.
    """

    def __init__(self, *, connections: int = 0, per_address: int = 0) -> None:
        self.connections = connections
        self.per_address = per_address
        self.open = 0
        self.refused_total = 0
        """Connections refused because of the total."""
        self.refused_per_address = 0
        """Connections refused because their address had too many."""
        self._by_network: dict[str, int] = {}

    def admit(self, address: str) -> str | None:
        """Count a connection from ``address``; return why not, or None when it was counted."""
        if self.connections and self.open >= self.connections:
            self.refused_total += 1
            return "too many connections"
        network = network_of(address)
        count = self._by_network.get(network, 0)
        if self.per_address and count >= self.per_address:
            self.refused_per_address += 1
            return "too many connections from this address"
        self._by_network[network] = count + 1
        self.open += 1
        return None

    def release(self, address: str) -> None:
        """Count an admitted connection as gone."""
        network = network_of(address)
        count = self._by_network[network] - 1
        if count:
            self._by_network[network] = count
        else:
            del self._by_network[network]
        self.open -= 1

    def open_from(self, address: str) -> int:
        """Open connections of the address (IPv6: of its /64)."""
        return self._by_network.get(network_of(address), 0)


class PeerAdmission(Admission):
    """Lets in who has to show a certificate: bounded by the total only, and without taking room from his address.

    Our own services open a connection for each session, all from one address.

    Args:
        shared: Limits on open connections of all listeners.
    """

    def __init__(self, shared: Admission) -> None:
        super().__init__()
        self._shared = shared

    def admit(self, address: str) -> str | None:
        """As ``Admission.admit``."""
        shared = self._shared
        if shared.connections and shared.open >= shared.connections:
            shared.refused_total += 1
            return "too many connections"
        shared.open += 1
        return None

    def release(self, address: str) -> None:
        """As ``Admission.release``."""
        self._shared.open -= 1
