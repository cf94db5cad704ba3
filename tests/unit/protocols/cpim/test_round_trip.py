"""What is written is read as it was meant."""

from hypothesis import given

from tests.support.cpim_strategies import addresses, messages, texts
from wigwag.protocols.cpim import CpimAddress, CpimHeader, CpimMessage


@given(messages())
def test_a_message_that_is_written_and_read_is_the_same(message: CpimMessage) -> None:
    read = CpimMessage.parse(bytes(message))
    assert read == message
    assert bytes(read) == bytes(message)
    assert (read.sender, read.recipients, read.copies) == (message.sender, message.recipients, message.copies)
    assert (read.date_time, read.subject, read.body) == (message.date_time, message.subject, message.body)


@given(addresses())
def test_an_address_that_is_written_and_read_is_the_same(address: CpimAddress) -> None:
    assert CpimAddress.parse(str(address)) == address


@given(texts())
def test_a_text_that_is_written_and_read_is_the_same_but_for_blanks_around_it(text: str) -> None:
    header = CpimHeader.of("Subject", text)
    line = str(header)
    assert line.isprintable() or not line.isascii()
    assert CpimHeader.parse(line, 1).text == text.strip(" ")
