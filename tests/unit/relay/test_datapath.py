"""The fast path and the reference path do the same, for any traffic cut anywhere."""

from itertools import pairwise
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.relay import FakeChannel, FakeClient, RelayUnderTest, send
from tests.support.relay_cluster import ClusterUnderTest, client_at, deliver
from wigwag.relay import datapath
from wigwag.relay import hop as hop_module
from wigwag.relay.datapath import Stop, end_of_body

PEER = "msrp://peer.invalid:7/p;tcp"

BODIES = st.one_of(
    st.binary(min_size=0, max_size=80),
    st.sampled_from([b"\r\n-------", b"\r" * 40, b"-------t001$\r\n", b"\r\n-------t001x\r\n", b"\r\n", b"x" * 70_000]),
)
FIELDS = st.sampled_from(
    ["", "Success-Report: yes\r\n", "Failure-Report: no\r\n", "Failure-Report: partial\r\n", "Failure-Report: yes\r\n",
     "Success-Report: no\r\nFailure-Report: yes\r\n", "Failure-Report: no\r\nFailure-Report: yes\r\n", "X-Other: 1\r\n",
     "Message-ID: m999\r\n"]
)  # fmt: skip
RANGES = st.sampled_from([None, "1-*/*", "1-5/5", "7-*/100", "0-1/1", "5-3/10", "1-2", "200-*/100"])

REPORTS = st.sampled_from(
    ["Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n", "Status: 000 200\r\n",
     "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 200\r\n", "X-Other: 1\r\n", "",
     "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 413 too large \r\n",
     "Message-ID: m001\r\nByte-Range: 5-3/10\r\nStatus: 000 200 OK\r\n",
     "Message-ID: m001\r\nByte-Range: 1-*/5\r\nStatus: 000 200 OK\r\n",
     "Message-ID: m001\r\nByte-Range: 1-0/0\r\nStatus: 000 200 OK\r\n",
     "Message-ID: m001\r\nByte-Range: 1-9/5\r\nStatus: 000 200 OK\r\n",
     "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 001 200 OK\r\n",
     "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 099 OK\r\n",
     "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 200  \r\n",
     "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\nStatus: 000 200 OK\r\n",
     "Byte-Range: 1-5/5\r\nMessage-ID: m001\r\nStatus: 000 481 gone\r\nX-Other: 1\r\n"]
)  # fmt: skip
IDENTIFIERS = st.from_regex(r"[a-z][a-z0-9]{3,9}", fullmatch=True)
Frame = tuple[str, bytes, str | None, str, str] | tuple[str, str, str]
"""A SEND: transaction, body, range, flag, more headers. A REPORT: transaction, headers, flag."""


def frames() -> st.SearchStrategy[list[Frame]]:
    sends = st.tuples(IDENTIFIERS, BODIES, RANGES, st.sampled_from("$+#"), FIELDS)
    reports = st.tuples(IDENTIFIERS, REPORTS, st.sampled_from("$$$+#"))
    return st.lists(sends | reports, min_size=1, max_size=6)


def octets_of(frame: Frame, to_path: str) -> bytes:
    if len(frame) == 3:
        identifier, headers, flag = frame
        paths = f"To-Path: {to_path}\r\nFrom-Path: {PEER}\r\n"
        return f"MSRP {identifier} REPORT\r\n{paths}{headers}-------{identifier}{flag}\r\n".encode()
    identifier, body, byte_range, flag, more = frame
    return send(to_path, PEER, body, transaction_id=identifier, byte_range=byte_range, flag=flag, fields=more)


async def _outcome(
    traffic: list[Frame], cuts: list[int], *, fast: bool
) -> tuple[list[bytes], list[bytes], bool, tuple[int, int]]:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER, b"first", transaction_id="first"))
    _pass_through(traffic, cuts, client, peer, fast=fast)
    sent = _comparable(client)
    counted = len(client.channel.hop.transactions), under_test.relay.counters["reports_forwarded"]
    return sent, peer.taken(), peer.is_open, counted


async def _outcome_at_another_pod(
    traffic: list[Frame], cuts: list[int], *, fast: bool
) -> tuple[list[bytes], list[bytes], bool, int]:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        client = await client_at(cluster, one, "alice", "msrps://client.invalid:9/a;tcp")
        peer = two.connect()
        await deliver(cluster, peer, send(f"{client.use_path} {client.uri}", PEER, b"first", transaction_id="first"))
        _pass_through(traffic, cuts, client, peer, fast=fast)
        await cluster.settle()
        (remote,) = two.cluster.links.remotes()
        assert remote.transactions.keys() == client.channel.hop.transactions.keys()
        sent = _comparable(client)
        return sent, peer.taken(), peer.is_open, len(remote.transactions)


def _comparable(client: FakeClient) -> list[bytes]:
    """Return what the client was sent, without what differs from run to run."""
    frames = client.channel.taken()
    return [f.replace(f.split(b" ")[1], b"ID").replace(client.use_path.encode(), b"URI") for f in frames]


def _pass_through(
    traffic: list[Frame],
    cuts: list[int],
    client: FakeClient,
    peer: FakeChannel,
    *,
    fast: bool,
) -> None:
    to_path = f"{client.use_path} {client.uri}"
    data = b"".join(octets_of(frame, to_path) for frame in traffic)
    never = (lambda data, position, source: (position, Stop.OTHER)) if not fast else datapath.forward
    with patch.object(hop_module, "forward", never):
        bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        for start, end in pairwise(bounds):
            if peer.is_open:
                peer.receive(data[start:end])


@given(traffic=frames(), cuts=st.lists(st.integers(min_value=0, max_value=100_000), max_size=4))
@settings(max_examples=150, deadline=None)
async def test_fast_path_agrees_with_the_reference(traffic: list[Frame], cuts: list[int]) -> None:
    assert await _outcome(traffic, cuts, fast=True) == await _outcome(traffic, cuts, fast=False)


@given(traffic=frames(), cuts=st.lists(st.integers(min_value=0, max_value=100_000), max_size=4))
@settings(max_examples=60, deadline=None)
async def test_fast_path_agrees_with_the_reference_toward_another_pod(traffic: list[Frame], cuts: list[int]) -> None:
    fast = await _outcome_at_another_pod(traffic, cuts, fast=True)
    assert fast == await _outcome_at_another_pod(traffic, cuts, fast=False)
    assert fast[0] == (await _outcome(traffic, cuts, fast=True))[0]


async def test_report_over_a_known_route_never_meets_the_parser() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    to_path = f"{client.use_path} {client.uri}"
    peer.receive(send(to_path, PEER, b"first", transaction_id="first"))
    client.channel.taken()
    report = ("abcd", "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n", "$")
    with patch.object(hop_module, "FrameParser", side_effect=AssertionError):
        peer.receive(octets_of(report, to_path))
    (found,) = client.channel.taken()
    assert found.split(b"\r\n")[0].endswith(b" REPORT")
    assert b"\r\nMessage-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n-------" in found


@given(body=st.lists(st.sampled_from([b"\r", b"\n", b"-", b"a", b"\r\n-------ab", b"x"]), max_size=60).map(b"".join))
def test_end_of_body_is_where_a_plain_search_finds_it(body: bytes) -> None:
    end = b"\r\n-------abcd"
    data = body + end + b"$\r\n"
    assert end_of_body(data, 0, end) == data.find(end)
