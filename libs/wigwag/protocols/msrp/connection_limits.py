"""What a peer may do to an MSRP connection of an endpoint, and how the endpoint writes."""

from dataclasses import dataclass, field

from .head import Limits
from .reassembly import ReassemblyLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What the peer may do to us, and how we write."""

    framing: Limits = field(default_factory=Limits)
    reassembly: ReassemblyLimits = field(default_factory=ReassemblyLimits)
    largest_chunk: int = 65_536
    """Octets in the body of a chunk that we send; at least 2048."""
    most_transactions: int = 4096
    """Chunks sent without a response yet; beyond, messages wait."""
    most_deliveries: int = 4096
    """Messages sent whose end is not known yet; beyond, the oldest are given up."""
    first_frame_timeout: float = 30.0
    """Seconds in which the peer has to send something."""
    frame_timeout: float = 30.0
    """Seconds for a head to be whole, and for a body to grow by ``least_progress`` octets."""
    least_progress: int = 1024
    congested_octets: int = 65_536
    """Octets of responses and REPORTs waiting at which ``congested`` turns true."""
    most_control_octets: int = 1_048_576
    """Octets of responses and REPORTs waiting at which a peer that does not read them is given up."""
    most_unaccepted: int = 256
    """Messages that the application has not accepted yet at which ``congested`` turns true."""
    most_unaccepted_octets: int = 16_777_216
    """Octets in those that were handed over whole at which ``congested`` turns true."""
