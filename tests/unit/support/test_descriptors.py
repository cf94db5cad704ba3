"""What is open is seen, and what has been closed is not."""

import socket

from tests.support.descriptors import opened_since, what_is_open


def test_a_socket_counts_as_long_as_it_is_open() -> None:
    before = what_is_open()
    with socket.socket():
        assert opened_since(before)
    assert not opened_since(before)
