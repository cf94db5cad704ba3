"""What SIP needs of Digest and MSRP does not: auth-int, clients without qop, names in the extended notation."""

import pytest

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.digest import Algorithm, Credentials, StoredCredentials, ha1, response

REQUIRED = 'realm="r", nonce="n", response="0123456789abcdef0123456789abcdef"'
HA1 = ha1(Algorithm.MD5, "alice", "r", "secret")


def proof(qop: str, body: bytes, method: str = "MESSAGE", algorithm: Algorithm = Algorithm.MD5) -> str:
    nc, cnonce = ("00000001", "c") if qop else ("", "")
    return response(algorithm, HA1, nonce="n", nc=nc, cnonce=cnonce, qop=qop, method=method, uri="sip:bob@r", body=body)


def test_auth_int_covers_the_body_and_auth_does_not() -> None:
    assert proof("auth-int", b"one") != proof("auth-int", b"two")
    assert proof("auth", b"one") == proof("auth", b"two")


def test_auth_int_is_what_rfc_7616_writes_down() -> None:
    # A2 = Method ":" request-uri ":" H(entity-body), the hash of nothing as RFC 8760 section 2.6 prints it.
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    digest = Algorithm.SHA_256.hexdigest
    expected = digest(f"{HA1}:n:00000001:c:auth-int:{digest(f'REGISTER:sip:bob@r:{empty}')}")
    assert proof("auth-int", b"", method="REGISTER", algorithm=Algorithm.SHA_256) == expected


def test_response_without_qop_is_that_of_rfc_2069() -> None:
    # RFC 2069 section 2.4 with the response that its erratum 749 corrects.
    hashed = ha1(Algorithm.MD5, "Mufasa", "testrealm@host.com", "CircleOfLife")
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    computed = response(
        Algorithm.MD5, hashed, nonce=nonce, nc="", cnonce="", qop="", method="GET", uri="/dir/index.html"
    )
    assert computed == "1949323746fe6a43ef61f9606e7febea"


def test_clients_without_qop_are_read_only_where_they_are_allowed() -> None:
    value = f'Digest username="alice", {REQUIRED}'
    credentials = Credentials.parse(value, ("auth", ""))
    assert (credentials.qop, credentials.nc, credentials.cnonce, credentials.nonce_count) == ("", "", "", 0)
    assert "qop" not in str(credentials)
    assert Credentials.parse(str(credentials), ("",)) == credentials
    with pytest.raises(RemoteProtocolError, match="qop is missing"):
        Credentials.parse(value)


@pytest.mark.parametrize("qop", ["auth-int", "auth-conf", '""'])
def test_quality_that_was_not_offered_is_refused(qop: str) -> None:
    with pytest.raises(RemoteProtocolError, match="qop was not offered"):
        Credentials.parse(f'Digest username="alice", {REQUIRED}, qop={qop}, nc=00000001, cnonce="c"')


def test_credentials_of_auth_int_prove_the_body_too() -> None:
    fields = f'username="alice", realm="r", nonce="n", response="{proof("auth-int", b"hello")}"'
    credentials = Credentials.parse(f'Digest {fields}, qop=auth-int, nc=00000001, cnonce="c"', ("auth-int",))
    assert credentials.proves(HA1, method="MESSAGE", uri="sip:bob@r", body=b"hello")
    assert not credentials.proves(HA1, method="MESSAGE", uri="sip:bob@r", body=b"hello!")


def named(name: str) -> str:
    return Credentials.parse(f'Digest {name}, {REQUIRED}, qop=auth, nc=00000001, cnonce="c"').username


def test_extended_notation_carries_a_name_in_utf_8() -> None:
    assert named("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe") == "Jäsøn Doe"
    assert named("username*=utf-8'de'alice") == "alice"


@pytest.mark.parametrize(
    "name",
    [
        "username*=UTF-8''a, username=a",
        "username*=ISO-8859-1''a%E4",
        "username*=UTF-8''%ff",
        "username*=UTF-8''%0d%0a",
        "username*=UTF-8''a%0",
        "username*=UTF-8''",
        "username*=a",
        "username=488869477bf257147b804c45308cd62a, userhash=true",
    ],
)
def test_names_that_cannot_be_looked_up_are_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError):
        named(name)


def test_stored_hash_serves_one_spelling_of_the_name_and_a_password_any() -> None:
    hashed = StoredCredentials("alice", "r", ha1=HA1)
    assert hashed.ha1_for(Algorithm.MD5, "r", "alice") == HA1
    assert hashed.ha1_for(Algorithm.MD5, "r", "alice@r") is None
    open_ = StoredCredentials("alice", "r", password="secret")
    assert open_.ha1_for(Algorithm.MD5, "r", "alice@r") == ha1(Algorithm.MD5, "alice@r", "r", "secret")
