from pathlib import Path

import pytest

from tests.support.certificates import Authority
from wigwag.errors import ConfigurationError
from wigwag.store.redis.address import parse_address


def test_a_url_says_where_and_as_whom() -> None:
    address = parse_address("redis://wig%40wag:p%3A%2F%40@redis.example:6380/3")
    assert address.hosts == (("redis.example", 6380),)
    assert (address.username, address.password, address.database) == ("wig@wag", "p:/@", 3)
    assert not address.is_cluster
    assert address.tls is None


def test_a_password_may_stand_without_a_user() -> None:
    address = parse_address("redis://:secret@redis.example")
    assert (address.hosts, address.username, address.password) == ((("redis.example", 6379),), None, "secret")


def test_a_cluster_has_several_hosts() -> None:
    address = parse_address("rediss+cluster://a.example,[2001:db8::1]:7000,10.0.0.3:7001")
    assert address.hosts == (("a.example", 6379), ("2001:db8::1", 7000), ("10.0.0.3", 7001))
    assert address.is_cluster
    assert address.tls is not None


def test_only_the_named_authority_is_trusted(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    for address in (
        parse_address("rediss://redis.example", ca_file=authority.ca_file),
        parse_address(f"rediss://redis.example?ca_file={authority.ca_file}"),
    ):
        assert address.tls is not None
        assert len(address.tls.context().get_ca_certs()) == 1


def test_a_certificate_that_was_renewed_is_used_for_new_connections(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    chain, key = authority.issue("relay.example", file="client")
    tls = parse_address(f"rediss://redis.example?ca_file={authority.ca_file}&cert_file={chain}&key_file={key}").tls
    assert tls is not None
    first = tls.context()
    assert tls.context() is first
    authority.issue("relay.example", file="client")
    assert tls.context() is not first


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://redis.example", "redis.url: has to begin with redis://"),
        ("redis.example:6379", "redis.url: is not of the form"),
        ("redis://", "redis.url: is not of the form"),
        ("redis://u:secret@redis.example:port", "redis.url: is not of the form"),
        ("redis://u:secret@a.example,b.example", "redis.url: several hosts need redis\\+cluster"),
        ("redis://redis.example/zero", "redis.url: only the number of a database"),
        ("redis+cluster://redis.example/1", "redis.url: only the number of a database"),
        ("redis://redis.example?timeout=3", "redis.url: does not know timeout; there are ca_file"),
        ("redis://redis.example?ca_file=x", "redis.url: ca_file needs rediss://"),
        ("rediss://redis.example?ca_file=/nowhere", "redis.ca_file: /nowhere cannot be read: No such file"),
        ("rediss://redis.example?ca_file=/etc/hostname", "redis.url: ca_file cannot be used for TLS"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as refusal:
        parse_address(url)
    assert "secret" not in str(refusal.value)
