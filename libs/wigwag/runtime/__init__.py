"""What every service stands on: settings helpers, telemetry, logs, error tables."""

from wigwag.protocols.specification import Spec

SPECIFICATIONS = (
    Spec("JSON-RPC 2.0", "4", "Request objects, notifications", test="tests/unit/runtime/test_json_rpc.py"),
    Spec("JSON-RPC 2.0", "5.1", "Error objects and their codes", test="tests/unit/runtime/test_json_rpc.py"),
    Spec("JSON-RPC 2.0", "6", "Batches", test="tests/unit/runtime/test_json_rpc.py"),
)
