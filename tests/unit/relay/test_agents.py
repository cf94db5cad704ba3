"""Our own ua pods at the relay: known by mutual TLS, fenced by a token, reached over the newest connection only."""

import pytest
from pydantic import ValidationError

from tests.support.relay import REALM, FakeChannel, RelayUnderTest, ok_to, send, session_views, value_of
from tests.support.relay_agents import AGENT, URI, AgentClient, opened
from tests.support.relay_cluster import ClusterUnderTest, PodUnderTest, deliver
from wigwag.relay.config import RelaySettings
from wigwag.relay.views import ListenerAddress

PEER = "msrp://peer.invalid:7/p;tcp"


@pytest.fixture
def relay() -> RelayUnderTest:
    return opened(RelayUnderTest())


def to_agent(under_test: RelayUnderTest, use_path: str) -> FakeChannel:
    """Let a peer send something to the agent; returns the peer's connection."""
    peer = under_test.connect(listener="main")
    peer.receive(send(f"{use_path} {URI}", PEER, fields="Failure-Report: yes\r\n"))
    return peer


async def test_agent_is_granted_a_uri_that_peers_can_reach_without_digest(relay: RelayUnderTest) -> None:
    agent = AgentClient(relay)
    assert await agent.claim(7) == "200 OK"
    assert agent.use_path.startswith(f"msrps://{REALM}:2855/")
    assert value_of(agent.answer, "Expires") == "1800"
    to_agent(relay, agent.use_path)
    assert b"SEND" in agent.channel.taken()[0]


@pytest.mark.parametrize(
    "attributes",
    [
        {"listener": "main"},
        {"listener": "plain", "kind": "tcp"},
        {"certificate_names": ("relay.other",)},
        {"certificate_names": ()},
    ],
)
async def test_nobody_else_is_granted_anything_without_digest(
    relay: RelayUnderTest, attributes: dict[str, object]
) -> None:
    agent = AgentClient(relay, URI, **attributes)
    answer = await agent.claim(7)
    assert answer.startswith(("401", "403"))
    assert not session_views(relay.relay)


async def test_clients_fencing_token_means_nothing(relay: RelayUnderTest) -> None:
    alice = await relay.client()
    first = alice.use_path
    for token in ("9", "1", "rubbish"):
        await alice.authenticate(f"Fencing-Token: {token}\r\n")
        assert alice.use_path == first


@pytest.mark.parametrize("token", ["", "0", "-1", "1.5", "x", "٣", "1" * 16])
async def test_token_that_is_no_positive_number_is_refused(relay: RelayUnderTest, token: str) -> None:
    assert (await AgentClient(relay).claim(token)).startswith("400")
    assert not session_views(relay.relay)


@pytest.mark.parametrize(("fields", "status"), [("Expires: 1\r\n", "423"), ("Expires: x\r\n", "400")])
async def test_expires_has_the_bounds_of_everybody(relay: RelayUnderTest, fields: str, status: str) -> None:
    assert (await AgentClient(relay).claim(7, fields)).startswith(status)


async def test_path_through_another_relay_is_no_agents(relay: RelayUnderTest) -> None:
    agent = AgentClient(relay, uri=f"msrps://{AGENT}:9/x;tcp {URI}")
    assert (await agent.claim(7)).startswith("403")


async def test_agents_have_as_many_sessions_as_they_need() -> None:
    relay = opened(RelayUnderTest(RelaySettings.model_validate({"limits": {"sessions_per_user": 1}})))
    for number in range(5):
        assert await AgentClient(relay, uri=f"msrps://{AGENT}:9/s{number};tcp").claim(7) == "200 OK"


async def test_refresh_keeps_the_uri(relay: RelayUnderTest) -> None:
    agent = AgentClient(relay)
    await agent.claim(7)
    first = agent.use_path
    assert await agent.claim(7) == "200 OK"
    assert await agent.claim(8) == "200 OK"
    assert agent.use_path == first
    assert (await agent.claim(7)).startswith("403")


@pytest.mark.parametrize("window", [60, 0])
async def test_higher_token_moves_the_uri_though_the_old_connection_stands(window: int) -> None:
    relay = opened(RelayUnderTest(RelaySettings.model_validate({"resume_window": window})))
    old, new = AgentClient(relay), AgentClient(relay)
    await old.claim(7)
    assert await new.claim(8) == "200 OK"
    assert new.use_path == old.use_path
    assert not old.channel.is_open
    assert len(session_views(relay.relay)) == 1
    to_agent(relay, new.use_path)
    assert len(new.channel.taken()) == 1


