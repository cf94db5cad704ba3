"""A DNS server on loopback that knows what a test tells it."""

import asyncio
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """Answers from ``records`` (zone-file lines); names under ``silent.test`` get no answer at all.

    Args:
        records: Lines such as ``a.test. 60 IN A 192.0.2.1``.
    """

    def __init__(self, *records: str) -> None:
        self.questions: list[str] = []
        self._records = [_record(line) for line in records]
        self._transport: asyncio.DatagramTransport
        self.address: tuple[str, int]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.address = self._transport.get_extra_info("sockname")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._transport.close()
        await asyncio.sleep(0)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        self.questions.append(f"{question.name} {question.rdtype.name}")
        if question.name.to_text().endswith("silent.test."):
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        known = [record for record in self._records if record.name == question.name]
        if question.name.to_text().endswith("broken.test."):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif not known:
            response.set_rcode(dns.rcode.NXDOMAIN)
        answer: dns.rrset.RRset | None = None
        for record in known:
            if record.rdtype == question.rdtype:
                answer = record if answer is None else _joined(answer, record)
        if answer is not None:
            response.answer.append(answer)
        self._transport.sendto(response.to_wire(), addr)


def _record(line: str) -> dns.rrset.RRset:
    name, ttl, rdclass, rdtype, value = line.split(maxsplit=4)
    return dns.rrset.from_text(name, int(ttl), rdclass, rdtype, value)


def _joined(first: dns.rrset.RRset, second: dns.rrset.RRset) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(first.name, first.ttl, [*first, *second])
