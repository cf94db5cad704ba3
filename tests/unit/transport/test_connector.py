"""Outgoing connections: which addresses, how long, and what each failure is called."""

import asyncio
import resource
import socket
import ssl

import pytest

from tests.support.certificates import Authority
from tests.support.streams import Endpoints, Recorder, client_tls, echo
from tests.support.waiting import until
from wigwag.transport.addresses import Endpoint
from wigwag.transport.channel import Channel
from wigwag.transport.connector import Connector
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.profiles import ProfileTable
from wigwag.transport.resolver import Resolver


class FixedResolver(Resolver):
    """Resolves every name to what the test says."""

    def __init__(self, *endpoints: tuple[str, int]) -> None:
        super().__init__(choose=lambda total: total)
        self._fixed = [Endpoint(*endpoint) for endpoint in endpoints]

    async def endpoints(self, host: str, port: int | None, *, secure: bool) -> list[Endpoint]:
        return self._fixed


async def plain(endpoints: Endpoints, host: str = "127.0.0.1") -> Listener:
    return await endpoints.listen(ListenerOptions(name="l", kind="tcp", host=host), lambda: Recorder(echo))


async def connect(
    connector: Connector, host: str, port: int | None, receiver: Recorder, **arguments: object
) -> Channel:
    arguments = {"secure": False, "allow_private": True, **arguments}
    return await connector.connect(host, port, receiver=receiver, **arguments)  # type: ignore[arg-type]


async def failure_of(connector: Connector, host: str, port: int | None, **arguments: object) -> ConnectError:
    receiver = Recorder()
    with pytest.raises(ConnectError) as caught:
        await connect(connector, host, port, receiver, **arguments)
    assert not receiver.is_connected
    assert connector.channels == {}
    assert connector.failures[caught.value.failure] == 1
    return caught.value


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_channel_to_a_listener(endpoints: Endpoints, host: str) -> None:
    listener = await plain(endpoints, host)
    connector, receiver = endpoints.connect_with(), Recorder()
    channel = await connect(connector, host, listener.address[1], receiver)
    assert receiver.channel is channel
    assert (channel.kind, channel.listener, channel.remote) == ("tcp", None, listener.address)
    assert channel.local == (await endpoints.receiver()).channel.remote
    channel.send([b"question"])
    await until(lambda: receiver.data == b"question")
    await connector.close("done")
    assert receiver.reasons == ["done"]
    assert connector.channels == {}


async def test_mutual_tls_shows_our_certificate(endpoints: Endpoints, authority: Authority) -> None:
    options = ListenerOptions(
        name="l", kind="peer", certificates=(authority.issue("b.test"),), client_ca=authority.ca_file
    )
    listener = await endpoints.listen(options, lambda: Recorder(echo))
    connector = endpoints.connect_with(context=client_tls(authority, authority.issue("a.test")))
    receiver = Recorder()
    port = listener.address[1]
    channel = await connect(connector, "127.0.0.1", port, receiver, secure=True, server_name="b.test")
    channel.send([b"x" * 100_000])
    await until(lambda: len(receiver.data) == 100_000)
    assert channel.certificate_names == ("b.test",)
    assert (await endpoints.receiver()).channel.certificate_names == ("a.test",)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "169.254.1.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"])
async def test_private_addresses_are_refused_unless_allowed(endpoints: Endpoints, host: str) -> None:
    error = await failure_of(endpoints.connect_with(), host, 1, allow_private=False)
    assert error.failure is ConnectFailure.FORBIDDEN
    assert endpoints.connector is not None
    assert endpoints.connector.attempts == 0


async def test_a_name_that_leads_inside_is_refused_after_resolution(endpoints: Endpoints) -> None:
    error = await failure_of(endpoints.connect_with(), "localhost", 1, allow_private=False)
    assert error.failure is ConnectFailure.FORBIDDEN
    assert "localhost: 127.0.0.1: loopback address" in error.detail


async def test_our_own_public_addresses_are_refused(endpoints: Endpoints) -> None:
    connector = endpoints.connect_with(own_addresses=lambda: ["203.0.114.5"])
    error = await failure_of(connector, "203.0.114.5", 2855, allow_private=False)
    assert error.failure is ConnectFailure.FORBIDDEN
    assert "our own" in error.detail


async def test_no_new_conn_refuses_to_connect(endpoints: Endpoints) -> None:
    listener = await plain(endpoints)
    table = ProfileTable([{"id": 7, "remote_addr": "127.0.0.0/8", "no_new_conn": 1}])
    error = await failure_of(endpoints.connect_with(profiles=table), "127.0.0.1", listener.address[1])
    assert error.failure is ConnectFailure.NO_NEW_CONNECTION
    assert "TCP profile 7" in error.detail
    assert listener.accepted == 0


async def test_nobody_listening_is_refused(endpoints: Endpoints) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await failure_of(endpoints.connect_with(), "127.0.0.1", unused.getsockname()[1])
    assert error.failure is ConnectFailure.REFUSED
    assert "Connect call failed" in error.detail or "refused" in error.detail


async def test_the_connect_timeout_of_the_profile_holds_in_milliseconds(endpoints: Endpoints) -> None:
    table = ProfileTable([{"id": 1, "connect_timeout": 50}])
    with _full_backlog() as address:
        error = await failure_of(endpoints.connect_with(profiles=table), *address)
    assert error.failure is ConnectFailure.TIMEOUT


