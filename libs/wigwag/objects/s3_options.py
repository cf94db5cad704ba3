"""What is to be known of a bucket, and its form as one URL."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

FORM: Final = "the form is s3://bucket or s3://bucket/prefix"
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
"""More than AWS allows today: older buckets, and those of others, have capitals and underscores."""
_FOLDER: Final = re.compile(r"(?!\.\.?$)[A-Za-z0-9!_.*'()=@+-]+")
_LONGEST_PREFIX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """A bucket and how to reach it. What is empty is looked for where every program of AWS looks for it."""

    bucket: str
    prefix: str = ""
    """Of all keys, without a slash at its ends."""
    endpoint: str | None = None
    """``http://host:port`` or ``https://host:port``; None: ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``, else AWS."""
    region: str | None = None
    """None: ``AWS_REGION``, ``AWS_DEFAULT_REGION``, else ``us-east-1``."""
    access_key_id: str | None = None
    """None: ``AWS_ACCESS_KEY_ID``, else the role of the pod or machine."""
    secret_access_key: str | None = None
    path_style: bool = True
    """Whether the bucket stands in the path, not in the host's name."""
    ca_file: Path | None = None
    """PEM of authorities that are trusted besides those of the system."""
    insecure: bool = False
    """Whether ``http`` may be spoken."""
    timeout: float = 10.0
    """Seconds after which an operation is given up, with all that was tried again."""

    @property
    def url(self) -> str:
        """The URL that names bucket and prefix."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Return what a URL such as ``s3://bucket/prefix`` names.

    Raises:
        ValueError: It has another form; the text says which.
    """
    try:
        parts = urlsplit(url)
        extras = parts.query or parts.fragment or "@" in parts.netloc or ":" in parts.netloc
    except ValueError as error:
        raise ValueError(FORM) from error
    if parts.scheme != "s3":
        raise ValueError(FORM)
    if extras:
        raise ValueError(f"{FORM}; endpoint, region and keys are settings of their own")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"{FORM}; a bucket's name has 3 to 63 letters, digits, dots, hyphens")
    path = parts.path.removeprefix("/")
    prefix = path.removesuffix("/")
    folders = prefix.split("/") if path else []
    if len(prefix) > _LONGEST_PREFIX or not all(_FOLDER.fullmatch(folder) for folder in folders):
        raise ValueError(f"{FORM}; a prefix has letters, digits and !_.*'()=@+- between single slashes")
    return parts.netloc, prefix


def endpoint_with_bucket(endpoint: str, bucket: str) -> str:
    """Return an endpoint with the bucket in front of its host, as virtual-hosted requests name it."""
    scheme, _, host = endpoint.partition("://")
    return f"{scheme}://{bucket}.{host}"
