"""What ``sipmessage``, a parser that others wrote, reads out of well-formed messages is what ours reads."""

from urllib.parse import unquote

import sipmessage
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sip_strategies import BLANKS, FOLDS, messages
from wigwag.protocols.sip import (
    NameAddress,
    Request,
    Response,
    SipUri,
    StreamFramer,
    Via,
    equivalent,
    parse_datagram,
    parse_uri,
    parse_via,
    validate,
)


def ours(data: bytes) -> Request | Response:
    message = parse_datagram(data)
    validate(message)
    return message


def same_uri(text: str, theirs: sipmessage.URI) -> bool:
    mine = parse_uri(text)
    assert isinstance(mine, SipUri)
    assert (mine.scheme, mine.host, mine.port) == (theirs.scheme, theirs.host, theirs.port)
    assert (unquote(mine.user), unquote(mine.password or "")) == (theirs.user or "", theirs.password or "")
    return dict(mine.parameters) == dict(theirs.parameters)


def same_address(mine: NameAddress, theirs: sipmessage.Address) -> bool:
    return (
        mine.display_name == theirs.name
        and mine.parameters == dict(theirs.parameters)
        and same_uri(mine.uri, theirs.uri)
    )


def same_via(mine: Via, theirs: sipmessage.Via) -> bool:
    return (mine.transport, mine.host, mine.port, mine.parameters) == (
        theirs.transport, theirs.host, theirs.port, dict(theirs.parameters),
    )  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(messages())
def test_both_read_the_same(data: bytes) -> None:
    mine, theirs = ours(data), sipmessage.Message.parse(data)
    assert bytes(mine) == data
    if isinstance(mine, Request):
        assert isinstance(theirs, sipmessage.Request)
        assert mine.method == theirs.method
        assert same_uri(mine.uri, theirs.uri)
    else:
        assert isinstance(theirs, sipmessage.Response)
        assert (mine.status, mine.reason) == (theirs.code, theirs.phrase)
    assert mine.body == theirs.body
    assert same_address(mine.from_, theirs.from_address)
    assert same_address(mine.to, theirs.to_address)
    assert (mine.cseq.number, mine.cseq.method) == (theirs.cseq.sequence, theirs.cseq.method)
    assert mine.call_id == theirs.call_id
    assert mine.number("max-forwards") == theirs.max_forwards
    assert mine.content_length == theirs.content_length
    my_vias, their_vias = [parse_via(each) for each in mine.items("via")], theirs.via
    assert len(my_vias) == len(their_vias)
    assert all(same_via(one, other) for one, other in zip(my_vias, their_vias, strict=True))
    for name, addresses in (("contact", theirs.contact), ("route", theirs.route)):
        found = mine.addresses(name)
        assert len(found) == len(addresses)
        assert all(same_address(one, other) for one, other in zip(found, addresses, strict=True))


@settings(max_examples=50, deadline=None)
@given(messages(), st.data())
def test_folds_and_white_space_before_colons_change_nothing(data: bytes, drawn: st.DataObject) -> None:
    head, _, body = data.partition(b"\r\n\r\n")
    start, *lines = head.decode().split("\r\n")
    spread = [start]
    for line in lines:
        name, _, value = line.partition(": ")
        spread.append(f"{name}{drawn.draw(BLANKS)}:{drawn.draw(FOLDS)}{value}{drawn.draw(BLANKS)}")
    other_data = "\r\n".join(spread).encode() + b"\r\n\r\n" + body
    one, other = ours(data), ours(other_data)
    assert bytes(other) == other_data
    assert (one.to, one.from_, one.cseq, one.call_id) == (other.to, other.from_, other.cseq, other.call_id)
    assert one.body == other.body
    assert [one.get_all(name) for name in one.names] == [other.get_all(name) for name in other.names]


@settings(max_examples=50, deadline=None)
@given(messages(), messages(), st.data())
def test_a_stream_of_two_is_those_two(first: bytes, second: bytes, drawn: st.DataObject) -> None:
    data = first + second
    place = drawn.draw(st.integers(0, len(data)))
    framer = StreamFramer()
    found = framer.receive_data(data[:place]) + framer.receive_data(data[place:])
    assert [bytes(each) for each in found if isinstance(each, Request | Response)] == [first, second]


@settings(max_examples=50, deadline=None)
@given(messages())
def test_addresses_and_vias_that_are_written_anew_mean_the_same(data: bytes) -> None:
    message = ours(data)
    copy = message.copy()
    copy.set("From", str(message.from_))
    copy.set("To", str(message.to))
    copy.replace_item("via", str(message.via))
    again = ours(bytes(copy))
    assert (again.from_, again.to) == (message.from_, message.to)
    assert str(again.via) == str(message.via)
    assert equivalent(parse_uri(again.to.uri), parse_uri(message.to.uri))
