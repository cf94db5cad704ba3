"""A gateway of many pods as processes: an edge with its relay, ua pods and gateway pods behind it, common servers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.cluster import Pod
from tests.support.ua_cluster import UaCluster

FAST: dict[str, Any] = {"setup": {"pause": 1.0, "longest_pause": 4.0}}
"""Settings of the gateway with which a scenario does not wait for long."""


class GatewayPod(Pod):
    """A gateway pod."""

    service = "gateway"


class GatewayCluster(UaCluster):
    """See the module's text; what pages go to and from is named by its user's first letter, ``p`` or ``c``.

    Args:
        directory: For everything they write.
        users: Names of SIP users: page-mode ones begin with ``p``, session-mode ones with ``c``.
        redis_url: The store.
        kafka: Bootstrap servers of the bus.
        database: Where messages are.
        ua_pods: How many.
        gateway_pods: How many.
        gateway: Settings of the gateway.
    """

    def __init__(
        self,
        directory: Path,
        users: Sequence[str],
        *,
        redis_url: str,
        kafka: str,
        database: str,
        ua_pods: int = 2,
        gateway_pods: int = 2,
        gateway: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(directory, ua_pods, users, redis_url=redis_url, kafka=kafka, database=database)
        shared = {
            "redis": {"url": redis_url, "timeout": 10.0},
            "kafka": {"bootstrap_servers": kafka},
            "database": {"url": database},
            "users": self.edge._settings["users"],
        }
        settings = {**(gateway if gateway is not None else FAST), "ua": [pod.target for pod in self.pods]}
        self.gateways = [
            GatewayPod(name, directory / name, {**shared, "gateway": settings, "relay": {"cluster": {"name": name}}})
            for name in (f"gateway{number}" for number in range(gateway_pods))
        ]

    def _edge(self, users: Sequence[str]) -> dict[str, Any]:
        settings = super()._edge(users)
        sip = settings["relay"]["sip"]
        sip["pager"] = {"store": True, "services": ["gateway"]}
        sip["gateway"] = {"sessions": "both"}
        sip["routes"] = [
            {"methods": ["MESSAGE"], "user": "c*", "action": "service", "service": "gateway"},
            {"methods": ["INVITE"], "user": "p*", "action": "service", "service": "gateway"},
        ]
        return settings

    @property
    def all_pods(self) -> list[Pod]:
        """The edge, the ua pods, the gateway pods."""
        return [*super().all_pods, *self.gateways]
