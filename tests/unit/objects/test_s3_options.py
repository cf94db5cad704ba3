import pytest

from wigwag.objects import S3Options
from wigwag.objects.s3_options import bucket_and_prefix, endpoint_with_bucket


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://my-bucket.eu/a/b_c/", ("my-bucket.eu", "a/b_c")),
        ("s3://Old_Bucket/2026", ("Old_Bucket", "2026")),
    ],
)
def test_url_names_bucket_and_prefix(url: str, named: tuple[str, str]) -> None:
    assert bucket_and_prefix(url) == named


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "the form is"),
        ("bucket", "the form is"),
        ("file:///var/blobs", "the form is"),
        ("https://bucket.s3.amazonaws.com", "the form is"),
        ("s3://[", "the form is"),
        ("s3:bucket", "a bucket's name"),
        ("s3://", "a bucket's name"),
        ("s3:///prefix", "a bucket's name"),
        ("s3://ab", "a bucket's name"),
        ("s3://-bucket", "a bucket's name"),
        ("s3://b%20cket", "a bucket's name"),
        ("s3://key:secret@bucket", "settings of their own"),
        ("s3://bucket:9000", "settings of their own"),
        ("s3://bucket?region=eu", "settings of their own"),
        ("s3://bucket/a#b", "settings of their own"),
        ("s3://bucket/a//b", "a prefix has"),
        ("s3://bucket//", "a prefix has"),
        ("s3://bucket/../b", "a prefix has"),
        ("s3://bucket/a b", "a prefix has"),
        ("s3://bucket/ä", "a prefix has"),
        ("s3://bucket/" + 600 * "a", "a prefix has"),
    ],
)
def test_url_of_another_form_is_refused_with_what_is_wrong(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        bucket_and_prefix(url)


def test_options_show_their_url() -> None:
    assert S3Options(bucket="b", prefix="p/q").url == "s3://b/p/q"
    assert S3Options(bucket="b").url == "s3://b"


def test_virtual_host_has_the_bucket_in_front() -> None:
    assert endpoint_with_bucket("https://s3.example.com:9000", "b") == "https://b.s3.example.com:9000"
