"""Session descriptions (RFC 8866) and offer/answer (RFC 3264) for MSRP, sans-IO.

``SessionDescription.parse`` and ``bytes`` keep whatever is not touched; ``MsrpMedia`` is an MSRP stream as values;
``offer``, ``answer``, ``held`` and ``agreed`` negotiate. Everything wrong with a peer's description is an ``SdpError``
that carries SIP's status and Warning.
"""

from wigwag.protocols.specification import Spec

from .agreement import Agreement, Role, agreed
from .chat import Chatroom
from .comedia import Direction, Setup
from .data_channel import DcMap, DcSa
from .description import MediaDescription, SdpAttribute, Section, SessionDescription
from .error import SdpError, SipWarning, WarningCode
from .fields import Connection, MediaLine, Origin
from .files import FileDate, FileRange, FileSelector, FileTransfer
from .fingerprint import Fingerprint, certificate_matches
from .line import Line, SdpLimits
from .media_types import MediaTypes
from .msrp_media import MsrpMedia
from .offer_answer import Stream, answer, held, offer
from .path import PathUri, parse_path

__all__ = [
    "SPECIFICATIONS",
    "Agreement",
    "Chatroom",
    "Connection",
    "DcMap",
    "DcSa",
    "Direction",
    "FileDate",
    "FileRange",
    "FileSelector",
    "FileTransfer",
    "Fingerprint",
    "Line",
    "MediaDescription",
    "MediaLine",
    "MediaTypes",
    "MsrpMedia",
    "Origin",
    "PathUri",
    "Role",
    "SdpAttribute",
    "SdpError",
    "SdpLimits",
    "Section",
    "SessionDescription",
    "Setup",
    "SipWarning",
    "Stream",
    "WarningCode",
    "agreed",
    "answer",
    "certificate_matches",
    "held",
    "offer",
    "parse_path",
]

_TESTS = "tests/conformance/sdp"
_UNIT = "tests/unit/protocols/sdp"

SPECIFICATIONS = (
    Spec("RFC 3261", "20.43", "Warning header of a 488", f"{_TESTS}/test_refusals.py"),
    Spec("RFC 3264", "6", "Answers: every m= line in order, port 0 declines", f"{_TESTS}/test_offer_answer.py"),
    Spec("RFC 3264", "8", "Updated descriptions; the version grows with each change", f"{_TESTS}/test_updates.py"),
    Spec("RFC 3264", "8.4", "Hold and resume", f"{_TESTS}/test_updates.py"),
    Spec("RFC 4145", "4", "a=setup", f"{_TESTS}/test_setup.py"),
    Spec("RFC 4975", "8.1", "m= and c= lines; TLS agrees with the path", f"{_TESTS}/test_refusals.py"),
    Spec("RFC 4975", "8.2", "path", f"{_TESTS}/test_refusals.py"),
    Spec("RFC 4975", "8.4", "Updated offers", f"{_TESTS}/test_updates.py"),
    Spec("RFC 4975", "8.6", "accept-types, accept-wrapped-types, max-size", f"{_TESTS}/test_offer_answer.py"),
    Spec("RFC 4975", "8.9", "Direction attributes", f"{_TESTS}/test_offer_answer.py"),
    Spec("RFC 5547", "6", "Attributes of a file transfer", f"{_UNIT}/test_files.py"),
    Spec("RFC 5547", "8.1", "file-transfer-id is repeated", f"{_TESTS}/test_files.py"),
    Spec("RFC 6135", "4.2", "a=setup of MSRP streams", f"{_TESTS}/test_setup.py"),
    Spec("RFC 6714", "4", "CEMA as offerer and answerer", f"{_TESTS}/test_cema.py"),
    Spec("RFC 7701", "8", "a=chatroom", f"{_TESTS}/test_offer_answer.py"),
    Spec("RFC 7977", "5.2.2", "Paths with ws", f"{_TESTS}/test_offer_answer.py"),
    Spec("RFC 8122", "5", "a=fingerprint", f"{_UNIT}/test_fingerprint.py"),
    Spec("RFC 8864", "5", "a=dcmap, a=dcsa, read", f"{_UNIT}/test_data_channel.py"),
    Spec("RFC 8866", "5", "Descriptions; unknown lines and attributes are kept", f"{_TESTS}/test_vectors.py"),
)
"""What this package conforms to, and the tests that prove it."""
