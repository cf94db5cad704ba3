"""asyncio shells around the engines: streams, datagrams, WebSocket, TLS, TCP profiles, where names lead."""

from wigwag.protocols.specification import Spec

_TESTS = "tests/unit/transport"

SPECIFICATIONS = (
    Spec("RFC 2308", "5", "Absence is remembered as long as its zone says", f"{_TESTS}/test_name_service.py"),
    Spec("RFC 2782", "3", "SRV records by priority and weight", f"{_TESTS}/test_resolver.py"),
    Spec("RFC 3261", "18.4", "ICMP errors are told, time exceeded is not", f"{_TESTS}/test_icmp.py"),
    Spec("RFC 3261", "21.5.4", "503 with Retry-After leaves the server alone", f"{_TESTS}/test_sip_locations.py"),
    Spec("RFC 3263", "4.1", "Transport by NAPTR, by SRV, by default", f"{_TESTS}/test_sip_locations.py"),
    Spec("RFC 3263", "4.2", "Port and addresses", f"{_TESTS}/test_sip_locations.py"),
    Spec("RFC 3263", "4.3", "The next server when one fails", f"{_TESTS}/test_sip_locations.py"),
    Spec("RFC 5922", "7.1", "SIP domains in a certificate", f"{_TESTS}/test_sip_identity.py"),
    Spec("RFC 5922", "7.2", "Domains are compared whole, without wildcards", f"{_TESTS}/test_sip_identity.py"),
    Spec("RFC 7118", "4.2", "Text frames for UTF-8, else binary; both are taken", f"{_TESTS}/test_websocket.py"),
    Spec("RFC 7118", "5", "One SIP message per WebSocket message", f"{_TESTS}/test_sip_connections.py"),
    Spec("RFC 7118", "5.5", "NAPTR services and ports of WebSocket", f"{_TESTS}/test_sip_locations.py"),
    Spec("RFC 8305", "5", "Addresses are tried side by side when they are slow", f"{_TESTS}/test_connector.py"),
)
"""What this package conforms to, and the tests that prove it."""
