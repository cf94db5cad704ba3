"""Status and reports by MI, with OpenSIPS's names, answers and errors, over all pods.

Where OpenSIPS has one process, this shows a cluster: what belongs to another pod carries ``Pod`` and ``Age`` (seconds).
A single pod's answers are OpenSIPS's, with ``Severity`` added to a report.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from wigwag.errors import NotAuthorizedError, NotFoundError, OverloadedError

from .management import ArgumentError, Arguments, Command
from .status import ALL, MAIN, Group, Identifier, ModuleStatus, Severity, StatusTree
from .status_document import Filter, GroupDocument, IdentifierDocument, severity_of
from .status_sharing import PodStatus, StatusSharing

Item = dict[str, Any]

GROUP_NOT_FOUND = "Group not found"
MOST_IDENTIFIERS = 100
"""That operators may make in one public group."""


def status_commands(sharing: StatusSharing, tree: StatusTree) -> list[Command]:
    """Return the commands of the status tree.

    Args:
        sharing: This pod's status and the others'.
        tree: This pod's, for public groups.
    """
    return [*_reading_commands(_Reading(sharing)), *_writing_commands(_Writing(tree))]


def _reading_commands(reading: "_Reading") -> list[Command]:
    return [
        Command(
            name="status_report:get",
            aliases=("sr_get_status",),
            run=reading.get,
            required=("group",),
            optional=("identifier", "pod"),
            changes=False,
            summary="Status of an identifier, or of all of a group, at this pod or another.",
        ),
        Command(
            name="status_report:status",
            aliases=("sr_list_status",),
            run=reading.list_status,
            optional=("group", "pod"),
            changes=False,
            summary="Status of all identifiers, or of a group's.",
        ),
        Command(
            name="status_report:reports",
            aliases=("sr_list_reports",),
            run=reading.list_reports,
            optional=("group", "identifier", "pod", "severity", "since"),
            changes=False,
            summary="Reports, oldest first; severity is the lowest shown, since is in seconds of the epoch.",
        ),
        Command(
            name="status_report:identifiers",
            aliases=("sr_list_identifiers",),
            run=reading.list_identifiers,
            optional=("group",),
            changes=False,
            summary="Groups and their identifiers.",
        ),
    ]


def _writing_commands(writing: "_Writing") -> list[Command]:
    return [
        Command(
            name="status_report:set_status",
            aliases=("sr_set_status",),
            run=writing.set_status,
            required=("group", "status"),
            optional=("details", "identifier"),
            summary="Set the status of a public group (setting node.status_groups) at this pod.",
        ),
        Command(
            name="status_report:add_report",
            aliases=("sr_add_report",),
            run=writing.add_report,
            required=("group", "report"),
            optional=("identifier", "severity"),
            summary="Add a report to a public group (setting node.status_groups) at this pod.",
        ),
    ]


class _Reading:
    def __init__(self, sharing: StatusSharing) -> None:
        self._sharing = sharing

    async def get(self, arguments: Arguments) -> Item:
        pods = await self._pods(arguments.get("pod", self._sharing.pod))
        group = pods[0].document.find(arguments["group"])
        if group is None:
            raise NotFoundError(GROUP_NOT_FOUND)
        name = arguments.get("identifier", MAIN)
        if name.lower() == ALL:
            return _status(group.aggregate, "aggregated")
        found = group.find(name)
        if found is None:
            raise NotFoundError("Identity not found")
        return _status(found.status, found.details)

    async def list_status(self, arguments: Arguments) -> list[Item]:
        pods = await self._pods(arguments.get("pod"))

        def items(name: str) -> list[Item]:
            return [
                {"Name": identifier.name, **_status(identifier.status, identifier.details), **_origin(pod)}
                for pod, group in _groups(pods, name)
                for identifier in group.identifiers
            ]

        return _by_group(pods, arguments.get("group"), items)

    async def list_reports(self, arguments: Arguments) -> list[Item]:
        pods = await self._pods(arguments.get("pod"))
        wanted = Filter(severity=_severity(arguments), since=_since(arguments))
        name = arguments.get("identifier")
        if name is not None:
            return _reports_of(pods, _needed_group(arguments), name, wanted)

        def items(group_name: str) -> list[Item]:
            return [
                {"Name": identifier.name, "Reports": _reports(identifier, wanted), **_origin(pod)}
                for pod, group in _groups(pods, group_name)
                for identifier in group.identifiers
            ]

        return _by_group(pods, arguments.get("group"), items)

    async def list_identifiers(self, arguments: Arguments) -> Item | list[Item]:
        pods = await self._pods(None)
        names = [arguments["group"]] if "group" in arguments else _group_names(pods)
        items = []
        for name in names:
            found = list(_groups(pods, name))
            if not found:
                raise NotFoundError(GROUP_NOT_FOUND)
            identifiers = dict.fromkeys(identifier.name for _, group in found for identifier in group.identifiers)
            items.append({"Group": found[0][1].name, "Identifiers": list(identifiers)})
        return items[0] if "group" in arguments else items

    async def _pods(self, pod: str | None) -> Sequence[PodStatus]:
        if pod == self._sharing.pod:
            # Asked of this pod, it answers whether the store does or not.
            return [PodStatus(document=self._sharing.own(), age=0.0, own=True)]
        cluster = await self._sharing.cluster()
        pods = [item for item in cluster.pods if pod in (None, item.document.pod)]
        if not pods:
            raise NotFoundError("Pod not found")
        return pods


class _Writing:
    def __init__(self, tree: StatusTree) -> None:
        self._tree = tree

    def set_status(self, arguments: Arguments) -> None:
        try:
            status = int(arguments["status"])
        except ValueError:
            raise ArgumentError("status has to be a whole number") from None
        self._identifier(arguments, status).set(status, arguments.get("details", ""))

    def add_report(self, arguments: Arguments) -> None:
        severity = _severity(arguments) or Severity.INFO
        self._identifier(arguments, ModuleStatus.READY).report(arguments["report"], severity)

    def _identifier(self, arguments: Arguments, status: int) -> Identifier:
        group, name = self._group(arguments), arguments.get("identifier", MAIN)
        if group.find(name) is None and len(list(group)) >= MOST_IDENTIFIERS:
            raise OverloadedError(f"{group.name} has {MOST_IDENTIFIERS} identifiers already")
        return group.identifier(name, status=status)

    def _group(self, arguments: Arguments) -> Group:
        group = self._tree.find(arguments["group"])
        if group is None:
            raise NotFoundError(GROUP_NOT_FOUND)
        if not group.public:
            raise NotAuthorizedError(f"{group.name} tells its own status; node.status_groups names those to write to")
        return group


def _by_group(pods: Sequence[PodStatus], name: str | None, items: Any) -> list[Item]:
    """Return a group's items, or each group with its own."""
    if name is None:
        return [{"Name": known, "Identifiers": items(known)} for known in _group_names(pods)]
    if not any(_groups(pods, name)):
        raise NotFoundError(GROUP_NOT_FOUND)
    found: list[Item] = items(name)
    return found


