"""Values of a REGISTER, each with its own rule: Contact URI and parameters, Path, Expires (RFC 3261 section 10.2.1)."""

import re
from dataclasses import replace
from typing import Final

from wigwag.protocols.sip import (
    NameAddress,
    Request,
    SipError,
    SipUri,
    parse_name_address,
    parse_uri,
    unquote,
)
from wigwag.protocols.sip.uri import normal_user

_MOST_PATHS: Final = 10
_LONGEST_PARAMETERS: Final = 4096
"""Characters of one Contact's parameters: devices list many feature tags."""
_LARGEST: Final = (1 << 32) - 1
_LARGEST_REG_ID: Final = (1 << 31) - 1
# qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_QVALUE: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def supported(request: Request, option: str) -> bool:
    """Tell whether the sender supports an option tag."""
    return any(item.lower() == option for item in request.items("supported"))


def canonical(uri: SipUri) -> str:
    """Return a text of a URI that is the same however it is written."""
    parameters = tuple(sorted((name, value and value.lower()) for name, value in uri.parameters))
    headers = "&".join(sorted(uri.headers.split("&")))
    return str(replace(uri, user=normal_user(uri.user), parameters=parameters, headers=headers))


def plain(uri: SipUri) -> SipUri:
    """Leave out what does not make it another contact: ``ob`` and the wake-up's parameters, which change."""
    return uri.without("ob", *(name for name, _ in uri.parameters if name.startswith("pn-")))


def push_parameters(uri: SipUri) -> str:
    """Return what a wake-up needs (RFC 8599 section 4), ``;name=value`` each; empty: the device takes none."""
    if not uri.parameter("pn-provider") or not uri.parameter("pn-prid"):
        return ""
    return "".join(f";{name}={value or ''}" for name, value in uri.parameters if name.startswith("pn-"))


def path_of(request: Request) -> tuple[str, ...]:
    """Return the Path of a REGISTER.

    Raises:
        SipError: 420: the client does not support it; 400: it is too long or holds something else.
    """
    values = tuple(request.items("path"))
    if not values:
        return ()
    if not supported(request, "path"):
        # RFC 3327 section 5.3: somebody has put himself into the way without the client's knowledge.
        raise SipError("Bad Extension", status=420, headers=(("Unsupported", "path"),))
    if len(values) > _MOST_PATHS:
        raise SipError("Path is too long")
    for value in values:
        if not isinstance(parse_uri(parse_name_address(value).uri), SipUri):
            raise SipError("Path holds no SIP URI")
    return tuple(map(storable, values))


def has_ob(value: str) -> bool:
    """Tell whether a Path value is that of a proxy which supports outbound."""
    uri = parse_uri(parse_name_address(value).uri)
    return isinstance(uri, SipUri) and uri.parameter("ob") is not None


def storable(text: str) -> str:
    """Return a text in which replacement characters stand for octets that are no UTF-8: the store takes none."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def instance_of(contact: NameAddress) -> str:
    """Return ``+sip.instance`` without its quotes; empty: there is none."""
    return storable(unquote(contact.parameters.get("+sip.instance") or ""))


def reg_id_of(contact: NameAddress) -> int:
    """Return reg-id; 0: there is none; SipError: it is no such number."""
    text = contact.parameters.get("reg-id")
    if text is None:
        return 0
    number = delta_seconds(text)
    if not number or number > _LARGEST_REG_ID:
        raise SipError("reg-id is no number from 1 to 2**31 - 1")
    return number


def thousandths(contact: NameAddress) -> int:
    """Return q in thousandths; SipError: it is none."""
    if "q" not in contact.parameters:
        return 1000
    text = contact.parameters["q"] or ""
    if _QVALUE.fullmatch(text) is None:
        raise SipError("q is no number from 0 to 1 with three digits at most")
    return round(float(text) * 1000)


def kept_parameters(contact: NameAddress) -> str:
    """Return feature tags and whatever else the client wrote (RFC 3840 section 9), to be given back as it is."""
    kept = "".join(
        f";{name}" if value is None else f";{name}={value}"
        for name, value in contact.parameters.items()
        if name not in ("expires", "q")
    )
    if len(kept) > _LONGEST_PARAMETERS:
        raise SipError("a Contact's parameters are too long")
    return storable(kept)


def header_expires(request: Request) -> int:
    """Return the Expires field; SipError: it is no number."""
    found = delta_seconds((request.get("expires") or "").strip())
    if found is None:
        raise SipError("Expires is no number")
    return found


def delta_seconds(text: str) -> int | None:
    """Read a number; what is too large counts as 2**32 - 1 (section 10.2.1.1)."""
    if not (text.isascii() and text.isdigit()):
        return None
    return min(int(text), _LARGEST) if len(text) <= 20 else _LARGEST
