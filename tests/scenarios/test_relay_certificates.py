"""Certificates of the running relay are replaced without a restart."""

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.live_client import LiveClient, StreamWire
from tests.support.live_relay import HOST, Clients
from tests.support.node import json_of


@pytest.fixture(autouse=True)
def good_files_are_left(clients: Clients, authority: Authority, certificate: tuple[str, str]) -> Iterator[None]:
    yield
    assert authority.issue(HOST, file="relay") == certificate
    clients.node.ask("POST", "/v1/relay/certificates/reload")


def shown(client: LiveClient) -> str:
    """Return the fingerprint of the certificate that the relay showed this client."""
    assert isinstance(client.wire, StreamWire)
    connection: ssl.SSLObject = client.wire.writer.get_extra_info("ssl_object")
    return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


def fingerprint(pem_file: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(pem_file).read_text())).hexdigest()


async def test_new_connections_see_the_new_certificate_and_old_ones_live_on(
    clients: Clients, authority: Authority, certificate: tuple[str, str]
) -> None:
    old = await clients.join("alice", "tls")
    before = fingerprint(certificate[0])
    assert shown(old) == before
    authority.issue(HOST, file="relay")
    assert fingerprint(certificate[0]) != before
    assert shown(await clients.join("bob", "tls")) == before
    result = json_of(clients.node.command("certificates", "reload", "--json"))
    assert result == {"tls": "reloaded", "wss": "reloaded", "peer": "reloaded"}
    new = await clients.join("bob", "tls")
    assert shown(new) == fingerprint(certificate[0])
    for sender, receiver in ((new, old), (old, new), (await clients.join("carol", "wss"), old)):
        message, _ = await sender.send(sender.path_to(receiver), b"still here")
        assert (await receiver.message(message)).body == b"still here"


def spoil(chain: Path, key: Path, other_key: Path, how: str) -> None:
    if how == "nonsense":
        chain.write_text("no certificate\n")
    elif how == "gone":
        key.unlink()
    else:
        key.write_bytes(other_key.read_bytes())


@pytest.mark.parametrize("broken", ["nonsense", "key of another", "gone"])
async def test_a_broken_file_keeps_the_old_certificate_and_says_why(
    clients: Clients, authority: Authority, certificate: tuple[str, str], broken: str
) -> None:
    before = fingerprint(certificate[0])
    chain, key = map(Path, certificate)
    spoil(chain, key, Path(authority.issue("other.test")[1]), broken)
    result = clients.node.command("certificates", "reload")
    assert result.returncode == 1
    assert "relay" in result.stdout
    alice = await clients.join("alice", "tls")
    assert shown(alice) == before
    reasons = [line for line in clients.node.log_lines() if line["event"] == "certificates stay as they were"]
    assert {line["listener"] for line in reasons[-3:]} == {"tls", "wss", "peer"}
    assert all(str(chain) in line["reason"] or str(key) in line["reason"] for line in reasons[-3:])
