"""The lists of ``name=value`` that the Digest headers are made of (RFC 7235 section 2.1).

Nothing here knows what a parameter means. What comes in is bounded before it is looked at, every character is
looked at once, and a name that comes twice is an error: whose value would hold is exactly what an attacker plays with.
"""

import re
from typing import Final

from wigwag.errors import LocalProtocolError, RemoteProtocolError

MAX_LENGTH: Final = 4096
"""Characters of a whole header value; the longest honest ones have a few hundred."""
MAX_VALUE_LENGTH: Final = 1024
MAX_PARAMETERS: Final = 32

# auth-param = token BWS "=" BWS ( token / quoted-string )
# quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE, here without control characters and lone surrogates
_CONTROLS = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 (grammar, not a secret)
_PARAMETER = re.compile(
    rf"(?P<name>{_TOKEN})[ \t]*=[ \t]*"
    rf'(?:(?P<token>{_TOKEN})|"(?P<quoted>(?:[^"\\{_CONTROLS}]|\\[^{_CONTROLS}])*)")[ \t]*'
)
_SEPARATOR = re.compile(r"(?:,[ \t]*)+")
_QUOTED_PAIR = re.compile(r"\\(.)")
_SCHEME = re.compile(r"[ \t]*Digest[ \t]+", re.IGNORECASE)
_UNPRINTABLE = re.compile(f"[{_CONTROLS}]")


def parse_parameters(value: str) -> dict[str, str]:
    """Parse a list of parameters.

    Args:
        value: The header's value, after the scheme where there is one.

    Returns:
        Values without quotes and escapes by name in lower case, in order.

    Raises:
        RemoteProtocolError: Malformed, a name twice, a control character, or too long; ``status`` is 400.
    """
    if len(value) > MAX_LENGTH:
        raise _refusal("too long")
    text = value.strip(" \t")
    parameters: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise _refusal("malformed parameter")
        _add(parameters, match)
        position = match.end()
        if position < len(text):
            position = _after_separator(text, position)
    return parameters


def parse_digest(value: str) -> dict[str, str]:
    """Parse a challenge or credentials: the scheme ``Digest``, then parameters.

    Raises:
        RemoteProtocolError: Another scheme, or as ``parse_parameters``.
    """
    scheme = _SCHEME.match(value[:MAX_LENGTH])
    if scheme is None:
        raise _refusal("not the Digest scheme")
    return parse_parameters(value[scheme.end() :])


def required(parameters: dict[str, str], name: str) -> str:
    """Return a parameter's value.

    Raises:
        RemoteProtocolError: It is absent; ``status`` is 400.
    """
    try:
        return parameters[name]
    except KeyError:
        raise _refusal(f"{name} is missing") from None


def quoted(value: str) -> str:
    r"""Return ``value`` as quoted-string, with ``"`` and ``\`` escaped.

    Raises:
        LocalProtocolError: It holds a control character, which would let it end the header.
    """
    if _UNPRINTABLE.search(value) is not None:
        raise LocalProtocolError("control character in a Digest parameter")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _add(parameters: dict[str, str], match: re.Match[str]) -> None:
    name = match["name"].lower()
    if name in parameters:
        raise _refusal("parameter given twice")
    if len(parameters) >= MAX_PARAMETERS:
        raise _refusal("too many parameters")
    value = match["token"]
    if value is None:
        value = _QUOTED_PAIR.sub(r"\1", match["quoted"])
    if len(value) > MAX_VALUE_LENGTH:
        raise _refusal("parameter too long")
    parameters[name] = value


def _after_separator(text: str, position: int) -> int:
    separator = _SEPARATOR.match(text, position)
    if separator is None:
        raise _refusal("no comma between parameters")
    return separator.end()


def _refusal(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"Digest header: {reason}", status=400)
