"""TLS: names, versions, SNI, client certificates, and certificates replaced while running."""

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.streams import Endpoints, Recorder, client_tls, echo
from tests.support.waiting import until
from wigwag.transport import streams
from wigwag.transport.client_hello import server_name
from wigwag.transport.errors import CertificateError, ConnectError, ConnectFailure
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.tls import ServerTls, client_context


def secure(authority: Authority, *certificates: tuple[str, str], **options: object) -> ListenerOptions:
    chosen = certificates or (authority.issue("relay.test"),)
    return ListenerOptions(**{"name": "l", "kind": "tls", "certificates": chosen, **options})  # type: ignore[arg-type]


async def ask(endpoints: Endpoints, listener: Listener, context: ssl.SSLContext, name: str) -> bytes:
    """The certificate that the listener shows, DER, after an echo through it."""
    reader, writer = await endpoints.client(listener, context, name)
    writer.write(b"echo")
    assert await reader.readexactly(4) == b"echo"
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert isinstance(certificate, bytes)
    return certificate


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("right dNSName", None),
        ("only CN", ConnectFailure.CERTIFICATE),
        ("other name", ConnectFailure.CERTIFICATE),
        ("expired", ConnectFailure.CERTIFICATE),
        ("self-signed", ConnectFailure.CERTIFICATE),
        ("IP SAN for a name", ConnectFailure.CERTIFICATE),
        ("unknown authority", ConnectFailure.CERTIFICATE),
    ],
)
async def test_m109_only_a_trusted_certificate_with_the_hosts_dns_name_is_accepted(
    endpoints: Endpoints, authority: Authority, stranger: Authority, kind: str, failure: ConnectFailure | None
) -> None:
    certificate = {
        "right dNSName": lambda: authority.issue("localhost", "relay.test"),
        "only CN": lambda: authority.issue(common_name="localhost", file="only-cn"),
        "other name": lambda: authority.issue("other.test"),
        "expired": lambda: authority.issue("localhost", expired=True, file="expired"),
        "self-signed": lambda: authority.self_signed("localhost"),
        "IP SAN for a name": lambda: authority.issue(addresses=("127.0.0.1",), file="address"),
        "unknown authority": lambda: stranger.issue("localhost"),
    }[kind]()
    listener = await endpoints.listen(secure(authority, certificate))
    connector = endpoints.connect_with()
    receiver = Recorder()
    arguments = {"secure": True, "receiver": receiver, "allow_private": True, "local_address": "127.0.0.1"}
    if failure is None:
        channel = await connector.connect("localhost", listener.address[1], **arguments)  # type: ignore[arg-type]
        assert channel.certificate_names == ("localhost", "relay.test")
        assert channel.kind == "tls"
    else:
        with pytest.raises(ConnectError) as caught:
            await connector.connect("localhost", listener.address[1], **arguments)  # type: ignore[arg-type]
        assert caught.value.failure is failure
        assert not receiver.is_connected
        assert connector.failures[failure] == 1
        await until(lambda: listener.handshake_failures + len(endpoints.accepted[0].reasons) == 1)


async def test_m110_a_peer_listener_wants_a_certificate_of_its_authority(
    endpoints: Endpoints, authority: Authority, stranger: Authority
) -> None:
    listener = await endpoints.listen(
        secure(authority, kind="peer", client_ca=authority.ca_file), lambda: Recorder(echo)
    )
    ours = authority.issue("b.relay.test", "B2.relay.test", file="client")
    await ask(endpoints, listener, client_tls(authority, ours), "relay.test")
    channel = (await endpoints.receiver()).channel
    assert (channel.kind, channel.certificate_names) == ("tls", ("b.relay.test", "b2.relay.test"))
    for count, certificate in enumerate([None, stranger.issue("b.relay.test")], 1):
        with pytest.raises((OSError, AssertionError, EOFError), match=r"."):
            await ask(endpoints, listener, client_tls(authority, certificate), "relay.test")
        await until(lambda count=count: listener.handshake_failures == count)  # type: ignore[misc]
    assert [receiver.is_connected for receiver in endpoints.accepted] == [True, False, False]


async def test_m111_a_client_listener_asks_for_no_certificate_and_names_nobody(
    endpoints: Endpoints, authority: Authority
) -> None:
    listener = await endpoints.listen(secure(authority), lambda: Recorder(echo))
    await ask(endpoints, listener, client_tls(authority, authority.issue("client.test")), "relay.test")
    assert (await endpoints.receiver()).channel.certificate_names == ()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_m112_tls_1_2_and_1_3_are_spoken(
    endpoints: Endpoints, authority: Authority, version: ssl.TLSVersion
) -> None:
    listener = await endpoints.listen(secure(authority), lambda: Recorder(echo))
    context = client_tls(authority)
    context.minimum_version = context.maximum_version = version
    await ask(endpoints, listener, context, "relay.test")


