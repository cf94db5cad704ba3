"""Questions are asked one after the other, and answered by what is typed."""

from wigwag.node.chat.questions import Questions


async def test_one_answer_is_for_one_question() -> None:
    shown: list[str] = []
    questions = Questions(shown.append)
    first, second, third = questions.ask("first?"), questions.ask("second?"), questions.ask("third?")
    questions.answer("perhaps")
    assert shown == ["first? [y/n]", "first? [y/n]"]
    questions.answer(" Yes ")
    assert await first
    second.cancel()
    await settled()
    questions.answer("n")
    assert not await third
    await settled()
    assert not questions


async def test_two_answers_typed_at_once_are_for_two_questions() -> None:
    shown: list[str] = []
    questions = Questions(shown.append)
    first, second = questions.ask("first?"), questions.ask("second?")
    questions.answer("y")
    questions.answer("n")
    assert (await first, await second) == (True, False)
    assert shown == ["first? [y/n]", "second? [y/n]"]


async def test_nobody_left_to_answer_means_no() -> None:
    questions = Questions(lambda _: None)
    answers = [questions.ask("one?"), questions.ask("two?")]
    questions.refuse_all()
    assert [await answer for answer in answers] == [False, False]


async def settled() -> None:
    import asyncio

    await asyncio.sleep(0)
    await asyncio.sleep(0)
