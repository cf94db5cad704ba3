"""Settings of the place where large bodies and files are."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from wigwag.objects import S3Options
from wigwag.objects.s3_options import bucket_and_prefix
from wigwag.runtime.settings import PositiveSeconds, Secret, Section, is_loopback


class BlobSettings(Section):
    """Bodies above 64 KiB, and files; without an address they are in the database."""

    url: str | None = None
    """``s3://bucket`` or ``s3://bucket/prefix``; None: the database."""
    endpoint: str | None = None
    """``https://host:port`` of what speaks S3; None: ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``, else AWS."""
    region: str | None = None
    """Of the bucket; None: ``AWS_REGION``, ``AWS_DEFAULT_REGION``, else ``us-east-1``."""
    access_key_id: str | None = None
    """None: ``AWS_ACCESS_KEY_ID``, else the role of the pod or machine."""
    secret_access_key: Secret = None
    """Goes with ``access_key_id``; None: ``AWS_SECRET_ACCESS_KEY``, likewise."""
    path_style: bool = True
    """Whether requests name the bucket in the path; else in front of the host's name."""
    ca_file: Path | None = None
    """PEM of authorities that may have signed the store's certificate, besides those of the system."""
    insecure: bool = False
    """Whether ``http://`` may be used to another machine: files can be read on the way."""
    timeout: PositiveSeconds = 10.0
    """Seconds after which a request, with all that was tried again, is given up."""

    @field_validator("url")
    @classmethod
    def _names_a_bucket(cls, url: str | None) -> str | None:
        if url is not None:
            bucket_and_prefix(url)
        return url

    @field_validator("endpoint")
    @classmethod
    def _is_an_origin(cls, endpoint: str | None) -> str | None:
        if endpoint is None:
            return None
        try:
            parts = urlsplit(endpoint)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("the form is http://host, https://host, or either with a port")
        return endpoint.rstrip("/")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        useless = sorted(self.model_fields_set - {"url"}) if self.url is None else []
        if useless:
            raise ValueError(f"url is not set, so {', '.join(useless)} would do nothing")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key (or secret_access_key_file) go together")
        parts = urlsplit(self.endpoint or "https://")
        if parts.scheme == "http" and not is_loopback(parts.hostname or "") and not self.insecure:
            raise ValueError(f"http to {parts.hostname} is readable on the way: use https, or set insecure")
        return self

    def s3(self) -> S3Options | None:
        """Return the bucket that they name; None: the database."""
        if self.url is None:
            return None
        bucket, prefix = bucket_and_prefix(self.url)
        is_plain = (self.endpoint or "").startswith("http://")
        return S3Options(
            bucket=bucket,
            prefix=prefix,
            endpoint=self.endpoint,
            region=self.region,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            path_style=self.path_style,
            ca_file=self.ca_file,
            insecure=self.insecure or is_plain,
            timeout=self.timeout,
        )