async def test_m112_older_versions_are_refused_by_both_sides(endpoints: Endpoints, authority: Authority) -> None:
    tls = ServerTls([authority.issue("relay.test")])
    assert tls.context().minimum_version == ssl.TLSVersion.TLSv1_2
    assert client_context().minimum_version == ssl.TLSVersion.TLSv1_2
    listener = await endpoints.listen(secure(authority))
    _, writer = await endpoints.client(listener)
    # A ClientHello of TLS 1.1 with one cipher suite and no extensions.
    hello = b"\x03\x02" + bytes(32) + b"\x00" + b"\x00\x02\x00\x2f" + b"\x01\x00"
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    writer.write(b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake)
    await until(lambda: listener.handshake_failures == 1)


async def test_m112_the_server_name_is_sent(endpoints: Endpoints, authority: Authority) -> None:
    first, second = authority.issue("localhost"), authority.issue("other.test", "localhost", file="two")
    listener = await endpoints.listen(secure(authority, first, second))
    channel = await endpoints.connect_with().connect(
        "127.0.0.1", listener.address[1], secure=True, receiver=Recorder(), server_name="other.test", allow_private=True
    )
    assert channel.certificate_names == ("other.test", "localhost")


async def test_the_certificate_follows_the_name_asked_for(endpoints: Endpoints, authority: Authority) -> None:
    certificates = [authority.issue("a.test"), authority.issue("b.test"), authority.issue("*.c.test")]
    listener = await endpoints.listen(secure(authority, *certificates), lambda: Recorder(echo))
    context = client_tls(authority)
    shown = {name: await ask(endpoints, listener, context, name) for name in ("a.test", "b.test", "x.c.test")}
    assert len(set(shown.values())) == 3
    context.check_hostname = False
    assert await ask(endpoints, listener, context, "unknown.test") == shown["a.test"]
    assert await ask(endpoints, listener, context, "127.0.0.1") == shown["a.test"]
    assert await ask(endpoints, listener, context, "y.x.c.test") == shown["a.test"]


async def test_a_peer_listener_with_several_names_wants_a_certificate_for_each(
    endpoints: Endpoints, authority: Authority
) -> None:
    certificates = (authority.issue("a.test"), authority.issue("b.test"))
    options = secure(authority, *certificates, kind="peer", client_ca=authority.ca_file)
    listener = await endpoints.listen(options, lambda: Recorder(echo))
    for count, name in enumerate(("a.test", "b.test"), 1):
        with pytest.raises((OSError, EOFError), match=r"."):
            await ask(endpoints, listener, client_tls(authority), name)
        await until(lambda count=count: listener.handshake_failures == count)  # type: ignore[misc]
    await ask(endpoints, listener, client_tls(authority, authority.issue("c.test")), "b.test")


async def test_a_reload_holds_for_new_connections_and_leaves_the_old_ones_alone(
    endpoints: Endpoints, authority: Authority, tmp_path: Path
) -> None:
    live = _copy(authority.issue("relay.test", file="old"), tmp_path)
    listener = await endpoints.listen(secure(authority, live), lambda: Recorder(echo))
    context = client_tls(authority)
    reader, writer = await endpoints.client(listener, context, "relay.test")
    old = await ask(endpoints, listener, context, "relay.test")
    _copy(authority.issue("relay.test", file="new"), tmp_path)
    assert listener.tls is not None
    listener.tls.reload()
    new = await ask(endpoints, listener, context, "relay.test")
    assert new != old
    writer.write(b"still")
    assert await reader.readexactly(5) == b"still"


async def test_a_broken_reload_says_why_and_the_old_certificate_goes_on_serving(
    endpoints: Endpoints, authority: Authority, tmp_path: Path
) -> None:
    live = _copy(authority.issue("relay.test", file="old"), tmp_path)
    listener = await endpoints.listen(secure(authority, live), lambda: Recorder(echo))
    context = client_tls(authority)
    old = await ask(endpoints, listener, context, "relay.test")
    shutil.copy(authority.issue("relay.test", file="new")[1], live[1])
    assert listener.tls is not None
    with pytest.raises(CertificateError, match=r"live\.crt and .*live\.key do not work together"):
        listener.tls.reload()
    assert await ask(endpoints, listener, context, "relay.test") == old


async def test_large_data_crosses_both_ways_at_once(endpoints: Endpoints, authority: Authority) -> None:
    listener = await endpoints.listen(secure(authority), lambda: Recorder(echo))
    reader, writer = await endpoints.client(listener, client_tls(authority), "relay.test")
    payload = bytes(range(256)) * 16_384
    writer.write(payload)
    assert await reader.readexactly(len(payload)) == payload


