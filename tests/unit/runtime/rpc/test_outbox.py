import pytest

from wigwag.errors import InvalidRequestError, RemoteProtocolError
from wigwag.runtime.rpc import BatchLimits, Outbox


def outbox(**limits: int) -> Outbox[str]:
    return Outbox(BatchLimits(**limits))


def filled(count: int, *, size: int = 1, **limits: int) -> Outbox[str]:
    box = outbox(**limits)
    for index in range(count):
        box.add(str(index), size)
    return box


def test_items_are_numbered_from_one() -> None:
    box = outbox()
    assert [box.add(text, 1) for text in "abc"] == [1, 2, 3]


def test_a_batch_ends_at_its_number_of_items() -> None:
    box = filled(5, batch_items=2)
    assert [box.next_batch(), box.next_batch(), box.next_batch(), box.next_batch()] == [
        (1, ["0", "1"]),
        (3, ["2", "3"]),
        (5, ["4"]),
        None,
    ]


def test_a_batch_ends_before_the_item_that_makes_it_too_large() -> None:
    box = filled(3, size=40, batch_bytes=100)
    assert [box.next_batch(), box.next_batch()] == [(1, ["0", "1"]), (3, ["2"])]


def test_an_item_that_fits_into_no_frame_is_refused_and_takes_no_number() -> None:
    box = outbox(batch_bytes=100)
    with pytest.raises(InvalidRequestError, match="101 bytes"):
        box.add("x", 101)
    assert box.add("y", 100) == 1


@pytest.mark.parametrize(("limits", "size"), [({"buffer_items": 3}, 1), ({"buffer_bytes": 30}, 10)])
def test_the_buffer_is_full_until_something_is_acknowledged(limits: dict[str, int], size: int) -> None:
    box = filled(3, size=size, **limits)
    assert box.full
    box.next_batch()
    assert box.full
    box.acknowledge(1)
    assert not box.full


def test_a_lost_connection_brings_back_what_was_not_acknowledged_under_its_old_numbers() -> None:
    box = filled(4, batch_items=3)
    box.next_batch()
    box.acknowledge(2)
    box.rewind()
    assert box.next_batch() == (3, ["2", "3"])
    assert box.unacknowledged() == ["2", "3"]


def test_an_acknowledgement_that_comes_again_changes_nothing() -> None:
    box = filled(3)
    box.next_batch()
    box.acknowledge(2)
    box.acknowledge(1)
    box.acknowledge(2)
    assert (box.acknowledged, len(box), box.unsent) == (2, 1, 0)


def test_a_peer_that_acknowledges_what_was_not_sent_is_found_out() -> None:
    box = filled(3, batch_items=2)
    box.next_batch()
    with pytest.raises(RemoteProtocolError, match="3 is acknowledged, 2 was sent last"):
        box.acknowledge(3)
    assert len(box) == 3
