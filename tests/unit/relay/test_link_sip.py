"""SIP over the links between pods: it goes both ways as soon as one pod knows the other."""

import pytest

from tests.support.relay_cluster import ClusterUnderTest


class Guest:
    """SIP of one pod."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes]] = []

    def received(self, pod: str, content: bytes) -> None:
        self.came.append((pod, content))

    def link_lost(self, pod: str) -> None: ...


@pytest.fixture
async def cluster() -> ClusterUnderTest:
    """Two pods of which the second has just started: the first has not heard of it."""
    cluster = ClusterUnderTest()
    for pod in cluster.pods:
        pod.cluster.links.sip = Guest()
        await pod.cluster.beat()
    return cluster


def came(cluster: ClusterUnderTest, pod: int) -> list[tuple[str, bytes]]:
    guest = cluster.pods[pod].cluster.links.sip
    assert isinstance(guest, Guest)
    return guest.came


async def test_a_pod_that_has_just_started_is_answered_over_the_link_that_it_opened(cluster: ClusterUnderTest) -> None:
    one, two = cluster.pods
    assert not one.cluster.links.send_sip("pod2", b"too early")
    assert two.cluster.links.send_sip("pod1", b"question")
    await cluster.settle()
    assert came(cluster, 0) == [("pod2", b"question")]
    assert one.cluster.links.send_sip("pod2", b"answer")
    one.relay.flush()
    await cluster.settle()
    assert came(cluster, 1) == [("pod1", b"answer")]


async def test_a_pod_that_is_gone_is_not_answered(cluster: ClusterUnderTest) -> None:
    one, two = cluster.pods
    two.cluster.links.send_sip("pod1", b"question")
    await cluster.settle()
    for end in list(cluster.network.ends):
        if end.pods[0] == "pod2":
            end.abort()
    await cluster.settle()
    assert not one.cluster.links.send_sip("pod2", b"answer")
