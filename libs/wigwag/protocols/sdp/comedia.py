"""Who opens the connection (RFC 4145, RFC 6135), and which way messages go (RFC 4975 section 8.9)."""

from enum import Enum

from .error import SdpError, refusal


class Setup(Enum):
    """``a=setup`` (RFC 4145 section 4)."""

    ACTIVE = "active"
    """Opens the connection."""
    PASSIVE = "passive"
    """Waits for it."""
    ACTPASS = "actpass"
    """Would do either; for offers."""
    HOLDCONN = "holdconn"
    """No connection for now. MSRP endpoints neither send nor heed it (RFC 6135 section 4.2.1)."""

    @classmethod
    def parse(cls, value: str) -> "Setup":
        """Parse the attribute's value.

        Raises:
            SdpError: It is none of the four.
        """
        try:
            return cls(value.strip(" ").lower())
        except ValueError:
            raise SdpError("unknown role in a=setup") from None


class Direction(Enum):
    """Which way messages go, seen from who wrote the description.

    It is about SENDs with ordinary payload only: REPORTs, and notifications such as IMDN, go either way all the same
    (RFC 4975 section 8.9).
    """

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, sends: bool, receives: bool) -> "Direction":
        """Return the direction of one that sends or not, receives or not."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        """Whether its author wants to send."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether its author wants to receive."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    def answered(self, wanted: "Direction") -> "Direction":
        """Return the direction with which one who wants ``wanted`` answers this offer (RFC 3264 section 6.1)."""
        return Direction.of(wanted.sends and self.receives, wanted.receives and self.sends)


def offerer_connects(offered: Setup | None, answered: Setup | None) -> bool:
    """Tell whether the offerer opens the connection; otherwise the answerer does.

    Args:
        offered: The offer's role, None when it had none.
        answered: The answer's.

    Raises:
        SdpError: Both would open it, or both wait; ``status`` is 488.
    """
    # RFC 6135 section 4.2.1: holdconn counts as no attribute. RFC 4975 section 8.5: then the offerer connects.
    role = Setup.ACTIVE if offered in (None, Setup.HOLDCONN) else offered
    if answered is Setup.ACTIVE:
        if role is Setup.ACTIVE:
            raise refusal("both sides are active by a=setup")
        return False
    # An answer may not say actpass (RFC 4145 section 4.1); one that repeats the offer's word does not want to connect.
    if role is Setup.PASSIVE:
        raise refusal("no side is active by a=setup")
    return True
