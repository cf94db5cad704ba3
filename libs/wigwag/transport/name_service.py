"""Questions to the name service, in bounded time and number, with what is known kept for as long as it holds.

Theory of operation. An answer is kept for its time to live, that something does not exist for the time its zone says,
both up to a bound of ours; that nobody answered is kept for some seconds, so that a domain whose servers are dead costs
each of its users a glance and not the whole timeout. Who asks while the same question is under way waits for the same
answer. Questions under way are bounded, since each has a socket, and names are chosen by strangers.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import cast

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.resolver

from wigwag.transport.addresses import interleave, parse_address
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.hosts_file import HOSTS, HostsFile

LONGEST_KEPT = 3600.0
"""Seconds an answer is kept at most, whatever its time to live."""
LONGEST_ABSENCE = 60.0
"""Seconds it is remembered at most that something does not exist (RFC 2308 section 5)."""
FAILURE_KEPT = 5.0
"""Seconds it is remembered that the name service did not answer (RFC 2308 section 7)."""
MOST_KEPT = 10_000
"""Answers kept; the one not used for longest goes first."""
MOST_PENDING = 256
"""Questions under way at once."""
MOST_RECORDS = 64
"""Records of an answer looked at."""

Records = tuple[dns.rdata.Rdata, ...]
_Question = tuple[str, dns.rdatatype.RdataType]
_ADDRESSES = (dns.rdatatype.AAAA, dns.rdatatype.A)
_UDP_SIZE = 1232
"""Bytes of an answer that are asked to come in one datagram."""


class NameService:
    """Asks for records, and remembers.

    Args:
        timeout: Seconds that one question may take, search list included.
        nameserver: (address, port) of a server to ask in place of the system's.
        hosts: The hosts file, which comes first.
        clock: Returns seconds that never go back.

    Attributes:
        questions: Questions asked of servers; what was known is not counted.
    """

    def __init__(
        self,
        *,
        timeout: float = 5.0,
        nameserver: tuple[str, int] | None = None,
        hosts: Path = HOSTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.questions = 0
        self._hosts = HostsFile(hosts)
        self._clock = clock
        self._known: OrderedDict[_Question, tuple[float, Records | ConnectError]] = OrderedDict()
        self._pending: dict[_Question, asyncio.Task[Records | ConnectError]] = {}
        self._dns = dns.asyncresolver.Resolver(configure=False)
        if nameserver is None:
            self._configure()
        else:
            self._dns.nameservers, self._dns.port = [nameserver[0]], nameserver[1]
        self._dns.use_edns(0, 0, _UDP_SIZE)
        self._dns.lifetime = timeout

    async def records(self, name: str, kind: dns.rdatatype.RdataType) -> Records:
        """The records of a name; none when it does not exist or has none of this kind.

        Raises:
            ConnectError: No answer, or too many questions are under way.
        """
        found = await self._found(name, kind)
        if isinstance(found, ConnectError):
            raise ConnectError(found.failure, found.detail)
        return found

    def remembers(self, name: str, *kinds: dns.rdatatype.RdataType) -> bool:
        """Whether nobody has to be asked for the records of a name; then `records` returns at once."""
        return all(self._remembered((name.lower(), kind)) is not None for kind in kinds)

    async def addresses(self, host: str) -> list[str]:
        """The numeric addresses of a host, the families in turn; a numeric host is its own address.

        A name that ends in a dot is complete: the system's search list is left out.

        Names in the hosts file come first, as everywhere on the system; ``localhost`` is never asked of a server
        (RFC 6761).

        Raises:
            ConnectError: No answer for either family.
        """
        numeric = parse_address(host)
        if numeric is not None:
            return [str(numeric)]
        local = self.local_addresses(host)
        if local:
            return local
        if self.remembers(host, *_ADDRESSES):
            sixes, fours = [await self._found(host, kind) for kind in _ADDRESSES]
        else:
            sixes, fours = await asyncio.gather(*(self._found(host, kind) for kind in _ADDRESSES))
        if isinstance(sixes, ConnectError) and isinstance(fours, ConnectError):
            raise ConnectError(fours.failure, fours.detail)
        return interleave(_texts(sixes), _texts(fours))

    def knows(self, host: str) -> bool:
        """Whether nobody has to be asked for the addresses of a host; then `addresses` returns at once."""
        return parse_address(host) is not None or bool(self.local_addresses(host)) or self.remembers(host, *_ADDRESSES)

    def local_addresses(self, host: str) -> list[str]:
        """The addresses of a name that no server has to be asked about; nothing for any other."""
        name = host.lower().rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            return self._hosts.addresses(name) or ["127.0.0.1", "::1"]
        return self._hosts.addresses(name)

    # -- asking ------------------------------------------------------------------------------------------------------

    async def _found(self, name: str, kind: dns.rdatatype.RdataType) -> Records | ConnectError:
        question = name.lower(), kind
        found = self._remembered(question)
        if found is not None:
            return found
        try:
            # Shielded: another may wait for the same answer.
            return await asyncio.shield(self._asking(question))
        except ConnectError as error:
            return error

    def _asking(self, question: _Question) -> "asyncio.Task[Records | ConnectError]":
        task = self._pending.get(question)
        if task is None:
            if len(self._pending) >= MOST_PENDING:
                raise ConnectError(ConnectFailure.RESOURCES, f"{question[0]}: too many names are being looked up")
            task = self._pending[question] = asyncio.get_running_loop().create_task(self._ask(question))
            task.add_done_callback(lambda _: self._pending.pop(question, None))
        return task

    async def _ask(self, question: _Question) -> Records | ConnectError:
        """Ask and remember. Errors are returned, since nobody may be left who waits for them."""
        name, kind = question
        self.questions += 1
        try:
            answer = await self._dns.resolve(name, kind, search=True, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            return self._remember(question, (), min(LONGEST_ABSENCE, _absence(error)))
        except (dns.exception.DNSException, OSError, UnicodeError, ValueError) as error:
            why = f"{name}: {str(error) or type(error).__name__}"
            return self._remember(question, ConnectError(ConnectFailure.RESOLUTION, why), FAILURE_KEPT)
        records = tuple(answer.rrset or ())[:MOST_RECORDS]
        longest = LONGEST_KEPT if records else LONGEST_ABSENCE
        return self._remember(question, records, min(longest, answer.chaining_result.minimum_ttl))

    # -- remembering -------------------------------------------------------------------------------------------------

    def _remembered(self, question: _Question) -> Records | ConnectError | None:
        entry = self._known.get(question)
        if entry is None:
            return None
        until, found = entry
        if self._clock() >= until:
            del self._known[question]
            return None
        self._known.move_to_end(question)
        return found

    def _remember(self, question: _Question, found: Records | ConnectError, seconds: float) -> Records | ConnectError:
        if seconds > 0:
            self._known[question] = self._clock() + seconds, found
            self._known.move_to_end(question)
            if len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        return found

    def _configure(self) -> None:
        try:
            self._dns.read_resolv_conf("/etc/resolv.conf")
        except (dns.resolver.NoResolverConfiguration, OSError):
            # Nobody to ask: numeric hosts and the hosts file still work.
            self._dns.nameservers = []


def _absence(error: dns.resolver.NXDOMAIN) -> float:
    """Seconds that the answers say for how long a name will not exist."""
    responses = cast("dict[dns.name.Name, dns.message.QueryMessage]", error.kwargs.get("responses", {}))
    return min((response.resolve_chaining().minimum_ttl for response in responses.values()), default=0)


def _texts(records: Records | ConnectError) -> list[str]:
    return [] if isinstance(records, ConnectError) else [str(record) for record in records]
