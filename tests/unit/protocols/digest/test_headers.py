"""The three Digest headers: what is written is read back, and what hostile peers write is refused or read."""

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.errors import LocalProtocolError, RemoteProtocolError
from wigwag.protocols.digest import Algorithm, AuthenticationInfo, Challenge, Credentials, ha1, response

GOOD = (
    'Digest username="alice", realm="example.com", nonce="abc", response="0123456789abcdef0123456789ABCDEF", '
    'cnonce="c", qop=auth, nc=00000001, opaque="o"'
)
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


def test_challenge_quotes_qop_and_not_algorithm() -> None:
    challenge = Challenge("example.com", "n", algorithm=Algorithm.SHA_256, opaque="o", stale=True)
    assert str(challenge) == (
        'Digest realm="example.com", nonce="n", opaque="o", algorithm=SHA-256, qop="auth", stale=true'
    )


@given(realm=TEXT, nonce=TEXT, algorithm=st.sampled_from(Algorithm), opaque=st.none() | TEXT, stale=st.booleans())
def test_challenge_is_read_back(realm: str, nonce: str, algorithm: Algorithm, opaque: str | None, stale: bool) -> None:
    challenge = Challenge(realm, nonce, algorithm=algorithm, opaque=opaque, stale=stale)
    assert Challenge.parse(str(challenge)) == challenge


def test_challenge_of_rfc_2617_is_read() -> None:
    challenge = Challenge.parse('Digest realm="testrealm@host.com", domain="/a /b", qop="auth,auth-int", nonce="dcd9"')
    assert challenge.qop == ("auth", "auth-int")
    assert challenge.algorithm is Algorithm.MD5
    assert challenge.opaque is None


@pytest.mark.parametrize("value", ['Basic realm="x"', 'Digest realm="x", nonce="n", algorithm=MD5-sess', ""])
def test_challenge_that_cannot_be_answered_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Challenge.parse(value)


def test_challenge_without_qop_is_never_written() -> None:
    with pytest.raises(LocalProtocolError):
        str(Challenge("r", "n", qop=()))


@given(username=TEXT, realm=TEXT, nonce=TEXT, cnonce=TEXT, opaque=st.none() | TEXT, uri=st.none() | TEXT)
def test_credentials_are_read_back(
    username: str, realm: str, nonce: str, cnonce: str, opaque: str | None, uri: str | None
) -> None:
    credentials = Credentials(
        username, realm, nonce, "0" * 64, Algorithm.SHA_256, cnonce, "0000000a", "auth", opaque, uri
    )
    assert Credentials.parse(str(credentials)) == credentials
    assert credentials.nonce_count == 10


def test_credentials_are_written_with_qop_and_nc_unquoted() -> None:
    text = str(Credentials.parse(GOOD))
    assert "qop=auth, nc=00000001" in text
    assert "uri=" not in text


