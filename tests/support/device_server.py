"""What a device does with requests: each is shown once, recorded, and answered."""

from typing import TYPE_CHECKING

from tests.support.device_dialogs import T1, Answer, Dialog
from tests.support.device_world import DeviceWorld, content_of, digest_of
from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.transactions import ServerTransaction, Transactions
from wigwag.protocols.sip.user_agent import Flow
from wigwag.runtime.edge_recording import RequestReceived, RequestRepeated

if TYPE_CHECKING:
    from tests.support.device import Device


class DeviceServer:
    """The server side of one device.

    Args:
        device: Whose.
        transactions: Its transaction layer.
        world: Records.
    """

    def __init__(self, device: "Device", transactions: Transactions, world: DeviceWorld) -> None:
        self._device = device
        self._transactions = transactions
        self._world = world
        self._shown: set[tuple[str, int, str | None]] = set()
        """Call-ID, CSeq number and From tag of what the application has."""
        self._answers: dict[str, Answer] = {}
        """INVITEs that wait for their ACK, by Call-ID."""

    def receive(self, request: Request, flow: Flow, now: float) -> None:
        """Take a request."""
        if request.method == "ACK":
            self._transactions.receive_ack(request, now)
            self._answers.pop(request.call_id, None)
            return
        server = self._transactions.receive_request(request, flow.wire, now)
        if server is None:
            return
        if request.to.tag is not None and not self._is_ours(request):
            server.respond(Response.to_request(request, 481, "Call/Transaction Does Not Exist"), now)
            return
        if request.method not in ("MESSAGE", "INVITE", "INFO", "BYE"):
            raise AssertionError(f"the edge delivered {bytes(request)!r}")
        self._show(request)
        self._answer(server, request, flow, now)

    def tick(self, now: float) -> None:
        """Repeat 2xx whose ACK is missing."""
        for answer in self._answers.values():
            answer.tick(self._device.flow, now)

    def _is_ours(self, request: Request) -> bool:
        """Tell whether a request is of our dialog."""
        dialog = self._device.dialog
        return dialog is not None and request.call_id == dialog.call_id and request.get("to") == dialog.local

    def _show(self, request: Request) -> None:
        device, content = self._device, content_of(request)
        identity = (request.call_id, request.cseq.number, request.from_.tag)
        branch = request.via.branch
        common = {"flow": device.flow_name, "device": device.plan.name, "id": content.id, "branch": branch}
        if identity in self._shown:
            self._world.record(RequestRepeated, **common)
            return
        self._shown.add(identity)
        self._world.record(
            RequestReceived, **common, method=request.method, sequence=content.sequence, digest=digest_of(request.body)
        )

    def _answer(self, server: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        device = self._device
        if request.method == "INVITE":
            fields = [("Record-Route", route) for route in request.items("record-route")]
            fields.append(("Contact", f"<{flow.contact(device.identity.aor)}>"))
            response = Response.to_request(request, 200, "OK", to_tag=f"{device.plan.name}-tag", fields=fields)
            device.answered(Dialog.of_callee(request, response))
            self._answers[request.call_id] = Answer(bytes(response), now + T1)
        else:
            response = Response.to_request(request, 200, "OK", to_tag=f"{device.plan.name}-tag")
        if request.method == "BYE":
            device.dialog = None
        server.respond(response, now)
