"""MESSAGEs that may be kept and have no answer yet, whether they were read or passed on unread."""

from collections.abc import Iterator

from wigwag.protocols.sip.transactions import ServerTransaction
from wigwag.relay.sip.proxy.forwarding import Forwarding, Upstream
from wigwag.relay.sip.proxy.passage import Passage

Unanswered = dict[ServerTransaction | Upstream, float]
"""By whom the answer is for: since when (monotonic), in this order."""


def overdue(unanswered: Unanswered, since: float) -> Iterator[Forwarding]:
    """Take out those that have had no answer since then; what was passed on unread is read now."""
    due = []
    for server, sent in unanswered.items():
        if sent > since:
            break
        due.append(server)
    for server in due:
        if unanswered.pop(server, None) is None:
            continue
        user = server.user
        if isinstance(user, Passage):
            yield user.unfolded().forwarding
        elif isinstance(user, Forwarding):
            yield user
