"""Clients are asked for a certificate of whatever issuer, and show it, or none; both get in."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.waiting import until
from wigwag.transport import asked_certificates
from wigwag.transport.asked_certificates import ask_without_judging
from wigwag.transport.channel import Channel
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.tls import ServerTls, certificate_of, client_context


class Seen:
    """Takes a connection and notes the certificate."""

    def __init__(self) -> None:
        self.certificate: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    def connected(self, channel: Channel) -> None:
        self.certificate.set_result(channel.peer_certificate())

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> None:
        pass

    def resume_sending(self) -> None:
        pass

    def pause_sending(self) -> None:
        pass

    def disconnected(self, reason: str) -> None:
        pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shows", [True, False])
async def test_what_a_client_shows_is_known(tmp_path: Path, shows: bool, version: ssl.TLSVersion) -> None:
    authority = Authority.create(tmp_path)
    pair = authority.self_signed("client.example") if shows else None
    seen: list[Seen] = []

    def receiver() -> Seen:
        seen.append(Seen())
        return seen[-1]

    options = ListenerOptions(name="t", kind="tls", certificates=(authority.issue("localhost"),), ask_certificate=True)
    listener = Listener(options, receiver)
    await listener.start()
    try:
        assert listener.tls is not None
        assert listener.tls.asks
        context = client_context(ca_file=authority.ca_file, certificate=pair)
        context.maximum_version = version
        _, writer = await asyncio.open_connection(*listener.address, ssl=context, server_hostname="localhost")
        await until(lambda: seen and seen[0].certificate.done())
        found = seen[0].certificate.result()
        assert found == (certificate_of(pair[0]) if pair is not None else None)
        writer.close()
    finally:
        await listener.close()


def test_nobody_is_asked_unless_it_is_wanted_or_where_it_can_not_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority.create(tmp_path)
    pair = authority.issue("localhost")
    assert not ServerTls([pair]).asks
    assert not ServerTls([pair], client_ca=authority.ca_file, ask=True).asks
    monkeypatch.setattr(asked_certificates, "_library", lambda: None)
    server = ServerTls([pair], ask=True)
    assert (server.asks, server.context().verify_mode) == (False, ssl.CERT_NONE)


def test_a_library_that_says_something_else_than_python_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Another:
        def SSL_CTX_get_verify_mode(self, pointer: object) -> int:  # noqa: N802 (OpenSSL's name)
            return 7

    monkeypatch.setattr(asked_certificates, "_library", Another)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert not ask_without_judging(context)
    assert context.verify_mode is ssl.CERT_NONE
