"""Who a message is from and for: ``Winnie the Pooh <im:pooh@example.com>`` (RFC 3862 sections 3.6, 4.1 to 4.3)."""

import re
from dataclasses import dataclass

from wigwag.errors import LocalProtocolError

from .error import CpimError
from .escapes import quoted, unescaped

# URI = <defined as absolute-URI by RFC 2396>
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!#-;=?-~]+")
# From-header = "From" ": " [ Formal-name ] "<" URI ">"        Formal-name = 1*( Token SP ) / String
_ADDRESS = re.compile(r'(?:(?P<string>"(?:[^"\\]|\\.)*") *|(?P<words>[^"<][^<]*))?<(?P<uri>[^<>]*)> *')
# Token = 1*TOKENCHAR        TOKENCHAR = NAMECHAR / "." / UCS-high
_WORDS = re.compile(r"[!#-'*+\-.0-9A-Z^-z|~\u0080-\U0010ffff]+(?: [!#-'*+\-.0-9A-Z^-z|~\u0080-\U0010ffff]+)*")


@dataclass(frozen=True, slots=True)
class CpimAddress:
    """A URI and the name that people know it by."""

    uri: str
    name: str | None = None
    """Formal-name, as people read it."""

    @classmethod
    def parse(cls, value: str) -> "CpimAddress":
        """Parse the value of From, To, cc or another header that holds an address.

        Raises:
            CpimError: It breaks the grammar.
        """
        match = _ADDRESS.fullmatch(value.strip(" "))
        if match is None or _URI.fullmatch(match["uri"]) is None:
            raise CpimError("malformed address")
        if match["string"] is not None:
            name = unescaped(match["string"][1:-1])
        else:
            name = unescaped((match["words"] or "").rstrip(" "))
        return cls(match["uri"], name or None)

    def __str__(self) -> str:
        """Return the header's value.

        Raises:
            LocalProtocolError: The URI is none, or the name holds lone surrogates.
        """
        if _URI.fullmatch(self.uri) is None:
            raise LocalProtocolError(f"not an absolute URI: {self.uri!r}")
        if not self.name:
            return f"<{self.uri}>"
        string = quoted(self.name)
        return f"{self.name} <{self.uri}>" if _WORDS.fullmatch(self.name) is not None else f"{string}<{self.uri}>"