async def test_equal_token_moves_it_too(relay: RelayUnderTest) -> None:
    old, new = AgentClient(relay), AgentClient(relay)
    await old.claim(7)
    assert await new.claim(7) == "200 OK"
    assert new.use_path == old.use_path


async def test_lower_token_is_fenced_and_changes_nothing(relay: RelayUnderTest) -> None:
    current, late = AgentClient(relay), AgentClient(relay)
    await current.claim(8)
    assert await late.claim(7) == "403 fenced: a later owner has this session"
    assert current.channel.is_open
    to_agent(relay, current.use_path)
    assert len(current.channel.taken()) == 1
    assert late.channel.taken() == []


async def test_former_owners_connection_sends_nothing_any_more(relay: RelayUnderTest) -> None:
    old, new = AgentClient(relay), AgentClient(relay)
    await old.claim(7)
    path = old.use_path
    peer = relay.connect(listener="main")
    peer.receive(send(f"{path} {URI}", PEER))
    old.channel.receive(ok_to(old.channel.taken()[0]))
    peer.taken()
    await new.claim(8)
    new.channel.taken()
    old.channel.receive(send(f"{path} {PEER}", URI, message_id="late"))
    assert peer.taken() == []
    new.channel.receive(send(f"{path} {PEER}", URI, message_id="mine"))
    assert b"mine" in peer.taken()[0]


async def test_what_came_while_nobody_was_there_is_handed_to_who_takes_over(relay: RelayUnderTest) -> None:
    old, new = AgentClient(relay), AgentClient(relay)
    await old.claim(7)
    old.channel.lose()
    to_agent(relay, old.use_path)
    assert await new.claim(8) == "200 OK"
    assert new.use_path == old.use_path
    assert [b"SEND" in frame for frame in new.handed_over] == [True]


async def test_what_can_not_be_held_for_the_next_owner_fails_by_itself_and_does_not_end_the_session(
    relay: RelayUnderTest,
) -> None:
    old, new = AgentClient(relay), AgentClient(relay)
    await old.claim(7)
    old.channel.lose()
    peer = to_agent(relay, old.use_path)
    relay.advance(relay.relay.settings.suspended_hold + 1)
    peer.taken()
    for body in (b"short", b"x" * 70_000):
        peer.receive(send(f"{old.use_path} {URI}", PEER, body, message_id="late"))
        assert [frame.split(b"\r\n")[0] for frame in peer.taken()] == [b"MSRP t001 413 the receiver is away, try again"]
    await new.claim(8)
    peer.receive(send(f"{old.use_path} {URI}", PEER, message_id="again"))
    assert b"again" in new.channel.taken()[0]


async def test_session_waits_for_the_next_owner_until_it_expires_and_not_for_the_resume_window(
    relay: RelayUnderTest,
) -> None:
    old = AgentClient(relay)
    await old.claim(7)
    alice = await relay.client()
    old.channel.lose()
    alice.channel.lose()
    relay.advance(relay.relay.settings.resume_window + 1)
    assert [session.username for session in relay.relay.sessions] == [AGENT]
    peer = to_agent(relay, old.use_path)
    assert [frame.split(b"\r\n")[0] for frame in peer.taken()] == [b"MSRP t001 413 the receiver is away, try again"]
    new = AgentClient(relay)
    await new.claim(8)
    assert new.use_path == old.use_path
    new.channel.lose()
    relay.advance(relay.relay.settings.default_expires + 1)
    assert not session_views(relay.relay)


async def test_fencing_outlasts_the_connection_of_who_had_the_higher_token(relay: RelayUnderTest) -> None:
    current, late = AgentClient(relay), AgentClient(relay)
    await current.claim(8)
    current.channel.lose()
    assert (await late.claim(7)).startswith("403")


@pytest.mark.parametrize(
    ("listeners", "named", "expected"),
    [
        ({"a": "tcp", "b": "tls"}, None, "b"),
        ({"a": "ws", "b": "tcp"}, None, "b"),
        ({"a": "tls", "b": "tcp"}, "b", "b"),
        ({}, None, None),
    ],
)
async def test_uris_of_agents_name_a_listener_for_peers(
    listeners: dict[str, str], named: str | None, expected: str | None
) -> None:
    rows = [{"name": name, "kind": kind, "certificates": [("c", "k")]} for name, kind in listeners.items()]
    relay = RelayUnderTest(RelaySettings.model_validate({"listeners": rows, "agent_listener": named}))
    relay.relay.listeners = {"p": ListenerAddress("p", "peer", "h", 1, 1, "h", False)}
    for name, kind in listeners.items():
        relay.relay.listeners[name] = ListenerAddress(name, kind, REALM, 2855, 2855, REALM, False)
    found = relay.relay.agent_listener()
    assert (found.name if found is not None else None) == expected


