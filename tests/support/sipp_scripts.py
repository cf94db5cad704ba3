"""SIPp scenarios that are made of steps: what one side of a session with ``a=path`` sends and expects, in order.

A step is a piece of SIPp's XML. ``caller`` and ``called`` put the beginning of a session before the steps and return
the whole; the session description has ``[path]`` and ``[setup]``, which are keys on SIPp's command line.
"""

from pathlib import Path
from xml.sax.saxutils import quoteattr

_NEXT = "[next_url]"


def sdp(*more: str, path: str = "[path]", setup: str = "[setup]", version: int = 1, tls: bool = False) -> str:
    """Return a session description with more attributes."""
    lines = ["v=0", f"o=[user] 1 {version} IN IP4 [local_ip]", "s=-", "c=IN IP4 [local_ip]", "t=0 0"]
    lines += [f"m=message 2855 TCP/{'TLS/' * tls}MSRP *", "a=accept-types:message/cpim text/plain", f"a=path:{path}"]
    return "\n".join([*lines, f"a=setup:{setup}", *more])


def request(method: str, cseq: int, body: str = "", *, inside: bool = True, auth: bool = False, extra: str = "") -> str:
    """Return the step that sends a request of the caller, within the dialog or to begin it."""
    target = _NEXT if inside else "sip:[peer]@[peer_domain]"
    lines = [f"{method} {target} SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]"]
    lines += ["Max-Forwards: 70", *(["[routes]"] if inside else [])]
    lines += ["From: <sip:[user]@[domain]>;tag=[pid]SIPp[call_number]"]
    lines += [f"To: <sip:[peer]@[peer_domain]>{'[peer_tag_param]' if inside else ''}", "Call-ID: [call_id]"]
    lines += [f"CSeq: {cseq} {method}", *(["[authentication]"] if auth else [])]
    lines += ["Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>", *([extra] if extra else [])]
    return _sent(lines, body)


def acknowledge(cseq: int, body: str = "", *, refused: bool = False) -> str:
    """Return the step that sends ACK; to a refusal it belongs to the INVITE's transaction."""
    step = request("ACK", cseq, body, inside=not refused)
    if not refused:
        return step
    return step.replace("branch=[branch]", "branch=[branch-3]").replace(
        "[peer_domain]>\n      Call", "[peer_domain]>[peer_tag_param]\n      Call"
    )


def response(status: str, body: str = "", *, tag: bool = False, extra: str = "") -> str:
    """Return the step that answers the last request."""
    lines = [f"SIP/2.0 {status}", "[last_Via:]", "[last_Record-Route:]", "[last_From:]"]
    lines += [f"[last_To:]{';tag=[pid]uas[call_number]' if tag else ''}", "[last_Call-ID:]", "[last_CSeq:]"]
    lines += ["Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>", *([extra] if extra else [])]
    return _sent(lines, body)


def expect(message: str, *, auth: bool = False, routes: bool = False, log: str = "", within: int = 0) -> str:
    """Return the step that waits for a request or response; what its body says of the path is logged.

    Args:
        message: Method or status.
        auth: Whether it challenges.
        routes: Whether its route set is to be kept.
        log: Pattern of the message; what fits is logged.
        within: Seconds; 0: as long as the scenario runs.
    """
    kind = "response" if message[0].isdigit() else "request"
    attributes = f'{kind}="{message}"' + ' auth="true"' * auth + ' rrs="true"' * routes
    attributes += f' timeout="{within * 1000}"' if within else ""
    if not log:
        return f"<recv {attributes}/>"
    action = f'<ereg regexp={quoteattr(log)} search_in="msg" assign_to="found"/><log message="found [$found]"/>'
    return f"<recv {attributes}><action>{action}</action></recv>"


def optional(status: str) -> str:
    """Return the step for a response that may come."""
    return f'<recv response="{status}" optional="true"/>'


def say(text: str) -> str:
    """Return the step that logs a line."""
    return f'<nop><action><log message="{text}"/></action></nop>'


def pause(milliseconds: int) -> str:
    """Return the step that waits."""
    return f'<pause milliseconds="{milliseconds}"/>'


def invited(body: str, extra: str = "") -> list[str]:
    """Return the steps of an INVITE with digest, without its final response."""
    return [
        request("INVITE", 1, body, inside=False, extra=extra),
        optional("100"),
        expect("407", auth=True),
        acknowledge(1, refused=True),
        request("INVITE", 2, body, inside=False, auth=True, extra=extra),
        optional("100"),
        optional("180"),
    ]


def write(directory: Path, name: str, *steps: str | list[str]) -> str:
    """Write a scenario; returns its name for ``run_sipp`` and ``sipp_agent``."""
    flat = [step for part in steps for step in ([part] if isinstance(part, str) else part)]
    file = directory / f"{name}.xml"
    uses = '<Reference variables="found"/>' if any("found" in step for step in flat) else ""
    file.write_text("\n".join(('<?xml version="1.0"?>', f'<scenario name="{name}">', *flat, uses, "</scenario>", "")))
    return str(file.with_suffix(""))


def _sent(lines: list[str], body: str) -> str:
    if body:
        lines = [*lines, "Content-Type: application/sdp", "Content-Length: [len]", "", *body.split("\n")]
    else:
        lines = [*lines, "Content-Length: 0"]
    text = "\n".join(f"      {line}" if line else "" for line in lines)
    return f"<send><![CDATA[\n\n{text}\n\n]]></send>" if not body else f"<send><![CDATA[\n\n{text}\n]]></send>"
