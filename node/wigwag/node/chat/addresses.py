"""Addresses as people read them, and whether two are the same."""

from wigwag.errors import ConfigurationError
from wigwag.protocols.sip import SipError, parse_uri
from wigwag.protocols.sip.uri import SipUri, aor_of, normal_user


def canonical(uri: str) -> str:
    """Return the address of record by which people are told apart; what is no address as it is."""
    try:
        return aor_of(parse_uri(uri))
    except SipError:
        return uri


def readable(uri: str, domain: str) -> str:
    """Return an address in short: the user alone in our own domain."""
    try:
        parsed = parse_uri(uri)
    except SipError:
        return uri
    if not isinstance(parsed, SipUri) or not parsed.user:
        return aor_of(parsed)
    user = normal_user(parsed.user)
    return user if parsed.host.lower() == domain.lower() else f"{user}@{parsed.host}"


def checked_target(target: str, own: str) -> str:
    """Return whom to call.

    Raises:
        ConfigurationError: It is no address, or our own.
    """
    try:
        parsed = parse_uri(target)
    except SipError as error:
        raise ConfigurationError(f"{target}: {error.reason}") from error
    if isinstance(parsed, SipUri) and (not parsed.user or parsed.headers):
        raise ConfigurationError(f"{target}: a person has a user part and no header fields")
    if canonical(target) == canonical(own):
        raise ConfigurationError(f"{target}: that is you")
    return target