async def test_a_closing_client_that_never_read_loses_nothing(endpoints: Endpoints, authority: Authority) -> None:
    listener = await endpoints.listen(secure(authority))
    _, writer = await endpoints.client(listener, client_tls(authority), "relay.test")
    payload = b"x" * 3_000_000
    writer.write(payload)
    writer.close()
    receiver = await endpoints.receiver()
    await until(lambda: receiver.is_over)
    assert receiver.data == payload


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no chain", "No such file"),
        ("no key", "No such file"),
        ("garbage chain", "no certificate in PEM"),
        ("garbage key", "do not work together"),
        ("key of another", "do not work together"),
        ("no authority", "No such file"),
        ("garbage authority", "no authority in PEM"),
    ],
)
def test_unusable_files_are_named(authority: Authority, tmp_path: Path, damage: str, message: str) -> None:
    chain, key = _copy(authority.issue("relay.test"), tmp_path)
    ca_file = str(shutil.copy(authority.ca_file, tmp_path / "ca.pem"))
    damaged = {"chain": chain, "key": key, "another": key, "authority": ca_file}[damage.split()[-1]]
    if damage.startswith("no"):
        Path(damaged).unlink()
    elif damage.startswith("garbage"):
        Path(damaged).write_text("garbage")
    else:
        shutil.copy(authority.issue("relay.test", file="another")[1], key)
    with pytest.raises(CertificateError, match=message) as caught:
        ServerTls([(chain, key)], client_ca=ca_file)
    assert damaged in str(caught.value)


def test_an_encrypted_key_is_refused_without_asking_the_terminal(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    chain, key = _copy(authority.issue("relay.test"), tmp_path)
    private = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    Path(key).write_bytes(
        private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    with pytest.raises(CertificateError, match="the key is encrypted"):
        ServerTls([(chain, key)])


def test_a_listener_without_certificate_says_so() -> None:
    with pytest.raises(CertificateError, match="no certificate is configured"):
        ServerTls([])


def test_the_first_end_of_validity_is_known(authority: Authority) -> None:
    pairs = [authority.issue("a.test"), authority.issue("b.test", expired=True, file="ended")]
    assert ServerTls(pairs).expires < ServerTls(pairs[:1]).expires


def test_the_name_in_a_client_hello_is_found_wherever_it_is_cut() -> None:
    hello = client_hello("relay.example.com")
    assert server_name(hello) == (True, "relay.example.com")
    assert {server_name(hello[:size]) for size in range(len(hello))} == {(False, None)}
    records = b"".join(b"\x16\x03\x01" + (1).to_bytes(2, "big") + hello[5 + i : 6 + i] for i in range(len(hello) - 5))
    assert server_name(records) == (True, "relay.example.com")


def test_a_hello_without_name_and_what_is_no_hello_are_complete() -> None:
    assert server_name(client_hello(None)) == (True, None)
    assert server_name(b"MSRP abcd SEND") == (True, None)
    assert server_name(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00") == (True, None)


def test_hostile_hellos_never_raise() -> None:
    hello = client_hello("relay.example.com")
    for position in range(5, len(hello)):
        for value in (0, 1, 127, 255):
            damaged = hello[:position] + bytes([value]) + hello[position + 1 :]
            complete, name = server_name(damaged)
            assert isinstance(complete, bool)
            assert name is None or isinstance(name, str)


def client_hello(name: str | None) -> bytes:
    """The first flight of a real client."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def _copy(pair: tuple[str, str], directory: Path) -> tuple[str, str]:
    chain, key = str(directory / "live.crt"), str(directory / "live.key")
    shutil.copy(pair[0], chain)
    shutil.copy(pair[1], key)
    return chain, key


async def test_where_aiofastnet_is_missing_the_loops_own_tls_serves(
    endpoints: Endpoints, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "aiofastnet", None)
    listener = await endpoints.listen(secure(authority), lambda: Recorder(echo))
    receiver = Recorder()
    channel = await endpoints.connect_with().connect(
        "127.0.0.1", listener.address[1], secure=True, receiver=receiver, server_name="relay.test", allow_private=True
    )
    channel.send([b"x" * 100_000] * 3)
    await until(lambda: len(receiver.data) == 300_000)
    channel.close("enough")
    await until(lambda: receiver.reasons == ["enough"] and endpoints.accepted[0].is_over)


@pytest.mark.parametrize("fast", [True, False])
async def test_connection_that_is_given_up_as_its_handshake_ends_takes_nothing_from_the_next(
    endpoints: Endpoints, authority: Authority, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    if not fast:
        monkeypatch.setattr(streams, "aiofastnet", None)
    tls = await endpoints.listen(secure(authority, authority.issue("localhost")))
    plain = await endpoints.listen(ListenerOptions(name="p", kind="tcp"), lambda: Recorder(echo))
    connector = endpoints.connect_with()

    def give_up(_: Recorder) -> None:
        connecting.cancel()

    given_up = Recorder(welcome=give_up)
    connecting = asyncio.create_task(
        connector.connect("localhost", tls.address[1], secure=True, receiver=given_up, allow_private=True)
    )
    with pytest.raises(asyncio.CancelledError):
        await connecting
    following = Recorder()
    channel = await connector.connect(
        "localhost", plain.address[1], secure=False, receiver=following, allow_private=True
    )
    for number in range(10):
        channel.send([b"hello"])
        await until(lambda count=number + 1: following.data == count * b"hello")  # type: ignore[misc]
    await until(lambda: given_up.is_over and endpoints.accepted[0].is_over)
    channel.close()
    await until(lambda: following.is_over)
