"""What telemetry is declared with: metrics, spans, their attributes; ``names`` declares them all."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

from wigwag.errors import LocalProtocolError

Attribute = NewType("Attribute", str)
"""Name of a span's attribute; made in ``names`` only, so that the type checker refuses any other."""
AttributeValue = str | int | float | bool

NAME = re.compile(r"wigwag\.[a-z]+(\.[a-z][a-z0-9_]*)+")
"""``wigwag.<service>.<noun>``, for metrics and spans."""
UNIT = re.compile(r"1|By|s|\{[a-z]+\}")
"""The units we use, as OpenTelemetry writes them (UCUM): dimensionless, bytes, seconds, things counted."""


class Instrument(Enum):
    """How a metric's value behaves."""

    COUNTER = "only grows"
    GAUGE = "goes up and down"


@dataclass(frozen=True, slots=True)
class Metric:
    """The declaration of a metric.

    Raises:
        LocalProtocolError: Name or unit break the rules above, or the description is missing.
    """

    name: str
    unit: str
    description: str
    instrument: Instrument = Instrument.COUNTER
    attributes: tuple[str, ...] = ()
    """What tells its readings apart; never anything that a peer chooses, or the number of series has no bound."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or not UNIT.fullmatch(self.unit) or not self.description:
            raise LocalProtocolError(f"metric {self.name!r} in {self.unit!r} breaks the rules of declarations")

    def read(self, value: float, **attributes: str) -> "Reading":
        """Return a reading.

        Args:
            value: What it is now, in the metric's unit.
            attributes: Exactly the declared ones.

        Raises:
            LocalProtocolError: An attribute is missing or undeclared.
        """
        if attributes.keys() != set(self.attributes):
            raise LocalProtocolError(f"{self.name} has the attributes {self.attributes}, not {tuple(attributes)}")
        return Reading(self, value, attributes)

    @property
    def prometheus(self) -> str:
        """The name that Prometheus shows: dots are underscores, unit and kind are suffixes."""
        unit = {"By": "_bytes", "s": "_seconds"}.get(self.unit, "")
        if self.unit == "1" and self.instrument is Instrument.GAUGE:
            unit = "_ratio"
        name = self.name.replace(".", "_")
        kind = "_total" if self.instrument is Instrument.COUNTER else ""
        return name + ("" if name.endswith(unit) else unit) + kind


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a metric at the moment of reading; made by ``Metric.read``."""

    metric: Metric
    value: float
    attributes: Mapping[str, str] = field(default_factory=dict)


Readings = Callable[[], Iterable[Reading]]


class SpanKind(Enum):
    """The part that we play in the operation (OpenTelemetry's span kinds)."""

    SERVER = "answers a request"
    CLIENT = "makes a request and awaits the answer"
    INTERNAL = "is work of our own"


@dataclass(frozen=True, slots=True)
class SpanName:
    """The declaration of a span.

    Raises:
        LocalProtocolError: The name breaks the rule, or the description is missing.
    """

    name: str
    kind: SpanKind
    description: str
    """From when until when it lasts."""
    attributes: tuple[Attribute, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or not self.description:
            raise LocalProtocolError(f"span {self.name!r} breaks the rules of declarations")
