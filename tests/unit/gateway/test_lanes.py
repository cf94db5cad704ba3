"""Order of a conversation: when what waits in it is to be looked for, and when not."""

from wigwag.gateway.lanes import Lanes

KEY = "conversation"


async def comes(lanes: Lanes, message_id: str, assignment: int = 0) -> tuple[bool, bool]:
    """Let a record come and go well; returns whether its lane was clean, and whether it was taken along before."""
    async with lanes.of(KEY, message_id, assignment) as lane:
        found = lane.clean, bool(lane.taken_along)
        lane.clean = True
    return found


async def test_a_lane_is_looked_at_first_and_then_for_what_comes_again() -> None:
    lanes = Lanes()
    found = [await comes(lanes, message_id) for message_id in ("m1", "m2", "m2", "m3")]
    assert found == [(False, False), (True, False), (False, False), (True, False)]


async def test_a_message_that_a_look_has_found_was_taken_along_for_the_first_of_its_records_only() -> None:
    lanes = Lanes()
    await comes(lanes, "m1")
    lanes.note(["m1", "m2"])
    assert await comes(lanes, "m2") == (True, True)
    assert await comes(lanes, "m2") == (False, False)


async def test_a_message_whose_record_came_before_a_look_found_it_comes_again() -> None:
    lanes = Lanes()
    await comes(lanes, "m1")
    lanes.note(["m1"])
    assert await comes(lanes, "m1") == (False, False)


async def test_a_message_that_was_taken_along_is_looked_for_when_something_was_given_back_or_by_another_pod() -> None:
    lanes = Lanes()
    await comes(lanes, "m1")
    lanes.note(["m2", "m3"])
    lanes.disturb(KEY)
    assert await comes(lanes, "m2") == (False, True)
    assert await comes(lanes, "m3", assignment=1) == (False, True)


async def test_of_messages_that_come_together_each_was_taken_along_or_not() -> None:
    lanes = Lanes()
    await comes(lanes, "m1")
    lanes.note(["m2", "m4"])
    async with lanes.of(KEY, "m2", others=["m3", "m4"]) as lane:
        assert lane.clean
        assert lane.taken_along == {"m2", "m4"}


async def test_messages_that_come_together_are_looked_at_when_one_of_them_has_come_before() -> None:
    lanes = Lanes()
    await comes(lanes, "m1")
    await comes(lanes, "m2")
    async with lanes.of(KEY, "m3", others=["m2"]) as lane:
        assert not lane.clean
