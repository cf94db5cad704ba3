"""Topics as they may be declared, and the limits of what may wait."""

import pytest

from wigwag.bus import DEAD_RETENTION, Message, OverloadedError, Topic
from wigwag.bus.limits import Buffer
from wigwag.bus.topics import Topics

WRONG_NAMES = ["", "wigwag", "wigwag.one.two.three", "wigwag.one.", "other.one.two", "wigwag.One.two", "wigwag.a.b\n"]


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_topic_is_named_by_what_and_which(name: str) -> None:
    with pytest.raises(ValueError, match=r"wigwag\.<what>\.<which>"):
        Topic(name)


def test_topic_of_which_there_is_only_one_is_named_by_what() -> None:
    assert Topic("wigwag.registrations").dead(1.0).name == "wigwag.registrations.dead"


def test_topic_has_a_partition_and_keeps_its_records_for_a_while() -> None:
    for arguments in ({"partitions": 0}, {"retention": 0.0}, {"retention": -1.0}):
        with pytest.raises(ValueError, match="have to be positive"):
            Topic("wigwag.pager.inbound", **arguments)


def test_dead_letters_are_kept_for_a_month_or_as_long_as_the_topic() -> None:
    topics = Topics(retention=60.0)
    topics.declare([Topic("wigwag.pager.inbound"), Topic("wigwag.events.all", retention=2 * DEAD_RETENTION)])
    kept = {topic.name: topic.retention for topic in topics.with_retention()}
    assert kept == {
        "wigwag.pager.inbound": 60.0,
        "wigwag.pager.inbound.dead": DEAD_RETENTION,
        "wigwag.events.all": 2 * DEAD_RETENTION,
        "wigwag.events.all.dead": 2 * DEAD_RETENTION,
    }


def test_topic_of_dead_letters_comes_by_itself() -> None:
    with pytest.raises(ValueError, match="comes with the topic"):
        Topics(60.0).declare([Topic("wigwag.pager.inbound.dead")])


def test_buffer_takes_again_once_something_has_left() -> None:
    buffer, half = Buffer(1_000), [Message(b"x" * 400, "key")]
    release = buffer.take(half)
    with pytest.raises(OverloadedError, match="531 of 1000 octets"):
        buffer.take(half)
    release()
    buffer.take(half)


def test_batch_larger_than_the_buffer_is_taken_when_nothing_waits() -> None:
    buffer, large = Buffer(1_000), [Message(b"x" * 5_000, "key")]
    release = buffer.take(large)
    with pytest.raises(OverloadedError):
        buffer.take([Message(b"", "")])
    release()
    buffer.take(large)
