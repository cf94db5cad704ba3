"""How a SIP client behaves, and what it raises."""

from dataclasses import dataclass, field

from wigwag.errors import WigwagError
from wigwag.protocols.sip.user_agent import AgentOptions, RegistrationFailed


class RegistrationError(WigwagError):
    """The registrar does not let us in.

    Args:
        failure: What it said.
    """

    def __init__(self, failure: RegistrationFailed) -> None:
        super().__init__(f"not registered: {failure.status} {failure.reason}")
        self.failure = failure


class UnansweredError(WigwagError):
    """No final response came: it is not known whether the message arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipClientOptions:
    """How a client behaves."""

    register: bool = True
    """Whether to register, and stay so; without, nobody's messages reach us."""
    agent: AgentOptions = field(default_factory=AgentOptions)
    first_wait: float = 1.0
    """Seconds before the first attempt to get a lost flow back, at most; RFC 5626 section 4.5 has 30."""
    longest_wait: float = 1800.0
    """Seconds between two attempts at most."""
