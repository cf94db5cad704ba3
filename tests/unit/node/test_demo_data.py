import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from wigwag.errors import ConfigurationError
from wigwag.node.certificates import RENEW_DAYS, SERVER_DAYS, ensure_certificates
from wigwag.node.demo_data import PORTS, SIP_PORTS, ensure_demo_data, existing_demo_data
from wigwag.node.settings import Settings
from wigwag.runtime.settings import is_loopback
from wigwag.transport.tls import client_context

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


def test_a_second_run_finds_the_same_users_and_certificate(tmp_path: Path) -> None:
    first = ensure_demo_data(tmp_path)
    certificate = first.certificates.certificate.read_bytes()
    second = ensure_demo_data(tmp_path)
    assert second == first
    assert second.certificates.certificate.read_bytes() == certificate


def test_secrets_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    ensure_demo_data(tmp_path / "data")
    secret = [path for path in (tmp_path / "data").rglob("*") if path.suffix in (".key", ".json")]
    assert {path.name for path in secret} == {"ca.key", "server.key", "users.json"}
    assert {path.stat().st_mode & 0o077 for path in [*secret, tmp_path / "data"]} == {0}


def test_passwords_differ_from_node_to_node(tmp_path: Path) -> None:
    passwords = {ensure_demo_data(tmp_path / name).passwords["alice"] for name in ("a", "b")}
    assert len(passwords) == 2


def test_the_layer_is_a_valid_setting_and_on_loopback_only(tmp_path: Path) -> None:
    settings = Settings.model_validate(ensure_demo_data(tmp_path).layer())
    listeners = settings.relay.listeners
    assert {listener.kind: listener.port for listener in listeners} == dict(PORTS)
    assert {listener.kind: listener.port for listener in settings.relay.sip.listeners} == dict(SIP_PORTS)
    hosts = [listener.host for listener in listeners] + [listener.host for listener in settings.relay.sip.listeners]
    assert all(map(is_loopback, hosts))
    assert [user.username for user in settings.users] == ["alice", "bob"]


def test_demo_data_are_found_only_where_a_demo_node_was(tmp_path: Path) -> None:
    assert existing_demo_data(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    made = ensure_demo_data(tmp_path)
    assert existing_demo_data(tmp_path) == made


@pytest.mark.parametrize("content", ["{", "[]", '{"alice": "x"}'])
def test_a_users_file_that_somebody_broke_is_named(tmp_path: Path, content: str) -> None:
    ensure_demo_data(tmp_path)
    (tmp_path / "demo" / "users.json").write_text(content)
    with pytest.raises(ConfigurationError, match=str(tmp_path / "demo")):
        ensure_demo_data(tmp_path)


def test_the_certificate_is_renewed_before_it_ends_and_its_authority_stays(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    authority, certificate = files.authority.read_bytes(), files.certificate.read_bytes()
    nearly = NOW + datetime.timedelta(days=SERVER_DAYS - RENEW_DAYS - 1)
    assert ensure_certificates(tmp_path, nearly).certificate.read_bytes() == certificate
    renewed = ensure_certificates(tmp_path, nearly + datetime.timedelta(days=2))
    assert renewed.certificate.read_bytes() != certificate
    assert renewed.authority.read_bytes() == authority


def test_a_new_authority_brings_a_new_certificate(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    certificate = files.certificate.read_bytes()
    files.authority.write_text("broken")
    assert ensure_certificates(tmp_path, NOW).certificate.read_bytes() != certificate


def test_the_authority_can_speak_for_nobody_but_this_machine(tmp_path: Path) -> None:
    authority = x509.load_pem_x509_certificate(ensure_certificates(tmp_path, NOW).authority.read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees is not None
    assert x509.DNSName("localhost") in constraints.value.permitted_subtrees


@pytest.mark.parametrize(("name", "trusted"), [("localhost", True), ("127.0.0.1", True), ("::1", True), ("a.b", False)])
def test_openssl_trusts_the_certificate_for_this_machine_only(tmp_path: Path, name: str, trusted: bool) -> None:
    files = ensure_certificates(tmp_path, datetime.datetime.now(datetime.UTC))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(incoming, outgoing, server_side=True)
    theirs = client_context(ca_file=str(files.authority)).wrap_bio(outgoing, incoming, server_hostname=name)
    failed = False
    for end in (theirs, ours) * 4:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            failed = True
            break
    assert failed is not trusted
