"""What other relays do that ours has to live with; found with a real Kamailio beside it."""

from tests.support.relay import FakeChannel, FakeClient, RelayUnderTest, send, value_of
from tests.support.relay_pair import PEER, kinds, octets_of, pair, request
from wigwag.relay.hop import Hop

NEXT = "msrps://next.test:2855;tcp"
NEXT_SESSION = "msrps://next.test:2855/s;tcp"
AUTHORIZATION = 'Authorization: Digest username="alice"\r\n'


async def client_and_next_relay() -> tuple[FakeClient, FakeChannel]:
    under_test = RelayUnderTest()
    client = await under_test.client()
    following = FakeChannel(Hop(under_test.relay), remote=("203.0.113.2", 2855))
    under_test.connector.peers[NEXT] = following
    return client, following


async def relayed_auth(client: FakeClient, following: FakeChannel, status: str, to_path: str = "") -> bytes:
    """Let the client AUTH through us, and the next relay answer to ``to_path``; returns what the client gets."""
    client.channel.receive(request("AUTH", f"{client.use_path} {NEXT}", client.uri, AUTHORIZATION))
    await client.under_test.runtime.settle()
    [forwarded] = following.taken()
    transaction_id = forwarded.split(b" ")[1].decode()
    head = f"MSRP {transaction_id} {status}\r\nTo-Path: {to_path or value_of(forwarded, 'From-Path')}\r\n"
    following.receive(f"{head}From-Path: {NEXT}\r\n-------{transaction_id}$\r\n".encode())
    return b"".join(client.channel.taken())


async def test_an_answer_to_auth_that_is_addressed_to_us_alone_goes_back_the_way_of_the_request() -> None:
    client, following = await client_and_next_relay()
    answer = await relayed_auth(client, following, "200 OK", to_path=client.use_path)
    assert answer.startswith(b"MSRP q001 200 OK\r\n")
    assert value_of(answer, "To-Path") == client.uri
    assert value_of(answer, "From-Path") == f"{client.use_path} {NEXT}"


async def test_a_client_that_succeeds_at_the_next_relay_may_fail_there_again_later() -> None:
    client, following = await client_and_next_relay()
    for _ in range(5):
        assert await relayed_auth(client, following, "401 Unauthorized")
        assert await relayed_auth(client, following, "200 OK")
    for _ in range(3):
        assert client.channel.is_open
        await relayed_auth(client, following, "401 Unauthorized")
    assert not client.channel.is_open


async def test_a_peers_relay_may_use_another_connection_than_the_one_we_opened_to_it() -> None:
    ends = await pair(peer_uri=NEXT_SESSION)
    behind = f"{NEXT_SESSION} {PEER}"
    other = ends.under_test.connect()
    other.receive(send(ends.to_client, behind, b"by another connection"))
    assert kinds(other.taken()) == ["200"]
    assert octets_of(ends.delivered()) == b"by another connection"
    other.receive(send(ends.to_client, NEXT_SESSION, b"as a peer without a relay"))
    assert kinds(other.taken()) == ["506"]
