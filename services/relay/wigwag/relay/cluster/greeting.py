"""How both ends of a pod link prove that they belong to the cluster: by its signing keys, which nobody else has.

HELLO carries the sender's nonce; CHALLENGE the holder's nonce and a MAC over both nonces and names; PROOF the sender's
MAC over the same, for a purpose of its own, so that neither MAC can be played back as the other.
"""

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.digest import SigningKeys

from .frames import VERSION, Challenge, Hello, Proof

_HOLDER = b"pod-link-holder"
_SENDER = b"pod-link-sender"


def _said(sender_nonce: bytes, holder_nonce: bytes, sender: str, holder: str) -> bytes:
    names = f"{len(sender)}:{sender}{holder}"
    return sender_nonce + holder_nonce + names.encode()


def prove_holder(keys: SigningKeys, hello: Hello, nonce: bytes, pod: str) -> tuple[str, bytes]:
    """Return key id and MAC of the CHALLENGE that answers a HELLO.

    Raises:
        RemoteProtocolError: The sender speaks another version.
    """
    if hello.version != VERSION:
        raise RemoteProtocolError(f"pod {hello.pod} speaks version {hello.version} of the pod link, not {VERSION}")
    return keys.sign(_HOLDER, _said(hello.nonce, nonce, hello.pod, pod))


def check_holder(keys: SigningKeys, challenge: Challenge, nonce: bytes, pod: str, expected: str) -> tuple[str, bytes]:
    """Check the holder's proof; returns key id and MAC of our own.

    Raises:
        RemoteProtocolError: It has none of our keys, or is not the pod that was to be reached.
    """
    said = _said(nonce, challenge.nonce, pod, challenge.pod)
    if not keys.verify(challenge.key_id, _HOLDER, said, challenge.mac):
        raise RemoteProtocolError(f"pod {challenge.pod!r} does not have the cluster's signing keys")
    if challenge.pod != expected:
        raise RemoteProtocolError(f"the address of pod {expected} leads to pod {challenge.pod}")
    return keys.sign(_SENDER, said)


def check_sender(keys: SigningKeys, proof: Proof, hello: Hello, nonce: bytes, pod: str) -> None:
    """Check the sender's proof.

    Raises:
        RemoteProtocolError: It has none of our keys.
    """
    if not keys.verify(proof.key_id, _SENDER, _said(hello.nonce, nonce, hello.pod, pod), proof.mac):
        raise RemoteProtocolError(f"pod {hello.pod!r} does not have the cluster's signing keys")
