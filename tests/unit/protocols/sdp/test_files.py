"""Attributes of a file transfer (RFC 5547 section 6)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sdp import FileDate, FileRange, FileSelector, SdpError


def test_a_selector_has_name_type_size_and_hashes() -> None:
    text = 'name:"My cool picture.jpg" type:image/jpeg size:4092 hash:sha-1:72:24:5F hash:x:00'
    selector = FileSelector.parse(text)
    assert selector == FileSelector(
        "My cool picture.jpg", 4092, "image/jpeg", (("sha-1", bytes.fromhex("72245f")), ("x", b"\0"))
    )
    assert str(selector) == text


def test_escapes_in_a_name_are_decoded_and_written_again() -> None:
    selector = FileSelector.parse('name:"a%22b%25%2Fc%C3%A9é"')
    assert selector.name == 'a"b%/céé'
    assert str(selector) == 'name:"a%22b%25%2Fcéé"'


def test_a_name_can_not_leave_its_quotes_or_its_folder() -> None:
    assert str(FileSelector('"\r\n\0..\\..//x')) == 'name:"%22%0D%0A%00..%5C..%2F%2Fx"'


@pytest.mark.parametrize(
    "value",
    [
        "name:x",
        'name:""',
        'name:"x',
        'name:"x"size:1',
        'name:"x" name:"y"',
        "size:1 size:2",
        "size:-1",
        "size:" + "9" * 21,
        "type:text",
        'name:"%"',
        'name:"%zz"',
        'name:"%FF"',
        'name:"\udcff"',
        "hash:sha-1:",
        "hash:sha-1:0",
        "hash:sha-1:00:",
        "what:ever",
        " size:1",
    ],
)
def test_a_malformed_selector_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        FileSelector.parse(value)


def test_an_empty_selector_asks_for_capabilities() -> None:
    assert FileSelector.parse("") == FileSelector()
    assert str(FileSelector()) == ""


def test_a_range_counts_from_one_and_may_be_open() -> None:
    assert FileRange.parse("1-*") == FileRange()
    assert FileRange.parse("1024-2048") == FileRange(1024, 2048)
    assert str(FileRange(5)) == "5-*"


@pytest.mark.parametrize("value", ["0-1", "2-1", "1", "*-1", "1-", "a-b", f"1-{'9' * 21}"])
def test_a_range_that_contradicts_itself_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        FileRange.parse(value)


def test_dates_keep_their_zone() -> None:
    text = 'creation:"Mon, 15 May 2006 15:01:31 +0300" read:"Tue, 16 May 2006 00:00:00 -0530"'
    date = FileDate.parse(text)
    assert date.creation == datetime(2006, 5, 15, 12, 1, 31, tzinfo=UTC)
    assert date.modification is None
    assert date.read == datetime(2006, 5, 16, tzinfo=timezone(-timedelta(hours=5, minutes=30)))
    assert str(date) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        'creation:"yesterday"',
        'creation:"Mon, 15 May 2006 15:01:31 GMT"',
        'creation:"Mon, 31 Feb 2006 15:01:31 +0300"',
        'creation:"15 May 2006 25:01:31 +0300"',
        'creation:"15 May 2006 15:01:31 +9900"',
        'creation:"15 May 0000 15:01:31 +0300"',
        'made:"15 May 2006 15:01:31 +0300"',
        'read:"15 May 2006 15:01:31 +0300" read:"15 May 2006 15:01:31 +0300"',
    ],
)
def test_a_malformed_date_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        FileDate.parse(value)


def test_a_date_without_zone_is_ours_to_avoid() -> None:
    with pytest.raises(LocalProtocolError):
        str(FileDate(datetime(2006, 5, 15)))
