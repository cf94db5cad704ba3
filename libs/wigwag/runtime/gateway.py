"""What the gateway, the edge and the user agent have to agree on."""

from typing import Final

SERVICE: Final = "gateway"
"""Name by which rows of the routing table and of the ledger mean the gateway."""
APPLICATION: Final = "gateway"
"""Name of the built-in application of the user agent."""
NOTICE: Final = "notice-"
"""What ids of messages begin with that the gateway itself writes."""
