"""When a message was sent (RFC 3862 section 4.4, RFC 3339)."""

import re
from datetime import datetime

from .error import CpimError

# date-time = full-date "T" full-time        time-offset = "Z" / time-numoffset        (RFC 3339 section 5.6)
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_date_time(value: str) -> datetime:
    """Return the time that a date-time names, with its offset.

    A leap second is taken for the second before it, since Python knows none; of a fraction six digits count.

    Raises:
        CpimError: It breaks the grammar, or names a time that there is not.
    """
    match = _DATE_TIME.fullmatch(value.strip(" "))
    if match is None:
        raise CpimError("malformed date and time")
    date, minute, second, fraction, offset = match.groups()
    seconds = "59" if second == "60" else second
    micros = (fraction or "")[:7]
    try:
        return datetime.fromisoformat(f"{date}T{minute}:{seconds}{micros}{'+00:00' if offset in 'Zz' else offset}")
    except ValueError:
        raise CpimError("there is no such date and time") from None


def format_date_time(time: datetime) -> str:
    """Return a date-time with seconds, and milliseconds unless there are none.

    Args:
        time: Has to know its offset from UTC.

    Raises:
        ValueError: It does not know it, or the offset is no whole number of minutes.
    """
    offset = time.utcoffset()
    if offset is None or offset.total_seconds() % 60:
        raise ValueError("a date and time without an offset from UTC in minutes")
    return time.isoformat(timespec="milliseconds" if time.microsecond >= 1000 else "seconds").replace("+00:00", "Z")