@pytest.mark.parametrize(
    ("written", "received"),
    [
        ("qop=auth", 'qop="auth"'),
        ("nc=00000001", 'nc="00000001"'),
        ("Digest ", "digest   "),
        (", ", ","),
        (", ", " , ,\t"),
        ('cnonce="c"', 'CNonce = "c"'),
        ('cnonce="c"', "cnonce=c"),
        ('realm="example.com"', r'realm="example\.com"'),
        ("qop=auth", "qop=AUTH, extension=token"),
    ],
)
def test_credentials_may_be_written_in_other_ways(written: str, received: str) -> None:
    assert Credentials.parse(GOOD.replace(written, received)) == Credentials.parse(GOOD)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        "Digest ",
        GOOD.replace("Digest ", "Basic "),
        GOOD.replace("Digest ", ""),
        GOOD[:-1],
        GOOD + ', x="',
        GOOD + ', x="\\',
        GOOD + ', x="\\"',
        GOOD + ", x",
        GOOD + ", x=",
        GOOD + ", =x",
        GOOD + ' "x"',
        GOOD + ' x="y"',
        GOOD.replace('username="alice"', 'username "alice"'),
        GOOD.replace('username="alice"', "username=al ice"),
        GOOD.replace('username="alice", ', ""),
        GOOD.replace('username="alice"', 'username="alice", username="bob"'),
        GOOD.replace('username="alice"', 'username="alice", UserName="alice"'),
        GOOD.replace("alice", "al\0ice"),
        GOOD.replace("alice", "al\nice"),
        GOOD.replace("alice", "al\\\rice"),
        GOOD.replace("alice", "al\x7fice"),
        GOOD.replace("alice", "al\x85ice"),
        GOOD.replace("alice", "al\ud800ice"),
        GOOD.replace('cnonce="c"', f'cnonce="{"c" * 1_000_000}"'),
        GOOD.replace('cnonce="c"', f'cnonce="{"c" * 1025}"'),
        GOOD + "," * 5000,
        GOOD + "".join(f", p{index}=x" for index in range(40)),
        GOOD.replace("qop=auth", "qop=auth-int"),
        GOOD.replace(", qop=auth", ""),
        GOOD.replace("nc=00000001", "nc=1"),
        GOOD.replace("nc=00000001", "nc=0000000g"),
        GOOD.replace("nc=00000001", "nc=-0000001"),
        GOOD.replace("ABCDEF", "ABCDE"),
        GOOD.replace("ABCDEF", "ABCDEG"),
        GOOD + ", algorithm=SHA-256",
        GOOD + ", algorithm=MD5-sess",
        GOOD + ', algorithm=""',
        GOOD.replace("0123456789abcdef0123456789ABCDEF", "0" * 64),
    ],
)
def test_malformed_credentials_get_400(value: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Credentials.parse(value)
    assert caught.value.status == 400


@given(st.text(max_size=200) | st.text('Digest=",\\ \tqopncusername\0', max_size=200))
def test_any_text_is_read_or_refused(value: str) -> None:
    for text in (value, f"Digest {value}", GOOD + value):
        with contextlib.suppress(RemoteProtocolError):
            Credentials.parse(text)


@given(st.integers(0, len(GOOD)))
def test_no_cut_of_good_credentials_is_mistaken_for_them(length: int) -> None:
    try:
        cut = Credentials.parse(GOOD[:length])
    except RemoteProtocolError:
        return
    assert cut in (Credentials.parse(GOOD), dataclasses.replace(Credentials.parse(GOOD), opaque=None))


def test_reason_of_a_refusal_never_holds_what_was_sent() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Credentials.parse(GOOD + ', secret="not closed')
    assert "alice" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["a\r\nUse-Path: msrp://evil", "a\0", "\x7f"])
def test_header_injection_through_a_field_is_a_local_error(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        str(dataclasses.replace(Credentials.parse(GOOD), username=value))


def test_digest_uri_is_the_to_paths_whether_named_or_not() -> None:
    credentials = Credentials.parse(GOOD)
    uri = "msrps://relay.example.com:2855;tcp"
    assert credentials.digest_uri(uri) == uri
    assert dataclasses.replace(credentials, uri=uri).digest_uri(uri) == uri
    with pytest.raises(RemoteProtocolError) as caught:
        dataclasses.replace(credentials, uri="msrps://other;tcp").digest_uri(uri)
    assert caught.value.status == 400


def test_credentials_prove_only_the_right_password() -> None:
    credentials = Credentials.parse(GOOD)
    right = ha1(Algorithm.MD5, "alice", "example.com", "secret")
    proof = response(
        Algorithm.MD5, right, nonce="abc", nc="00000001", cnonce="c", qop="auth", method="AUTH", uri="msrps://r;tcp"
    )
    credentials = dataclasses.replace(credentials, response=proof)
    assert credentials.proves(right, method="AUTH", uri="msrps://r;tcp")
    assert not credentials.proves(right, method="SEND", uri="msrps://r;tcp")
    wrong = ha1(Algorithm.MD5, "alice", "example.com", "Secret")
    assert not credentials.proves(wrong, method="AUTH", uri="msrps://r;tcp")


def test_authentication_info_is_read_back() -> None:
    info = AuthenticationInfo("0" * 32, "c", "00000001", "auth", nextnonce='n"x')
    assert str(info).endswith(f'qop=auth, rspauth="{"0" * 32}", cnonce="c", nc=00000001')
    assert AuthenticationInfo.parse(str(info)) == info


@pytest.mark.parametrize(
    "value",
    [
        f'qop=auth, cnonce="c", nc=00000001", rspauth="{"0" * 32}',
        f'rspauth="{"0" * 31}"',
        f'rspauth="{"g" * 32}"',
        "",
        "\0",
        "x" * 1_000_000,
    ],
)
def test_authentication_info_that_cannot_be_read_has_no_rspauth(value: str) -> None:
    assert AuthenticationInfo.parse(value).rspauth is None
