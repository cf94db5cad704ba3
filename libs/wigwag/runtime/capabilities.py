"""What devices say that they can do when they register: MESSAGE, sessions of messages (RFC 3840, RFC 4569, RCS).

A device that does not say is no device that can't: most say nothing, and only their answers tell.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from wigwag.protocols.sip import SipError, parse_name_address
from wigwag.store import Registration

_SESSION_TAGS: Final = ("+sip.message", "message", "+g.oma.sip-im")
"""Feature tags of who takes sessions of messages: RFC 4569, and OMA SIMPLE IM."""
_MEDIA_TAGS: Final = ("audio", "video", "text", "application", "data")
"""Who lists the media that he takes (RFC 3840 section 10), and no messages among them, takes none."""
_ICSI: Final = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm."
_IARI: Final = "urn:urn-7:3gpp-application.ims.iari."
_SERVICES: Final = {
    f"{_ICSI}msg": "page",
    f"{_ICSI}session": "session",
    f"{_ICSI}largemsg": "session",
    f"{_ICSI}session.group": "session",
    f"{_IARI}rcse.im": "session",
    f"{_IARI}rcs.fullsfgroupchat": "session",
    f"{_IARI}rcs.chatbot": "session",
    f"{_IARI}rcs.chatbot.sa": "page",
}
_QUOTES: Final = re.compile(r'^["<>\s]+|["<>\s]+$')


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one device says of itself; None: nothing."""

    page: bool | None = None
    """Whether it takes MESSAGE (RFC 3428)."""
    session: bool | None = None
    """Whether it takes INVITEs that offer MSRP."""


@dataclass(frozen=True, slots=True)
class DeviceModes:
    """What the devices of one user can do together."""

    has_page: bool
    """At least one takes MESSAGE, or does not say."""
    has_session: bool
    """At least one takes sessions of messages, or does not say."""
    page_only: bool
    """There are devices, and each says that it takes MESSAGE and no sessions."""
    session_only: bool
    """There are devices, and each says that it takes no MESSAGE."""


UNKNOWN: Final = Capabilities()


@lru_cache(maxsize=4096)
def capabilities(params: str) -> Capabilities:
    """Return what a device says.

    Args:
        params: Parameters of its Contact as registered, ``;name=value`` each (``Binding.params``), or those of an
            Accept-Contact value (RFC 3841). What can't be read says nothing.
    """
    try:
        tags = parse_name_address(f"<sip:device.invalid>{params}").parameters
    except SipError:
        return UNKNOWN
    values = {name: _values(value) for name, value in tags.items()}
    methods, services = values.get("methods", ()), _services(values)
    return Capabilities(
        page=_page(methods, services),
        session=False if _takes(methods, "invite") is False else _session(values, services),
    )


def modes(registration: Registration | None) -> DeviceModes:
    """Return what the devices of a user say together."""
    bindings = registration.bindings if registration is not None else ()
    return modes_of(capabilities(binding.params) for binding in bindings)


def modes_of(devices: Iterable[Capabilities]) -> DeviceModes:
    """Return what devices say together."""
    known = list(devices)
    return DeviceModes(
        has_page=any(device.page is not False for device in known),
        has_session=any(device.session is not False for device in known),
        page_only=bool(known) and all(device.page is True and device.session is False for device in known),
        session_only=bool(known) and all(device.page is False for device in known),
    )


def _page(methods: tuple[str, ...], services: frozenset[str]) -> bool | None:
    """Methods say it; who lists services of CPM, and not its pager mode, has his messages by sessions only."""
    said = _takes(methods, "message")
    if said is not None or not services:
        return said
    return "page" in services


def _session(values: dict[str, tuple[str, ...]], services: frozenset[str]) -> bool | None:
    for name in _SESSION_TAGS:
        if name in values:
            return values[name] not in (("false",), ("!true",))
    if services:
        return "session" in services
    return False if any(name in values for name in _MEDIA_TAGS) else None


def _takes(methods: tuple[str, ...], method: str) -> bool | None:
    """Tell whether a method is in a list of them, which may say what is not (RFC 3840 section 9)."""
    if not methods:
        return None
    if method in methods:
        return True
    return f"!{method}" not in methods and all(each.startswith("!") for each in methods)


def _services(values: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """Return the kinds of messages that services of IMS (RFC 6050, 3GPP TS 24.229) among the tags stand for."""
    named = (*values.get("+g.3gpp.icsi-ref", ()), *values.get("+g.3gpp.iari-ref", ()))
    return frozenset(_SERVICES[name] for name in map(unquote, named) if name in _SERVICES)


def _values(text: str | None) -> tuple[str, ...]:
    """Return the values of a feature tag, in lower case; one without any is TRUE."""
    if text is None:
        return ("true",)
    found = (_QUOTES.sub("", value).lower() for value in _QUOTES.sub("", text).split(","))
    return tuple(value for value in found if value)
