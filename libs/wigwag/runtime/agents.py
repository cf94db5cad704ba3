"""What the edge and the user agent have to agree on: names of ua pods, and whose a SIP address is.

A ua pod registers the AOR ``sip:pods@DOMAIN`` at the edge, one binding per pod (RFC 5626). Its instance is computed
from the pod's id, so that the edge finds the binding of the pod that owns a session.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID, uuid5

from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.protocols.sip.uri import normal_user

from .patterns import Glob

SERVICE: Final = "ua"
"""Name by which rows of the routing table mean the user agent."""
GATEWAY: Final = "gateway"
"""Name of the gateway: as a service that takes MESSAGEs, and as an application of the user agent."""
APPLICATION: Final = "Wigwag-Application"
"""Header field of an INVITE that the edge leads to an application whoever is called; only the edge writes it."""
_PODS: Final = "pods"
_NAMESPACE: Final = UUID("7f0c2a52-6f0e-5d4b-9c57-0a8d1b7b6a11")


def pods_aor(domain: str) -> str:
    """Return the AOR that all ua pods register."""
    return f"sip:{_PODS}@{domain.lower()}"


def pod_instance(pod: str) -> str:
    """Return the URN that is the ``+sip.instance`` of a ua pod, without quotes and angle brackets."""
    return f"urn:uuid:{uuid5(_NAMESPACE, pod)}"


class ApplicationUris:
    """Which application a SIP address belongs to.

    Args:
        applications: Names and the URIs of each, such as ``sip:helpdesk@example.com``, with ``*`` in the user part. An
            address written in full goes before a pattern; among patterns, and where two claim one address, the first.

    Raises:
        ValueError: What should be a URI is none, or has ``*`` elsewhere.
    """

    def __init__(self, applications: Iterable[tuple[str, Sequence[str]]] = ()) -> None:
        self._exact: dict[str, str] = {}
        self._patterns: dict[str, list[tuple[Glob, str]]] = {}
        for name, uris in applications:
            for uri in uris:
                self._add(uri, name)

    def owner(self, uri: SipUri) -> str | None:
        """Return the name of the application that owns an address; None: none does."""
        if not self._exact and not self._patterns:
            return None
        known = self._exact.get(uri.aor)
        if known is not None:
            return known
        patterns = self._patterns.get(uri.host)
        if patterns is None:
            return None
        user = normal_user(uri.user)
        return next((name for pattern, name in patterns if pattern.matches(user)), None)

    def _add(self, text: str, name: str) -> None:
        try:
            uri = parse_uri(text)
        except SipError as error:
            raise ValueError(f"{text}: {error.reason}") from error
        if not isinstance(uri, SipUri) or not uri.user or not uri.host or "*" in uri.host:
            raise ValueError(f"{text}: not a SIP address such as sip:helpdesk@example.com")
        user = normal_user(uri.user)
        if "*" in user:
            self._patterns.setdefault(uri.host, []).append((Glob(user), name))
        else:
            self._exact.setdefault(uri.aor, name)