def _groups(pods: Sequence[PodStatus], name: str) -> Iterator[tuple[PodStatus, GroupDocument]]:
    for pod in pods:
        group = pod.document.find(name)
        if group is not None:
            yield pod, group


def _group_names(pods: Sequence[PodStatus]) -> list[str]:
    return list({group.name.lower(): group.name for pod in reversed(pods) for group in pod.document.groups}.values())


def _reports_of(pods: Sequence[PodStatus], group_name: str, name: str, wanted: Filter) -> list[Item]:
    groups = list(_groups(pods, group_name))
    if not groups:
        raise NotFoundError(GROUP_NOT_FOUND)
    found = [(pod, identifier) for pod, group in groups if (identifier := group.find(name)) is not None]
    if not found:
        raise NotFoundError("Identifier not found")
    return [{**item, **_origin(pod)} for pod, identifier in found for item in _reports(identifier, wanted)]


def _reports(identifier: IdentifierDocument, wanted: Filter) -> list[Item]:
    return [
        {
            "Timestamp": int(report.time),
            # OpenSIPS writes ctime().
            "Date": time.ctime(report.time),
            "Log": report.text,
            "Severity": report.severity,
        }
        for report in identifier.reports
        if wanted.takes_report(report)
    ]


def _status(status: int, details: str) -> Item:
    item: Item = {"Readiness": status > 0, "Status": status}
    return item | {"Details": details} if details else item


def _origin(pod: PodStatus) -> Item:
    return {} if pod.own else {"Pod": pod.document.pod, "Age": round(pod.age, 1)}


def _needed_group(arguments: Arguments) -> str:
    if "group" not in arguments:
        raise ArgumentError("identifier needs group")
    return str(arguments["group"])


def _severity(arguments: Arguments) -> Severity | None:
    name = arguments.get("severity")
    if name is None:
        return None
    try:
        return severity_of(name)
    except KeyError:
        raise ArgumentError(f"severity has to be one of {', '.join(item.label for item in Severity)}") from None


def _since(arguments: Arguments) -> float | None:
    try:
        return float(arguments["since"]) if "since" in arguments else None
    except ValueError:
        raise ArgumentError("since has to be a number of seconds") from None
