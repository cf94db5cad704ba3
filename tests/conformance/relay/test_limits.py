"""Limits of the relay, and who may pass: rows M44, M85, M90, M110 and M111 (RFC 4976 sections 6.3 and 9)."""

import pytest

from tests.support.relay import FakeClient, RelayUnderTest, body_of, send, value_of
from tests.support.relay_pair import PEER, kinds, octets_of, pair, settings
from wigwag.protocols.digest import StoredCredentials

FIRST_RELAY = "msrps://r1.test:2855/s1;tcp"


class NoRelaying:
    """A source of users who may not use the relay."""

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        return StoredCredentials(username=username, domain=domain, password="secret", may_relay=False)


async def test_m44_a_send_without_byte_range_passes_and_its_sub_chunks_get_one() -> None:
    ends = await pair()
    ends.peer.receive(ends.frame().replace(b"Byte-Range: 1-5/5\r\n", b""))
    [forwarded] = ends.delivered()
    assert value_of(forwarded, "Byte-Range") is None
    assert body_of(forwarded) == b"hello"
    ends.peer.receive(ends.frame(b"x" * 100_000).replace(b"Byte-Range: 1-100000/100000\r\n", b""))
    frames = ends.delivered()
    assert octets_of(frames) == b"x" * 100_000
    assert [value_of(frame, "Byte-Range") for frame in frames] == ["1-65536/*", "65537-100000/*"]
    assert kinds(ends.peer.taken()) == ["200", "200"]


async def test_m85_a_user_without_the_right_to_relay_is_403_only_with_the_right_password() -> None:
    under_test = RelayUnderTest()
    under_test.relay.authenticator._source = NoRelaying()
    for password, status in (("secret", "403"), ("guess", "401")):
        client = FakeClient(under_test, under_test.connect(), "alice", "msrps://client.invalid:9/a;tcp")
        challenge = await client.auth()
        answer = await client.auth(client.authorization(challenge, password=password))
        assert kinds([answer]) == [status]
        assert value_of(answer, "Use-Path") is None


async def test_m90_a_challenge_names_no_domain() -> None:
    under_test = RelayUnderTest()
    client = FakeClient(under_test, under_test.connect(), "alice", "msrps://client.invalid:9/a;tcp")
    challenge = await client.auth()
    assert b"domain=" not in challenge
    authorization = client.authorization(challenge).replace("\r\n", ', domain="sip:x"\r\n')
    assert kinds([await client.auth(authorization)]) == ["200"]


@pytest.mark.parametrize(("names", "status"), [((), "200"), (("r1.test",), "200"), (("other.test",), "403")])
async def test_m110_a_relay_is_held_to_the_name_of_its_certificate(names: tuple[str, ...], status: str) -> None:
    under_test = RelayUnderTest()
    channel = under_test.connect(certificate_names=names)
    client = FakeClient(under_test, channel, "alice", f"{FIRST_RELAY} msrps://client.invalid:9/a;tcp")
    challenge = await client.auth()
    assert kinds([challenge]) == ["401"], "a relay without a certificate is a client like any other"
    assert kinds([await client.auth(client.authorization(challenge))]) == [status]


@pytest.mark.parametrize(("names", "status"), [(("r1.test",), "200"), ((), "481"), (("other.test",), "481")])
async def test_m110_a_proven_relay_may_use_its_uri_over_any_connection(names: tuple[str, ...], status: str) -> None:
    under_test = RelayUnderTest()
    own = "msrps://client.invalid:9/a;tcp"
    client = FakeClient(under_test, under_test.connect(certificate_names=("r1.test",)), "alice", f"{FIRST_RELAY} {own}")
    await client.authenticate()
    use_path = client.use_path.split()[-1]
    peer = under_test.connect()
    peer.receive(send(f"{use_path} {FIRST_RELAY} {own}", PEER))
    another = under_test.connect(certificate_names=names)
    another.receive(send(f"{use_path} {PEER}", f"{FIRST_RELAY} {own}"))
    assert kinds(another.taken()) == [status]


async def test_m111_a_client_with_a_certificate_is_asked_for_digest_all_the_same() -> None:
    under_test = RelayUnderTest()
    channel = under_test.connect(certificate_names=("client.invalid",))
    client = FakeClient(under_test, channel, "alice", "msrps://client.invalid:9/a;tcp")
    assert kinds([await client.auth()]) == ["401"]


@pytest.mark.parametrize(("limit", "field"), [("header_bytes", "X: " + "a" * 500), ("headers", "X: 1\r\nY: 2\r\nZ: 3")])
async def test_the_limits_of_a_head_are_settings(limit: str, field: str) -> None:
    ends = await pair(settings(limits={limit: 2 if limit == "headers" else 600}))
    assert kinds(ends.peer_sends()) == ["200"]
    ends.delivered()
    assert kinds(ends.peer_sends(fields=f"{field}\r\n")) == ["400"]
    assert not ends.peer.is_open
    assert ends.delivered() == []


async def test_a_content_type_beyond_the_limit_is_refused_on_a_known_route_too() -> None:
    ends = await pair()
    assert kinds(ends.peer_sends()) == ["200"]
    ends.delivered()
    ends.peer.receive(ends.frame().replace(b"text/plain", b"text/" + b"x" * 20_000))
    assert kinds(ends.peer.taken()) == ["400"]
    assert ends.delivered() == []


@pytest.mark.parametrize("attempts", [1, 5])
async def test_the_number_of_auth_attempts_is_a_setting_and_success_starts_it_anew(attempts: int) -> None:
    under_test = RelayUnderTest(settings(limits={"auth_attempts": attempts}))
    client = FakeClient(under_test, under_test.connect(), "alice", "msrps://client.invalid:9/a;tcp")
    for _ in range(2):
        for _ in range(attempts - 1):
            await client.auth(client.authorization(await client.auth(), password="guess"))
        assert client.channel.is_open
        assert kinds([await client.authenticate()]) == ["200"]
    for _ in range(attempts):
        await client.auth(client.authorization(await client.auth(), password="guess"))
    assert not client.channel.is_open


@pytest.mark.parametrize(
    ("limits", "data", "seconds"),
    [
        ({"first_request_timeout": 5}, b"", 5),
        ({"header_timeout": 3}, b"MSRP t001 SE", 3),
        ({"header_timeout": 3}, b"MSRP t001 SEND\r\nTo-Path: ", 3),
    ],
)
async def test_deadlines_are_settings(limits: dict[str, int], data: bytes, seconds: int) -> None:
    under_test = RelayUnderTest(settings(limits=limits))
    channel = under_test.connect()
    if data:
        channel.receive(data)
    under_test.advance(seconds - 1)
    assert channel.is_open
    under_test.advance(2.5)
    assert not channel.is_open
    assert under_test.relay.counters["deadlines_passed"] == 1


async def test_a_sender_who_waits_for_his_receiver_is_not_taken_for_a_slow_one() -> None:
    ends = await pair()
    ends.client.channel.full_above = 65_536
    data = ends.frame(b"x" * 300_000)
    ends.peer.receive(data[:200_000])
    assert not ends.peer.reading
    ends.under_test.advance(100)
    assert ends.peer.is_open
    ends.client.channel.full_above = None
    ends.client.channel.drain()
    ends.peer.receive(data[200_000:])
    assert "200" in kinds(ends.peer.taken())
    assert octets_of(ends.delivered()) == b"x" * 300_000
