"""A pod's status as a document: the form in which pods show it to each other, and in which it is searched."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from wigwag.errors import ServiceError

from .status import ALL, Group, Identifier, ModuleStatus, Severity, StatusTree


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDocument:
    """One report."""

    time: float
    severity: str
    text: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierDocument:
    """One identifier; reports are oldest first."""

    name: str
    status: int
    details: str
    since: float
    reports: tuple[ReportDocument, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDocument:
    """One group."""

    name: str
    identifiers: tuple[IdentifierDocument, ...]

    def find(self, name: str) -> IdentifierDocument | None:
        """Return an identifier by its name in any case."""
        return next((item for item in self.identifiers if item.name.lower() == name.lower()), None)

    @property
    def aggregate(self) -> int:
        """1, or -1 when any identifier is below 0."""
        return ModuleStatus.NOT_READY if any(item.status < 0 for item in self.identifiers) else ModuleStatus.READY


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDocument:
    """Everything that one pod tells. A newer version may say more, which is passed over."""

    pod: str
    started: float
    written: float
    groups: tuple[GroupDocument, ...]

    def find(self, name: str) -> GroupDocument | None:
        """Return a group by its name in any case."""
        return next((item for item in self.groups if item.name.lower() == name.lower()), None)


class UnreadableStatusError(ServiceError):
    """A pod wrote something that is no status document."""


def document_of(tree: StatusTree, *, pod: str, started: float) -> PodDocument:
    """Return what the tree says now."""
    groups = tuple(_group(group) for group in tree)
    return PodDocument(pod=pod, started=started, written=tree.now(), groups=groups)


def _group(group: Group) -> GroupDocument:
    return GroupDocument(name=group.name, identifiers=tuple(map(_identifier, group)))


def _identifier(identifier: Identifier) -> IdentifierDocument:
    return IdentifierDocument(
        name=identifier.name,
        status=identifier.status,
        details=identifier.details,
        since=identifier.since,
        reports=tuple(
            ReportDocument(time=item.time, severity=item.severity.label, text=item.text, number=item.number)
            for item in identifier.reports
        ),
    )


def encode(document: PodDocument) -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(document)


_decoder = msgspec.json.Decoder(PodDocument)


def decode(data: bytes) -> PodDocument:
    """Return the document that another pod wrote.

    Raises:
        UnreadableStatusError: It is none.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnreadableStatusError(f"no status document: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which reports are meant; None: any."""

    pod: str | None = None
    group: str | None = None
    identifier: str | None = None
    severity: Severity | None = None
    """At least this."""
    since: float | None = None
    """Wall clock seconds, that moment included."""
    until: float | None = None
    """That moment excluded."""

    def takes_group(self, group: GroupDocument) -> bool:
        """Whether the group is meant."""
        return self.group is None or self.group.lower() == group.name.lower()

    def takes_identifier(self, identifier: IdentifierDocument) -> bool:
        """Whether the identifier is meant; ``all`` means each."""
        return self.identifier is None or self.identifier.lower() in (ALL, identifier.name.lower())

    def takes_report(self, report: ReportDocument) -> bool:
        """Whether the report is meant. A severity that this version does not know counts as the highest."""
        if self.severity is not None and severity_of(report.severity, unknown=Severity.ERROR) < self.severity:
            return False
        return (self.since is None or report.time >= self.since) and (self.until is None or report.time < self.until)


def severity_of(name: str, *, unknown: Severity | None = None) -> Severity:
    """Return the severity of this name, in any case.

    Raises:
        KeyError: There is none, and no ``unknown`` to take instead.
    """
    found = Severity.__members__.get(name.upper(), unknown)
    if found is None:
        raise KeyError(name)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FoundReport:
    """A report and where it belongs; ordered by time, then pod, then number."""

    time: float
    pod: str
    number: int
    group: str
    identifier: str
    severity: str
    text: str

    @property
    def cursor(self) -> str:
        """Where a page that ends with this report is continued."""
        return f"{self.time!r}~{self.number}~{self.pod}"


def find_reports(documents: Iterable[PodDocument], wanted: Filter) -> list[FoundReport]:
    """Return the reports that are meant, oldest first."""
    return sorted(
        FoundReport(
            time=report.time,
            pod=document.pod,
            number=report.number,
            group=group.name,
            identifier=identifier.name,
            severity=report.severity,
            text=report.text,
        )
        for document in documents
        if wanted.pod in (None, document.pod)
        for group in document.groups
        if wanted.takes_group(group)
        for identifier in group.identifiers
        if wanted.takes_identifier(identifier)
        for report in identifier.reports
        if wanted.takes_report(report)
    )


def page_after(found: Sequence[FoundReport], cursor: str | None, limit: int) -> list[FoundReport]:
    """Return at most ``limit`` reports that come after the cursor.

    Raises:
        ValueError: The cursor is none of ours.
    """
    if cursor is None:
        return list(found[:limit])
    time, number, pod = cursor.split("~", 2)
    begin = (float(time), pod, int(number))
    return [item for item in found if (item.time, item.pod, item.number) > begin][:limit]
