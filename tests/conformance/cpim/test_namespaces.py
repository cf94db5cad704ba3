"""Headers that others define, and what a receiver has to understand (RFC 3862 sections 3.4, 3.5, 4.6, 4.7)."""

from wigwag.protocols.cpim import CPIM_NAMESPACE, CpimAddress, CpimMessage, QualifiedName

ACME = "http://id.acme.widgets/wily-headers/"


def message_of(*lines: str) -> CpimMessage:
    """Parse a message with these headers."""
    head = "".join(f"{line}\r\n" for line in lines)
    return CpimMessage.parse(f"{head}\r\nContent-Type: text/plain\r\n\r\nHello".encode())


def test_headers_mean_the_same_whatever_their_prefix() -> None:
    for lines in (
        [f"NS: acme <{ACME}>", "acme.runner-trap: set"],
        [f"NS: widget <{ACME}>", "widget.runner-trap: set"],
        [f"NS: <{ACME}>", "runner-trap: set"],
    ):
        header = message_of(*lines).find("runner-trap", ACME)
        assert header is not None
        assert header.text == "set"


def test_a_prefix_means_nothing_before_it_is_declared() -> None:
    message = message_of("acme.runner-trap: set", f"NS: acme <{ACME}>", "acme.other: set")
    assert message.find("runner-trap", ACME) is None
    assert message.find("other", ACME) is not None
    assert message.find("runner-trap") is None


def test_a_prefix_may_be_declared_again() -> None:
    message = message_of("NS: a <urn:x:1>", "a.n: one", "NS: a <urn:x:2>", "a.n: two")
    assert [header.text for header in message.find_all("n", "urn:x:1")] == ["one"]
    assert [header.text for header in message.find_all("n", "urn:x:2")] == ["two"]


def test_names_without_prefix_follow_the_default_namespace() -> None:
    message = message_of(
        "From: <x:a>", f"NS: <{ACME}>", "From: <x:mallory>", f"NS: c <{CPIM_NAMESPACE}>", "c.To: <x:b>"
    )
    assert message.sender == CpimAddress("x:a")
    assert message.recipients == ()
    back = message_of("NS: c <urn:ietf:params:cpim-headers:>", f"NS: <{ACME}>", "c.NS: d <urn:x:1>", "d.n: one")
    assert back.find("n", "urn:x:1") is not None


def test_namespaces_have_prefixes_that_look_like_nothing() -> None:
    message = message_of("NS: !#$%&'*+-^_`|~ <urn:x:1>", "!#$%&'*+-^_`|~.n.m: one")
    header = message.find("n.m", "urn:x:1")
    assert header is not None
    assert (header.prefix, header.local_name) == ("!#$%&'*+-^_`|~", "n.m")


def test_what_is_required_is_told_by_namespace() -> None:
    message = message_of("NS: f <urn:x:1>", "Require: f.Vital, Subject", "Require: unknown.Other")
    assert message.required == (
        QualifiedName("urn:x:1", "Vital"),
        QualifiedName(CPIM_NAMESPACE, "Subject"),
        QualifiedName(None, "Other"),
    )
    assert message_of("X: 1").required == ()


def test_further_headers_go_after_those_that_are_there() -> None:
    message = message_of("From: <x:a>", "NS: a <urn:x:1>")
    more = message.with_headers(*message_of("a.n: one").headers)
    assert more.find("n", "urn:x:1") is not None
    assert bytes(more).startswith(b"From: <x:a>\r\nNS: a <urn:x:1>\r\na.n: one\r\n\r\n")
