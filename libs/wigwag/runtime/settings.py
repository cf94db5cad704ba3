"""What settings are made of: frozen sections, numbers with ranges, and secrets that are never shown."""

from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(gt=0)]
Port = Annotated[int, Field(ge=0, le=65535)]

Secret = Annotated[str | None, Field(repr=False, json_schema_extra={"secret": "text"})]
"""A value that is never shown; ``x_file`` beside a secret ``x`` names a file that holds it."""
SecretUrl = Annotated[str | None, Field(repr=False, json_schema_extra={"secret": "url"})]
"""A URL whose password is never shown; may come from a file like every secret."""


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` names this machine only: ``localhost`` or an address of 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class SecretKind(StrEnum):
    """How much of a secret has to be hidden."""

    TEXT = "text"
    URL = "url"


class Section(BaseModel):
    """A frozen group of settings in which unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def secret_kind(field: FieldInfo) -> SecretKind | None:
    """Return how a field's value has to be hidden; None when it may be shown."""
    extra = field.json_schema_extra
    kind = extra.get("secret") if isinstance(extra, dict) else None
    return SecretKind(kind) if isinstance(kind, str) else None
