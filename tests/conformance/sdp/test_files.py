"""Row M143: file transfers in offers and answers (RFC 5547 section 8)."""

from dataclasses import replace

import pytest

from tests.support.sdp import ALICE, ALICE_ORIGIN, BOB_ORIGIN, described, only, own, stream
from wigwag.protocols.sdp import (
    Direction,
    FileRange,
    FileSelector,
    FileTransfer,
    Role,
    SdpError,
    SessionDescription,
    agreed,
    answer,
    offer,
)

SELECTOR = 'file-selector:name:"a%2Fb%22c.txt" size:3 type:text/plain hash:sha-1:' + ":".join(["00"] * 20)
FILE = (SELECTOR, "file-transfer-id:x7Yz", "sendonly", "file-range:2-3", "file-disposition:attachment")


def pull(offered: SessionDescription) -> SessionDescription:
    file = FileTransfer(selector=FileSelector(size=3), transfer_id="of another time")
    return answer(offered, replace(own(), file=file), origin=BOB_ORIGIN)


def test_m143_name_size_hash_and_range_are_read() -> None:
    offered = described(stream(*FILE))
    file = only(offered, pull(offered), Role.ANSWERER).remote.file
    assert file is not None
    assert file.selector == FileSelector('a/b"c.txt', 3, "text/plain", (("sha-1", bytes(20)),))
    assert (file.range, file.disposition) == (FileRange(2, 3), "attachment")


def test_m143_the_answer_repeats_the_identifier_and_receives() -> None:
    answered = pull(described(stream(*FILE)))
    assert answered.media[0].attribute("file-transfer-id") == "x7Yz"
    assert answered.media[0].attribute("recvonly") == ""


def test_m143_a_declined_transfer_repeats_the_identifier() -> None:
    answered = answer(described(stream(*FILE), stream()), own(), origin=BOB_ORIGIN)
    assert [media.port for media in answered.media] == [0, 8493]
    assert answered.media[0].attribute("file-transfer-id") == "x7Yz"


def test_m143_a_chat_is_not_answered_by_a_file_nor_a_file_by_a_chat() -> None:
    with pytest.raises(SdpError, match="no file is wanted here"):
        answer(described(stream(*FILE)), own(), origin=BOB_ORIGIN)
    with pytest.raises(SdpError, match="a file is wanted here"):
        pull(described(stream()))


def test_m143_an_answer_about_another_transfer_is_refused() -> None:
    file = FileTransfer(selector=FileSelector(size=3), transfer_id="mine")
    offered = offer(replace(own(ALICE), file=file, direction=Direction.SENDONLY), origin=ALICE_ORIGIN)
    with pytest.raises(SdpError, match="another file transfer"):
        agreed(offered, described(stream("setup:passive", *FILE)), Role.OFFERER)


def test_m143_an_answer_that_knows_no_files_says_so_by_its_absence() -> None:
    file = FileTransfer(selector=FileSelector(size=3), transfer_id="mine")
    offered = offer(replace(own(ALICE), file=file, direction=Direction.SENDONLY), origin=ALICE_ORIGIN)
    assert only(offered, described(stream("setup:passive")), Role.OFFERER).remote.file is None


@pytest.mark.parametrize("attribute", ["file-range:0-1", "file-icon:http://x", "file-transfer-id:a b", "file-date:x"])
def test_m143_a_malformed_attribute_is_488(attribute: str) -> None:
    with pytest.raises(SdpError) as caught:
        pull(described(stream(SELECTOR, attribute)))
    assert (caught.value.status, caught.value.line) == (488, 10)
