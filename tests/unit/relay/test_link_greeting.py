"""Who may open a pod link: those who hold the cluster's keys."""

import pytest

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.digest import SigningKey, SigningKeys
from wigwag.relay.cluster.frames import Challenge, Hello, Proof
from wigwag.relay.cluster.greeting import check_holder, check_sender, prove_holder

KEYS = SigningKeys([SigningKey("A", b"k" * 32)])
OTHERS = SigningKeys([SigningKey("A", b"x" * 32)])
HELLO = Hello(1, b"s" * 16, "sender")
NONCE = b"h" * 16


def challenge(keys: SigningKeys = KEYS, pod: str = "holder") -> Challenge:
    return Challenge(NONCE, *prove_holder(keys, HELLO, NONCE, pod), pod)


def test_both_ends_prove_that_they_hold_the_keys() -> None:
    key_id, mac = check_holder(KEYS, challenge(), HELLO.nonce, "sender", "holder")
    check_sender(KEYS, Proof(key_id, mac), HELLO, NONCE, "holder")


def test_a_holder_with_other_keys_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="signing keys"):
        check_holder(KEYS, challenge(OTHERS), HELLO.nonce, "sender", "holder")


def test_a_holder_that_is_another_pod_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="leads to pod other"):
        check_holder(KEYS, challenge(pod="other"), HELLO.nonce, "sender", "holder")


def test_the_holders_own_proof_cannot_be_played_back_as_the_senders() -> None:
    found = challenge()
    with pytest.raises(RemoteProtocolError, match="signing keys"):
        check_sender(KEYS, Proof(found.key_id, found.mac), HELLO, NONCE, "holder")


def test_a_proof_for_another_nonce_is_refused() -> None:
    key_id, mac = check_holder(KEYS, challenge(), HELLO.nonce, "sender", "holder")
    with pytest.raises(RemoteProtocolError, match="signing keys"):
        check_sender(KEYS, Proof(key_id, mac), HELLO, b"n" * 16, "holder")


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(RemoteProtocolError, match="version 2"):
        prove_holder(KEYS, Hello(2, b"s" * 16, "sender"), NONCE, "holder")
