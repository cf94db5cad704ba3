"""Wireshark's decoders find nothing wrong with the session descriptions and the MSRP of the user agent."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.support.msrp_peer import listening_peer
from tests.support.peers import require_peer
from tests.support.sipp import run_sipp
from tests.support.sipp_scripts import acknowledge, expect, invited, pause, request, sdp, write
from tests.support.tshark import capturing, wait_for_capture
from tests.support.ua_node import HOST, application, user_agent_node
from wigwag.api.ua.v1 import message_pb2

FIELDS = ("sip.Status-Code", "sdp.media", "sdp.media_attr", "msrp.method", "msrp.status.code", "_ws.malformed")


def decoded(file: Path, port: int, protocol: str) -> list[list[str]]:
    """Return what tshark makes of each packet that carries something."""
    command = ["tshark", "-r", str(file), "-d", f"tcp.port=={port},{protocol}", "-Y", "tcp.len > 0", "-T", "fields"]
    wanted = [part for field in FIELDS for part in ("-e", field)]
    result = subprocess.run([*command, *wanted], capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in result.stdout.splitlines()]


@pytest.mark.peer("tshark")
@pytest.mark.peer("sipp")
async def test_a_session_of_an_application_is_decoded_without_a_complaint(tmp_path: Path) -> None:
    require_peer("tshark")
    sip_file, msrp_file = tmp_path / "sip.pcapng", tmp_path / "msrp.pcapng"
    applications = [application("near", way="direct")]
    async with user_agent_node(tmp_path, applications, direct={"host": HOST}) as node, listening_peer() as peer:
        sip, msrp = node.edge.ports["tcp"], int(peer.uri.split(":")[2].split("/")[0])
        with capturing(sip_file, sip), capturing(msrp_file, msrp):
            bye = [pause(1500), request("BYE", 9), expect("200")]
            script = write(
                tmp_path, "call", invited(sdp()), expect("200", routes=True), acknowledge(2), bye
            )  # fmt: skip
            call = asyncio.create_task(
                asyncio.to_thread(
                    run_sipp, script, node.edge, "alice", peer="near", transport="tcp", path=peer.uri, setup="passive"
                )
            )
            session = await node.last_session("near")
            await node.until_state("near", session.session_id, "open")
            message_id = await node.send("near", session.session_id, "hello")
            assert (await node.outcome("near", message_id)).state == message_pb2.DELIVERY_STATE_DELIVERED
            assert (await peer.say(b"hello yourself"))[1] == 200
            (await call).expect_success()
            await asyncio.to_thread(wait_for_capture, sip_file, b" BYE\r\n", 2)
            await asyncio.to_thread(wait_for_capture, msrp_file, b"hello yourself", 1)
            await asyncio.to_thread(wait_for_capture, msrp_file, b" 200 OK\r\n", 2)
    told, said = decoded(sip_file, sip, "sip"), decoded(msrp_file, msrp, "msrp")
    assert [packet for packet in (*told, *said) if packet[-1]] == []
    answers = [packet for packet in told if packet[0] == "200" and packet[1]]
    assert [packet[1].split()[0] for packet in answers] == ["message"]
    assert "path:msrp://" in answers[0][2]
    assert {"SEND"} <= {method for packet in said for method in packet[3].split(",")}
    assert {"200"} <= {status for packet in said for status in packet[4].split(",")}
