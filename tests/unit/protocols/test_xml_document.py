"""Small XML documents from peers."""

import contextlib
from time import process_time

import pytest

from wigwag.protocols.xml_document import XmlError, XmlLimits, escaped, parse_document


def test_elements_are_told_by_namespace_whatever_their_prefix() -> None:
    root = parse_document(b'<a xmlns="urn:1" xmlns:b="urn:2" c="d" b:c="e"><b:x/><x>t<y/>u</x></a>')
    assert (root.namespace, root.name) == ("urn:1", "a")
    assert root.attributes == {("", "c"): "d", ("urn:2", "c"): "e"}
    assert [(child.namespace, child.name) for child in root.children] == [("urn:2", "x"), ("urn:1", "x")]
    assert root.value("x") == "tu"


def test_what_comes_twice_is_an_error_where_one_is_meant() -> None:
    root = parse_document(b"<a><x>1</x><x>2</x><y/></a>")
    assert len(root.every("x")) == 2
    with pytest.raises(XmlError):
        root.value("x")
    assert (root.value("y"), root.value("z"), root.only("z")) == (None, None, None)


def test_an_error_names_the_line() -> None:
    with pytest.raises(XmlError) as caught:
        parse_document(b"<a>\n<b>\n</a>")
    assert (caught.value.line, caught.value.status) == (3, 400)
    with pytest.raises(XmlError) as caught:
        parse_document(b"<!DOCTYPE a>\n<a/>")
    assert caught.value.line == 1


def test_depth_and_number_of_elements_are_bounded() -> None:
    limits = XmlLimits(max_size=1000, max_depth=3, max_elements=5)
    for data in (b"<a><b><c><d/></c></b></a>", b"<a>" + b"<b/>" * 5 + b"</a>", b"<a>" + b" " * 1000 + b"</a>"):
        with pytest.raises(XmlError) as caught:
            parse_document(data, limits)
        assert caught.value.status == 413
    assert parse_document(b"<a><b><c/></b></a>", limits).name == "a"


@pytest.mark.parametrize(
    "data",
    [
        b"<a>" + b"x<!---->" * 8000 + b"</a>",
        b"<a>" + b"<?x?>" * 12_000 + b"</a>",
        b"<a " + b" ".join(b"a%d=''" % number for number in range(6000)) + b"/>",
        b"<a>" + b"&#65;" * 13_000 + b"</a>",
        b"<" * 65_000,
        b"<a>" + b"<![CDATA[]]>" * 5000 + b"</a>",
    ],
)
def test_no_document_takes_long(data: bytes) -> None:
    began = process_time()
    with contextlib.suppress(XmlError):
        assert parse_document(data).name == "a"
    assert process_time() - began < 2


def test_what_xml_can_not_hold_is_replaced() -> None:
    text = 'a\x00\x07\ufffe<b>&"\r\n\ud800'
    assert escaped(text) == "a\ufffd\ufffd\ufffd&lt;b&gt;&amp;&quot;&#13;\n\ufffd"
    assert parse_document(f"<a>{escaped(text)}</a>".encode()).text == 'a\ufffd\ufffd\ufffd<b>&"\r\n\ufffd'
