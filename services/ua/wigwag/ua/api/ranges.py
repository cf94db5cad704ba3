"""Parts of a body that a client asks for (RFC 9110 section 14)."""

import re
from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException

# int-range = first-pos "-" [ last-pos ] ; suffix-range = "-" suffix-length
_RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


class Part(NamedTuple):
    """A part of a body; the last octet is part of it."""

    first: int
    last: int


def part_of(header: str | None, size: int) -> Part | None:
    """Return the part that a Range header asks for; None: the whole body, as for all that is not understood.

    Raises:
        HTTPException: The body is shorter (416).
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or found[0].strip().endswith("=-"):
        return None
    first, last = found[1], found[2]
    if not first:
        part = Part(max(size - int(last), 0), size - 1)
    else:
        part = Part(int(first), min(int(last), size - 1) if last else size - 1)
        if last and int(last) < int(first):
            return None
    if part.first >= size or not size:
        headers = {"Content-Range": f"bytes */{size}"}
        raise HTTPException(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"the body has {size} octets", headers)
    return part
