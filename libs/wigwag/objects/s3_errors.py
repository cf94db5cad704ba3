"""What an answer of S3, or its absence, means: why, and whether another try may help."""

import re
from dataclasses import dataclass
from typing import Final

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>\s*([^<]+?)\s*</Code>")
_MESSAGE: Final = re.compile(r"<Message>\s*([^<]+?)\s*</Message>")
_CAUSES: Final = (
    re.compile(r"(invalid peer certificate[^\n\"]*)"),
    re.compile(r"(InvalidCertificate)\("),
    re.compile(r'message: "([^"]+)"'),
    re.compile(r'error: "([^"]+)"'),
)
"""What the debug text of a lost connection says, the most telling first."""
_METADATA: Final = "169.254.169.254"
"""Where a machine's role is asked for when there are no keys."""
_LONGEST: Final = 300
_TRANSIENT: Final = frozenset((408, 409, 429))
"""Statuses below 500 that say nothing of the request."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an operation failed."""

    reason: str
    is_missing: bool = False
    """Whether there is no such object; the bucket is there."""
    is_refusal: bool = False
    """Whether it fails again as long as settings, rights or bucket stay as they are."""


def failure_of(error: BaseException, *, has_keys: bool) -> Failure:
    """Return what an error of the client means.

    Args:
        error: What it raised.
        has_keys: Whether keys are among the settings: without any the machine's role is asked for first.
    """
    if isinstance(error, TimeoutError):
        return Failure("no answer in time" if has_keys else "no answer in time, neither to a request for keys perhaps")
    text = str(error)
    status, code = _found(_STATUS, text), _found(_CODE, text)
    if _METADATA in text:
        return Failure("no keys are set, and this machine's role gives none", is_refusal=True)
    if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
        return Failure("there is no such object", is_missing=True)
    if code or status:
        reason = ": ".join(filter(None, (code or f"status {status}", _found(_MESSAGE, text))))
        return Failure(reason[:_LONGEST], is_refusal=_is_refusal(int(status or 0)))
    if "BadScheme" in text:
        return Failure("http is not allowed (blobs.insecure)", is_refusal=True)
    if "InvalidContentType" in text:
        return Failure("it speaks no TLS", is_refusal=True)
    reason = next(filter(None, (_found(cause, text) for cause in _CAUSES)), "")
    if "ertificate" in reason:
        return Failure(f"its certificate is not trusted ({reason})"[:_LONGEST], is_refusal=True)
    if "redirect" in text:
        return Failure("the bucket is in another region", is_refusal=True)
    return Failure((reason or text.partition("\n")[0].rpartition(" - ")[2])[:_LONGEST])


def _is_refusal(status: int) -> bool:
    return 300 <= status < 500 and status not in _TRANSIENT


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
