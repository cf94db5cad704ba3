"""What applications say of files: fields that exclude each other are refused, and named."""

from typing import Any

import pytest

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import InvalidRequestError
from wigwag.ua.file_requests import checked_fetch, checked_file


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"session_id": "s", "resume_session_id": "s"}, "session_id"),
        ({"session_id": "s", "to_uri": "sip:bob@example.com"}, "to_uri"),
        ({"resume_session_id": "s", "from_uri": "sip:bob@example.com"}, "to_uri"),
        ({"resume_session_id": "s", "size": 5}, "resume_session_id"),
        ({"resume_session_id": "s", "blob_id": "b"}, "blob_id"),
        ({"session_id": "s", "offset": 5}, "offset"),
        ({"blob_id": "b", "offset": 5}, "offset"),
        ({"blob_id": "b", "sha256": "00" * 32}, "blob_id"),
        ({"name": "a\nb"}, "name"),
    ],
)
def test_description_of_a_file_that_contradicts_itself_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{named}"):
        checked_file(ua_pb2.FileDescription(**fields))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "name"),
        ({"resume_session_id": "s", "sha1": "00" * 20}, "sha1"),
        ({"resume_session_id": "s", "to_uri": "sip:bob@example.com"}, "to_uri"),
    ],
)
def test_question_for_a_file_that_contradicts_itself_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{named}"):
        checked_fetch(ua_pb2.FetchFileRequest(**fields))