async def test_the_next_address_is_tried_when_one_is_dead_or_silent(endpoints: Endpoints) -> None:
    listener = await plain(endpoints)
    with _full_backlog() as silent, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        connector = endpoints.connect_with()
        connector._resolver = FixedResolver(silent, unused.getsockname(), listener.address)
        channel = await connect(connector, "relay.test", 2855, Recorder())
    assert channel.remote == listener.address
    assert connector.attempts == 3


async def test_of_several_failures_one_is_told(endpoints: Endpoints) -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        connector = endpoints.connect_with()
        connector._resolver = FixedResolver(first.getsockname(), second.getsockname())
        error = await failure_of(connector, "relay.test", 2855)
    assert error.failure is ConnectFailure.REFUSED
    assert connector.attempts == 2


async def test_a_connection_leaves_from_the_local_address_asked_for(endpoints: Endpoints) -> None:
    listener = await plain(endpoints)
    connector = endpoints.connect_with()
    channel = await connect(connector, "127.0.0.1", listener.address[1], Recorder(), local_address="127.0.0.2")
    assert channel.local[0] == "127.0.0.2"
    assert (await endpoints.receiver()).channel.remote == channel.local


async def test_a_local_address_of_the_other_family_leaves_no_candidate(endpoints: Endpoints) -> None:
    error = await failure_of(endpoints.connect_with(), "127.0.0.1", 1, local_address="::1")
    assert error.failure is ConnectFailure.NO_ADDRESS


async def test_a_local_address_that_is_not_ours_is_a_lack_of_resources(endpoints: Endpoints) -> None:
    error = await failure_of(endpoints.connect_with(), "127.0.0.1", 1, local_address="192.0.2.1")
    assert error.failure is ConnectFailure.RESOURCES


async def test_a_peer_without_tls_fails_the_handshake(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(
        ListenerOptions(name="l", kind="tcp"), lambda: Recorder(lambda it, _: it.channel.send([b"MSRP what"]))
    )
    error = await failure_of(endpoints.connect_with(), "127.0.0.1", listener.address[1], secure=True)
    assert error.failure is ConnectFailure.HANDSHAKE


async def test_a_peer_that_leaves_in_the_handshake_fails_it(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(
        ListenerOptions(name="l", kind="tcp"), lambda: Recorder(lambda it, _: it.channel.close())
    )
    error = await failure_of(endpoints.connect_with(), "127.0.0.1", listener.address[1], secure=True)
    assert error.failure is ConnectFailure.HANDSHAKE


async def test_a_peer_silent_in_the_handshake_is_given_up(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"))
    connector = endpoints.connect_with(handshake_timeout=0.1)
    error = await failure_of(connector, "127.0.0.1", listener.address[1], secure=True)
    assert error.failure is ConnectFailure.TIMEOUT
    receiver = await endpoints.receiver()
    await until(lambda: receiver.is_over)


async def test_an_address_is_checked_against_the_certificates_addresses(
    endpoints: Endpoints, authority: Authority
) -> None:
    certificate = authority.issue("relay.test", addresses=("127.0.0.1",), file="both")
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tls", certificates=(certificate,)))
    channel = await connect(endpoints.connect_with(), "127.0.0.1", listener.address[1], Recorder(), secure=True)
    assert channel.kind == "tls"


async def test_a_cancelled_connect_leaves_nothing_behind(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"))
    connector, receiver = endpoints.connect_with(), Recorder()
    task = asyncio.create_task(connect(connector, "127.0.0.1", listener.address[1], receiver, secure=True))
    accepted = await endpoints.receiver()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: accepted.is_over)
    assert not receiver.is_connected


async def test_out_of_descriptors_is_a_lack_of_resources(endpoints: Endpoints) -> None:
    connector = endpoints.connect_with()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        error = await failure_of(connector, "127.0.0.1", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (error.failure, error.detail) == (
        ConnectFailure.RESOURCES,
        "127.0.0.1: 127.0.0.1 port 1: Too many open files",
    )


async def test_the_context_is_asked_for_at_each_connection(endpoints: Endpoints, authority: Authority) -> None:
    certificate = authority.issue("relay.test")
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tls", certificates=(certificate,)))
    contexts: list[ssl.SSLContext] = [ssl.create_default_context(), client_tls(authority)]
    connector = Connector(Resolver(choose=lambda total: total), tls=lambda: contexts.pop(0))
    endpoints.connector = connector
    arguments = {"secure": True, "server_name": "relay.test"}
    error = await failure_of(connector, "127.0.0.1", listener.address[1], **arguments)
    assert error.failure is ConnectFailure.CERTIFICATE
    await connect(connector, "127.0.0.1", listener.address[1], Recorder(), **arguments)


class _full_backlog:  # noqa: N801 - reads as a function
    """A listening socket whose queue is full: connecting to it gets no answer."""

    def __enter__(self) -> tuple[str, int]:
        self._sockets = [socket.socket()]
        self._sockets[0].bind(("127.0.0.1", 0))
        self._sockets[0].listen(0)
        address: tuple[str, int] = self._sockets[0].getsockname()
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            self._sockets.append(sock)
        return address

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            sock.close()
