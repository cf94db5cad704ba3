"""What has to be known of a dialog to go on with it elsewhere, as one value that can be stored."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

CSEQ_JUMP = 1000
"""What is added to our CSeq when a dialog is restored: more than can have been used since it was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogState:
    """A confirmed dialog (RFC 3261 section 12) and its session, as they were stored."""

    call_id: str
    local_tag: str
    remote_tag: str
    """Empty for a peer of RFC 2543, which had none."""
    local_address: str
    """From of our requests without its tag."""
    remote_address: str
    """To of our requests without its tag."""
    local_target: str
    """URI of our Contact."""
    remote_target: str
    """URI of the peer's Contact: where requests go."""
    route_set: tuple[str, ...]
    """Route of our requests, in order."""
    secure: bool
    """Whether the request that made it was for a sips URI and came over TLS."""
    caller: bool
    """Whether its INVITE was ours: then we own the Call-ID."""
    local_cseq: int
    remote_cseq: int | None
    """None: the peer has sent no request yet."""
    session_expires: int = 0
    """Seconds of the session timer (RFC 4028); 0: none runs."""
    refresher: bool = False
    """Whether it is on us to refresh the session."""
    update_allowed: bool = False
    """Whether the peer takes UPDATE."""
    description: str = ""
    """Our session description as it was sent last; its o= version is where the next one goes on."""

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what ``to_json`` wrote; fields that this version does not know are left out.

        Raises:
            ValueError: It is not that.
        """
        read = json.loads(text)
        if not isinstance(read, dict):
            raise ValueError("a stored dialog is an object")
        try:
            return cls(**_checked(cls, read))
        except TypeError as error:
            raise ValueError(f"a stored dialog lacks fields: {error}") from error


def _checked(cls: type[DialogState], read: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    found: dict[str, Any] = {}
    for field in fields(cls):
        if field.name not in read:
            continue
        value = tuple(read[field.name]) if get_origin(hints[field.name]) is tuple else read[field.name]
        if not _fits(value, hints[field.name]):
            raise ValueError(f"a stored dialog's {field.name} is malformed")
        found[field.name] = value
    return found


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if get_origin(hint) is UnionType or isinstance(hint, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    return type(value) is hint
