"""What is written is read as it was meant."""

from hypothesis import given
from hypothesis import strategies as st

from wigwag.protocols.imdn import STATUSES, Imdn, NotificationType, Status

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)
TOKENS = TEXTS.map(str.strip).filter(bool)
OUTCOMES = [(kind, status) for kind in NotificationType for status in Status if status in STATUSES[kind]]


@given(st.sampled_from(OUTCOMES), TOKENS, TOKENS, st.none() | st.tuples(TOKENS, TOKENS), TEXTS)
def test_a_notification_that_is_written_and_read_is_the_same(
    outcome: tuple[NotificationType, Status],
    message_id: str,
    date_time: str,
    uris: tuple[str, str] | None,
    subject: str,
) -> None:
    kind, status = outcome
    recipient, original = uris or (None, None)
    imdn = Imdn(
        message_id=message_id,
        kind=kind,
        status=status,
        date_time=date_time,
        recipient_uri=recipient,
        original_recipient_uri=original,
        subject=subject,
        subject_language="en",
    )
    assert Imdn.parse(bytes(imdn)) == imdn
