"""A DNS server on loopback that knows what a test tells it."""

import asyncio
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """Answers from ``records`` (zone-file lines), CNAMEs followed and SOA records given where there is nothing.

    What is too large for a datagram is answered over TCP.
    Names under ``silent.test`` get no answer at all, those under ``broken.test`` an error.

    Args:
        records: Lines such as ``a.test. 60 IN A 192.0.2.1``.
    """

    LONGEST_CHAIN = 32

    def __init__(self, *records: str) -> None:
        self.questions: list[str] = []
        self._records = [_record(line) for line in records]
        self._transport: asyncio.DatagramTransport
        self.address: tuple[str, int]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for sock, listening in _socket_pairs():
            self.address = sock.getsockname()
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
            self._server = await asyncio.start_server(self._serve, sock=listening)
            return self
        raise AssertionError("no port is free for both UDP and TCP")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._transport.close()
        self._server.close()
        await self._server.wait_closed()

    def add(self, *records: str) -> None:
        """Know more."""
        self._records += [_record(line) for line in records]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = self._response(dns.message.from_wire(data))
        if response is None:
            return
        try:
            wire = response.to_wire()
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        self._transport.sendto(wire, addr)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        response = self._response(dns.message.from_wire(await reader.readexactly(length)))
        if response is not None:
            wire = response.to_wire(max_size=65_535)
            writer.write(len(wire).to_bytes(2, "big") + wire)
        writer.close()
        await writer.wait_closed()

    def _response(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        self.questions.append(f"{question.name} {question.rdtype.name}")
        if question.name.to_text().endswith("silent.test."):
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        known = self._known(question.name)
        if question.name.to_text().endswith("broken.test."):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif not known:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._fill(response, question)
        return response

    def _known(self, name: dns.name.Name) -> list[dns.rrset.RRset]:
        return [record for record in self._records if record.name == name]

    def _fill(self, response: dns.message.Message, question: dns.rrset.RRset) -> None:
        name = question.name
        for _ in range(self.LONGEST_CHAIN):
            for kind in (question.rdtype, dns.rdatatype.CNAME):
                found = [record for record in self._known(name) if record.rdtype == kind]
                if found:
                    response.answer.append(_joined(found))
                    break
            if not found or found[0].rdtype != dns.rdatatype.CNAME:
                break
            name = found[0][0].target
        if not response.answer:
            zones = [record for record in self._records if record.rdtype == dns.rdatatype.SOA]
            response.authority += [record for record in zones if question.name.is_subdomain(record.name)]


def _socket_pairs() -> Iterator[tuple[socket.socket, socket.socket]]:
    """UDP and TCP sockets on the same port, as soon as one is free for both."""
    for _ in range(50):
        listening, sock = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        listening.bind(("127.0.0.1", 0))
        try:
            sock.bind(listening.getsockname())
        except OSError:
            listening.close()
            sock.close()
        else:
            yield sock, listening


def _record(line: str) -> dns.rrset.RRset:
    name, ttl, rdclass, rdtype, value = line.split(maxsplit=4)
    return dns.rrset.from_text(name, int(ttl), rdclass, rdtype, value)


def _joined(records: list[dns.rrset.RRset]) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(records[0].name, records[0].ttl, [data for record in records for data in record])
