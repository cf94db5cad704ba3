"""SIP over the links between pods: it goes both ways as soon as one pod knows the other."""

import pytest

from tests.support.relay_cluster import ClusterUnderTest


class Guest:
    """SIP of one pod."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes]] = []
        self.lost: list[str] = []

    def received(self, pod: str, content: bytes) -> None:
        self.came.append((pod, content))

    def link_lost(self, pod: str) -> None:
        self.lost.append(pod)


@pytest.fixture
async def cluster() -> ClusterUnderTest:
    """Two pods of which the second has just started: the first has not heard of it."""
    cluster = ClusterUnderTest()
    for pod in cluster.pods:
        pod.cluster.links.sip = Guest()
        await pod.cluster.beat()
    return cluster


def guest(cluster: ClusterUnderTest, pod: int) -> Guest:
    found = cluster.pods[pod].cluster.links.sip
    assert isinstance(found, Guest)
    return found


async def test_a_pod_that_has_just_started_is_answered_over_the_link_that_it_opened(cluster: ClusterUnderTest) -> None:
    one, two = cluster.pods
    assert not one.cluster.links.send_sip("pod2", b"too early")
    assert two.cluster.links.send_sip("pod1", b"question")
    await cluster.settle()
    assert guest(cluster, 0).came == [("pod2", b"question")]
    assert one.cluster.links.hears("pod2")
    assert one.cluster.links.send_sip("pod2", b"answer")
    one.relay.flush()
    await cluster.settle()
    assert guest(cluster, 1).came == [("pod1", b"answer")]


async def test_a_pod_that_is_gone_is_not_answered(cluster: ClusterUnderTest) -> None:
    one, two = cluster.pods
    two.cluster.links.send_sip("pod1", b"question")
    await cluster.settle()
    for end in list(cluster.network.ends):
        if end.pods[0] == "pod2":
            end.abort()
    await cluster.settle()
    assert not one.cluster.links.hears("pod2")
    assert guest(cluster, 0).lost == ["pod2"]
    assert not one.cluster.links.send_sip("pod2", b"answer")
