"""Part of a file as the body of a message (RFC 5547 section 8.7)."""

from .sending import BodySource


class BodyPart:
    """Reads some octets, and before them what wraps them.

    With ``a=file-range`` a message carries only that range, and MSRP numbers its octets from 1 all the same.

    Args:
        source: Stands at the first octet of the part; whoever opened it closes it.
        octets: How many of its octets to read.
        head: What goes before them, such as the headers of a Message/CPIM around the file.
    """

    def __init__(self, source: BodySource, octets: int, head: bytes = b"") -> None:
        self._source = source
        self._remaining = octets
        self._head = head
        self.total = len(head) + octets
        """Octets of the whole body, for ``Connection.send_message``: a file that ends before aborts the message."""

    def read(self, octets: int, /) -> bytes:
        """Return at most ``octets`` octets, at least one unless the body has ended."""
        if self._head:
            data, self._head = self._head[:octets], self._head[octets:]
            return data
        data = self._source.read(min(octets, self._remaining)) if self._remaining else b""
        self._remaining -= len(data)
        return data
