"""SIP edges that are pods of one cluster, without sockets: links are calls, pods die when they are told to."""

from typing import TYPE_CHECKING, Any, cast

from tests.support.sip_edge import EdgeUnderTest
from wigwag.relay.sip.pods import SipPods
from wigwag.store import Pod
from wigwag.store.memory import MemoryStore

if TYPE_CHECKING:
    from wigwag.relay.cluster.links import Links
    from wigwag.runtime.members import Members


class FakeMembers:
    """Who lives, as one pod sees it."""

    def __init__(self, cluster: "SipCluster", own: str) -> None:
        self.pod = Pod(id=own, address=own)
        self._cluster = cluster

    def others(self) -> list[Pod]:
        return [Pod(id=name, address=name) for name in self._cluster.alive if name != self.pod.id]

    def alive(self, pod: str) -> bool:
        return pod in self._cluster.alive

    def wall(self) -> float:
        return self._cluster.edges[self.pod.id].runtime.wall()


class FakeLinks:
    """Links of one pod; ``cut`` ones take nothing."""

    def __init__(self, cluster: "SipCluster", own: str) -> None:
        self._cluster = cluster
        self._own = own
        self.cut: set[str] = set()
        self.sent = 0

    def reachable(self, pod: str) -> bool:
        return pod in self._cluster.alive and pod not in self.cut

    stands = reachable

    def hears(self, pod: str) -> bool:
        return self.reachable(pod)

    def prepare(self, pod: str) -> None: ...

    def send_sip(self, pod: str, content: bytes) -> bool:
        if not self.reachable(pod):
            return False
        self.sent += 1
        self._cluster.pods[pod].received(self._own, content)
        return True


class SipCluster:
    """Pods of one cluster that share one address: a client's datagrams may reach any of them.

    Attributes:
        edges: By name of the pod.
        alive: Names of the pods that live.
    """

    def __init__(self, *names: str, **more: Any) -> None:
        self.edges: dict[str, EdgeUnderTest] = {}
        self.pods: dict[str, SipPods] = {}
        self.links: dict[str, FakeLinks] = {}
        self.alive = set(names)
        store: MemoryStore | None = None
        for name in names:
            edge = EdgeUnderTest(store=store, pod=name, clustered=True, **more)
            store = cast("MemoryStore", edge.store)
            links, members = FakeLinks(self, name), FakeMembers(self, name)
            pods = SipPods(
                edge.edge,
                cast("Members", members),
                cast("Links", links),
                store=store,
                counts=edge.parts.authenticator.nonce_counts,
                nonce_lifetime=300.0,
                wall=edge.runtime.wall,
                flush=lambda: None,
            )
            edge.edge.pods = edge.parts.authenticator.counts = pods
            self.edges[name], self.pods[name], self.links[name] = edge, pods, links
        for edge in self.edges.values():
            edge.others = [other for other in self.edges.values() if other is not edge]
            # They send from one address: what any of them sends reaches the client.
            edge.socket.sent = next(iter(self.edges.values())).socket.sent

    def kill(self, name: str) -> None:
        """Let a pod die: its connections and transactions are gone."""
        self.alive.discard(name)
        for pod in self.alive:
            self.pods[pod].link_lost(name)
