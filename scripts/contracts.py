"""Looks after the contracts in proto/: lint, breaking changes against the accepted baseline, and the generated code.

Without an argument the generated code is written. ``--check`` writes nothing and ends with status 1 when something is
wrong; ``--accept`` makes the present state the baseline that later changes may not break. All of it works offline.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
LIBS = ROOT / "libs"
BASELINE = PROTO / "baseline.binpb"
PATTERN = "*_pb2*.py*"

_HEADER = '''"""Types of {module}, for asyncio; written by scripts/contracts.py."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
'''


def lint() -> str:
    """Return what ``buf lint`` and ``buf format`` find; empty when all is well."""
    return _buf("lint") + _buf("format", "--diff", "--exit-code")


def breaking() -> str:
    """Return what existing clients would stumble over; empty when nothing."""
    if not BASELINE.exists():
        return f"{BASELINE.relative_to(ROOT)} is missing: run make proto-accept\n"
    return _buf("breaking", "--against", BASELINE.name)


def accept() -> None:
    """Make the present contracts the baseline."""
    complaint = _buf("build", "--exclude-source-info", "--output", BASELINE.name)
    if complaint:
        raise SystemExit(complaint)


def _buf(*arguments: str) -> str:
    program = shutil.which("buf", path=str(Path(sys.executable).parent)) or "buf"
    try:
        result = subprocess.run([program, *arguments], cwd=PROTO, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit("buf is missing; it comes with the package buf-bin") from None
    return "" if result.returncode == 0 else result.stdout + result.stderr


def generated() -> dict[Path, bytes]:
    """Return the generated files, by path below ``libs``."""
    files = [str(path.relative_to(PROTO)) for path in sorted(PROTO.rglob("*.proto"))]
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        _protoc(out, files)
        contracts = FileDescriptorSet.FromString((out / "set.binpb").read_bytes())
        for contract in contracts.file:
            stem = out / contract.name.removesuffix(".proto")
            if contract.service:
                stem.with_name(stem.name + "_pb2_grpc.pyi").write_text(service_types(contract), encoding="utf-8")
            else:
                # protoc writes one for every file, also when there is nothing to say.
                stem.with_name(stem.name + "_pb2_grpc.py").unlink()
        return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob(PATTERN))}


def _protoc(out: Path, files: list[str]) -> None:
    options = [f"--{plugin}_out={out}" for plugin in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *options, f"-o{out / 'set.binpb'}", *files]
    result = subprocess.run(command, cwd=PROTO, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(result.stdout + result.stderr)


def service_types(contract: FileDescriptorProto) -> str:
    """Return the type stub of a ``_pb2_grpc`` module: protoc writes none, and its classes know no types."""
    lines = [_HEADER.format(module=contract.package), *_imports(contract), ""]
    for service in contract.service:
        lines += [f"class {service.name}Stub:", "    def __init__(self, channel: grpc.aio.Channel) -> None: ..."]
        lines += [f"    {call.name}: grpc.aio.{_kind(call)}MultiCallable[{_types(call)}]" for call in service.method]
        lines += ["", f"class {service.name}Servicer:"]
        lines += [line for method in service.method for line in _handler(method)]
        lines += ["", f"def add_{service.name}Servicer_to_server("]
        lines += [f"    servicer: {service.name}Servicer, server: grpc.aio.Server", ") -> None: ...", ""]
    return "\n".join(lines)


def _imports(contract: FileDescriptorProto) -> Iterator[str]:
    calls = [call for service in contract.service for call in service.method]
    types = [name for call in calls for name in (call.input_type, call.output_type)]
    if any(not name.startswith(f".{contract.package}.") for name in types):
        raise SystemExit(f"{contract.name}: requests and responses belong into the service's own package")
    package, _, module = contract.name.removesuffix(".proto").replace("/", ".").rpartition(".")
    yield f"from {package} import {module}_pb2 as messages"


def _kind(method: MethodDescriptorProto) -> str:
    return "".join("Stream" if streams else "Unary" for streams in (method.client_streaming, method.server_streaming))


def _types(method: MethodDescriptorProto) -> str:
    return ", ".join(f"messages.{name.rpartition('.')[2]}" for name in (method.input_type, method.output_type))


def _handler(method: MethodDescriptorProto) -> Iterator[str]:
    request, response = _types(method).split(", ")
    given = f"request_iterator: AsyncIterator[{request}]" if method.client_streaming else f"request: {request}"
    answer = f"AsyncIterator[{response}]" if method.server_streaming else response
    word = "def" if method.server_streaming else "async def"
    yield f"    {word} {method.name}("
    yield f"        self, {given}, context: grpc.aio.ServicerContext[Any, Any]"
    yield f"    ) -> {answer}: ..."


def stale() -> list[Path]:
    """Return the generated files that are not what the contracts say, surplus ones included."""
    wanted = generated()
    found = {path.relative_to(LIBS): path.read_bytes() for path in (LIBS / "wigwag" / "api").rglob(PATTERN)}
    return sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))


def write() -> None:
    """Bring the generated files up to date."""
    wanted = generated()
    for path in stale():
        if path in wanted:
            (LIBS / path).parent.mkdir(parents=True, exist_ok=True)
            (LIBS / path).write_bytes(wanted[path])
        else:
            (LIBS / path).unlink()
        print(f"libs/{path} {'written' if path in wanted else 'removed'}")


def main() -> int:
    """Do what the arguments say; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when something is wrong")
    parser.add_argument("--accept", action="store_true", help="make the present contracts the baseline")
    arguments = parser.parse_args()
    if arguments.accept:
        accept()
    complaints = lint() + breaking()
    if arguments.check:
        complaints += "".join(f"libs/{path} is stale: run make proto\n" for path in stale())
    else:
        write()
    print(complaints, end="", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
