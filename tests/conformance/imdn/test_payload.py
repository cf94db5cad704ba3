"""message/imdn+xml: the examples of RFC 5438, every file in ``vectors/``, and what is written (section 11)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.imdn import STATUSES, Imdn, ImdnError, NotificationType, Status

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*/*.xml"))
ACCEPTED = [path for path in VECTORS if path.parent.name == "accepted"]
REFUSED = [path for path in VECTORS if path.parent.name == "refused"]


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def vector(name: str) -> Imdn:
    (path,) = [path for path in ACCEPTED if path.stem == name]
    return Imdn.parse(path.read_bytes())


@pytest.mark.parametrize("path", ACCEPTED, ids=names(ACCEPTED))
def test_an_accepted_vector_is_about_its_message(path: Path) -> None:
    assert Imdn.parse(path.read_bytes()).message_id == "34jk324j"


@pytest.mark.parametrize("path", REFUSED, ids=names(REFUSED))
def test_a_refused_vector_is_an_error_that_can_be_answered(path: Path) -> None:
    with pytest.raises(ImdnError) as caught:
        Imdn.parse(path.read_bytes())
    assert caught.value.status == 400
    assert caught.value.reason.startswith("IMDN: ")


@pytest.mark.parametrize("path", VECTORS, ids=[f"{path.parent.name}-{path.stem}" for path in VECTORS])
def test_a_vector_cut_off_anywhere_is_an_error_or_parses(path: Path) -> None:
    data = path.read_bytes()
    for end in range(len(data)):
        try:
            assert Imdn.parse(data[:end]).message_id
        except ImdnError:
            continue


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(ACCEPTED) >= 12
    assert len(REFUSED) >= 20


def test_the_example_of_the_rfc_says_what_it_says() -> None:
    imdn = vector("rfc5438-7.2.1.1-delivered")
    assert (imdn.kind, imdn.status) == (NotificationType.DELIVERY, Status.DELIVERED)
    assert imdn.date_time == "2008-04-04T12:16:49-05:00"
    assert imdn.sent_at == datetime(2008, 4, 4, 17, 16, 49, tzinfo=UTC)
    assert (imdn.recipient_uri, imdn.original_recipient_uri) == ("im:bob@example.com", "im:bob@example.com")


def test_a_status_of_an_extension_is_no_status_of_ours() -> None:
    assert vector("status-of-an-extension").status is None
    assert vector("extension-elements").status is Status.DELIVERED


def test_a_subject_has_its_language_and_its_characters() -> None:
    imdn = vector("subject-with-language")
    assert (imdn.subject, imdn.subject_language) == ("Grüße & mehr \U0001f43b", "de")


def test_a_time_that_is_none_is_kept_and_not_understood() -> None:
    imdn = vector("prefix-of-its-own")
    assert (imdn.date_time, imdn.sent_at) == ("x", None)
    assert vector("no-datetime").sent_at is None


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind in NotificationType for status in Status])
def test_each_status_goes_with_its_type_only(kind: NotificationType, status: Status) -> None:
    imdn = Imdn(message_id="a", kind=kind, status=status, date_time="b")
    if status in STATUSES[kind]:
        assert Imdn.parse(bytes(imdn)) == imdn
    else:
        with pytest.raises(LocalProtocolError):
            bytes(imdn)


def test_a_status_that_nobody_knows_is_not_written() -> None:
    with pytest.raises(LocalProtocolError):
        bytes(Imdn(message_id="a", kind=NotificationType.DELIVERY, status=None))


def test_the_recipient_comes_with_the_original_one_as_the_schema_has_it() -> None:
    written = bytes(
        Imdn(
            message_id="a",
            kind=NotificationType.DISPLAY,
            status=Status.DISPLAYED,
            date_time="b",
            recipient_uri="im:bob@example.com",
            subject='<&>"',
            subject_language="en",
        )
    )
    assert written.decode().split("\n") == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<imdn xmlns="urn:ietf:params:xml:ns:imdn">',
        "  <message-id>a</message-id>",
        "  <datetime>b</datetime>",
        "  <recipient-uri>im:bob@example.com</recipient-uri>",
        "  <original-recipient-uri>im:bob@example.com</original-recipient-uri>",
        '  <subject xml:lang="en">&lt;&amp;&gt;&quot;</subject>',
        "  <display-notification><status><displayed/></status></display-notification>",
        "</imdn>",
        "",
    ]


def test_documents_are_bounded() -> None:
    ours = bytes(Imdn(message_id="a", kind=NotificationType.DISPLAY, status=Status.DISPLAYED, date_time="b"))
    for hostile in (
        ours.replace(b"<datetime>", b"<datetime>" + b" " * 70_000),
        ours.replace(b"<datetime>", b"<x>" * 20 + b"</x>" * 20 + b"<datetime>"),
        ours.replace(b"<datetime>", b"<x/>" * 600 + b"<datetime>"),
    ):
        with pytest.raises(ImdnError) as caught:
            Imdn.parse(hostile)
        assert caught.value.status == 413
