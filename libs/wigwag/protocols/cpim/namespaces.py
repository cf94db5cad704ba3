"""Which namespace a header's name belongs to (RFC 3862 sections 3.4, 3.5, 4.6 and 4.7)."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .address import CpimAddress
from .error import CpimError
from .header import NAME, CpimHeader

CPIM_NAMESPACE: Final = "urn:ietf:params:cpim-headers:"
"""The namespace of From, To, cc, DateTime, Subject, NS and Require, and of names without a prefix."""

# NS-header = "NS" ": " [ Name-prefix ] "<" URI ">"
_PREFIX = re.compile(r"(?P<prefix>[^< ]*) *<[^<>]*>")


class QualifiedName(NamedTuple):
    """What a name in a message stands for."""

    namespace: str | None
    """None when nothing declared its prefix: then it is a name that nobody can understand."""
    name: str


class Namespaces:
    """The prefixes declared so far in one message."""

    def __init__(self) -> None:
        self._uris: dict[str, str] = {"": CPIM_NAMESPACE}

    def resolve(self, prefix: str, name: str) -> QualifiedName:
        """Return what a name stands for at this point of the message."""
        return QualifiedName(self._uris.get(prefix), name)

    def declare(self, value: str) -> None:
        """Take the value of an NS header.

        Raises:
            CpimError: It breaks the grammar.
        """
        match = _PREFIX.fullmatch(value.strip(" "))
        if match is None or (match["prefix"] and NAME.fullmatch(match["prefix"]) is None) or "." in match["prefix"]:
            raise CpimError("malformed NS")
        self._uris[match["prefix"]] = CpimAddress.parse(value).uri


def qualified(headers: Iterable[CpimHeader]) -> Iterator[tuple[QualifiedName, CpimHeader, Namespaces]]:
    """Return each header with what its name stands for, and the namespaces that hold where it is.

    Raises:
        CpimError: An NS header breaks the grammar.
    """
    namespaces = Namespaces()
    for header in headers:
        name = namespaces.resolve(header.prefix, header.local_name)
        yield name, header, namespaces
        if name == (CPIM_NAMESPACE, "NS"):
            namespaces.declare(header.value)


def required(value: str, namespaces: Namespaces) -> list[QualifiedName]:
    """Return the names that the value of a Require header lists.

    Raises:
        CpimError: It breaks the grammar.
    """
    names = []
    for item in value.split(","):
        name = item.strip(" ")
        if NAME.fullmatch(name) is None:
            raise CpimError("malformed Require")
        prefix, dot, local = name.partition(".")
        names.append(namespaces.resolve(prefix, local) if dot else namespaces.resolve("", name))
    return names