def test_listener_that_peers_can_not_use_is_refused() -> None:
    peer = {"name": "p", "kind": "peer", "certificates": [("c", "k")], "client_ca": "ca"}
    for name in ("p", "nowhere"):
        with pytest.raises(ValidationError, match="agent_listener"):
            RelaySettings.model_validate({"listeners": [peer], "agent_listener": name})


# Many pods


async def claim_at(cluster: ClusterUnderTest, pod: PodUnderTest, token: int) -> tuple[AgentClient, str]:
    agent = AgentClient(opened(pod))
    status = await agent.claim(token)
    await cluster.settle()
    return agent, status


async def test_uri_moves_to_another_pod_though_the_old_connection_was_never_lost() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        old, _ = await claim_at(cluster, one, 7)
        new, status = await claim_at(cluster, two, 8)
        assert (status, new.use_path) == ("200 OK", old.use_path)
        assert not old.channel.is_open
        peer = three.connect()
        await deliver(cluster, peer, send(f"{new.use_path} {URI}", PEER))
        assert b"SEND" in new.channel.taken()[0]


async def test_lower_token_is_fenced_at_every_pod() -> None:
    async with ClusterUnderTest(2) as cluster:
        one, two = cluster.pods
        current, _ = await claim_at(cluster, one, 8)
        for pod in (two, one):
            late, status = await claim_at(cluster, pod, 7)
            assert status == "403 fenced: a later owner has this session"
            assert late.channel.is_open
        assert current.channel.is_open
        peer = two.connect()
        await deliver(cluster, peer, send(f"{current.use_path} {URI}", PEER))
        assert b"SEND" in current.channel.taken()[0]


async def test_higher_token_over_the_same_connection_is_known_to_other_pods() -> None:
    async with ClusterUnderTest(2) as cluster:
        one, two = cluster.pods
        current, _ = await claim_at(cluster, one, 7)
        assert await current.claim(9) == "200 OK"
        assert (await claim_at(cluster, two, 8))[1].startswith("403")


async def test_session_of_a_pod_that_is_gone_keeps_its_uri_and_its_token() -> None:
    async with ClusterUnderTest(2) as cluster:
        one, two = cluster.pods
        old, _ = await claim_at(cluster, one, 7)
        one.paused = True
        await cluster.advance(5)
        assert (await claim_at(cluster, two, 6))[1].startswith("403")
        new, status = await claim_at(cluster, two, 8)
        assert (status, new.use_path) == ("200 OK", old.use_path)


async def test_session_that_nobody_had_for_long_is_taken_over_at_another_pod_with_its_uri() -> None:
    async with ClusterUnderTest(2) as cluster:
        one, two = cluster.pods
        old, _ = await claim_at(cluster, one, 7)
        old.channel.lose()
        await cluster.advance(one.relay.settings.resume_window + 5)
        new, status = await claim_at(cluster, two, 8)
        assert (status, new.use_path) == ("200 OK", old.use_path)


async def test_token_is_known_again_after_the_store_came_back_empty() -> None:
    async with ClusterUnderTest(2) as cluster:
        one, two = cluster.pods
        current, _ = await claim_at(cluster, one, 8)
        (session,) = one.relay.sessions
        assert session.fencing_token == 8
        cluster.store._records.clear()
        cluster.store._owners.clear()
        one.cluster.records.incomplete = True
        await one.cluster.beat()
        assert (await claim_at(cluster, two, 7))[1].startswith("403")
        assert (await claim_at(cluster, two, 8))[0].use_path == current.use_path


async def test_sessions_of_agents_are_not_rated_together() -> None:
    relay = opened(RelayUnderTest(RelaySettings.model_validate({"limits": {"messages_per_second_per_address": 1}})))
    agents = [AgentClient(relay, uri=f"msrps://{AGENT}:9/s{number};tcp") for number in range(3)]
    for number, agent in enumerate(agents):
        assert await agent.claim(7) == "200 OK"
        agent.channel.receive(send(f"{agent.use_path} {PEER}", agent.uri, message_id=f"m{number}00"))
        assert agent.channel.reading
        agent.channel.lose()
    assert not relay.relay._address_rates
