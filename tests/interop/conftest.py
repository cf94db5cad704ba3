"""The edges that tests of SIP interoperability run against."""

from collections.abc import Iterator

import pytest

from tests.support.edge_under_test import SipEdge
from tests.support.kamailio_sip import kamailio_edge
from tests.support.peers import require_peer
from tests.support.wigwag_sip import wigwag_edge


@pytest.fixture(scope="module", params=["wigwag", "kamailio"])
def edge(request: pytest.FixtureRequest) -> Iterator[SipEdge]:
    """A running registrar and proxy: ours, and Kamailio, which shows that a test asks for nothing unusual.

    Ours offers MD5 alone, the only algorithm that all peers find: see ``test_sip_digest_order``.
    """
    if request.param == "kamailio":
        require_peer("kamailio")
        with kamailio_edge() as running:
            yield running
    else:
        with wigwag_edge(("MD5",)) as running:
            yield running
