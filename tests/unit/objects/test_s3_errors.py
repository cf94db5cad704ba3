import pytest

from wigwag.objects.s3_errors import failure_of

HEAD = "Generic S3 error: Error performing PUT https://host/b/k in 2ms - "
MISSING = "Server returned non-2xx status code: 404 Not Found: <Code>{}</Code><Message>It is not.</Message>"


@pytest.mark.parametrize(
    ("text", "reason", "is_refusal"),
    [
        ("HTTP error: error sending request\n\n... message: \"Connection refused\",", "Connection refused", False),
        (
            "HTTP error: error sending request\n\n... \"dns error\", error: \"failed to lookup address: x\",",
            "failed to lookup address: x",
            False,
        ),
        (
            "HTTP error: error sending request\n\n... error: InvalidCertificate(UnknownIssuer)",
            "its certificate is not trusted (InvalidCertificate)",
            True,
        ),
        ("HTTP error: error sending request\n\n... InvalidMessage(InvalidContentType)", "it speaks no TLS", True),
        ("HTTP error: builder error\n\n... source: BadScheme", "http is not allowed (blobs.insecure)", True),
        ("HTTP error: error sending request\n\n... source: TimedOut", "HTTP error: error sending request", False),
        ("Received redirect without LOCATION, a wrong region", "the bucket is in another region", True),
        ("Server returned non-2xx status code: 403 Forbidden: <html>", "status 403", True),
        ("Server returned non-2xx status code: 503 Slow: <Code>SlowDown</Code>", "SlowDown", False),
        ("Server returned non-2xx status code: 429 Slow: ", "status 429", False),
        (
            "Server returned non-2xx status code: 403 Forbidden: <Code>AccessDenied</Code><Message>No.</Message>",
            "AccessDenied: No.",
            True,
        ),
        (
            "Error performing PUT http://169.254.169.254/latest/api/token in 1ms",
            "no keys are set, and this machine's role gives none",
            True,
        ),
    ],
)  # fmt: skip
def test_reason_is_told_in_a_few_words(text: str, reason: str, is_refusal: bool) -> None:
    failure = failure_of(RuntimeError(HEAD + text), has_keys=True)
    assert (failure.reason, failure.is_refusal, failure.is_missing) == (reason, is_refusal, False)


def test_missing_object_and_missing_bucket_are_told_apart() -> None:
    assert failure_of(FileNotFoundError(HEAD + MISSING.format("NoSuchKey")), has_keys=True).is_missing
    bucket = failure_of(FileNotFoundError(HEAD + MISSING.format("NoSuchBucket")), has_keys=True)
    assert (bucket.is_missing, bucket.is_refusal, bucket.reason) == (False, True, "NoSuchBucket: It is not.")


def test_silence_without_keys_may_be_that_of_the_machines_role() -> None:
    assert failure_of(TimeoutError(), has_keys=True).reason == "no answer in time"
    assert "keys" in failure_of(TimeoutError(), has_keys=False).reason


def test_reason_of_a_long_answer_is_cut() -> None:
    text = f"status code: 400 Bad: <Code>X</Code><Message>{10_000 * 'm'}</Message>"
    assert len(failure_of(RuntimeError(HEAD + text), has_keys=True).reason) <= 300
