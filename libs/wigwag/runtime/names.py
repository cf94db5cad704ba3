"""Every metric, span, span attribute and log field of the product: declared here and nowhere else.

A metric is ``wigwag.<service>.<noun>``; ``scripts/generate.py`` makes the tables of docs/operations.md from this file.
"""

from .instruments import Attribute, Instrument, Metric, SpanKind, SpanName

GAUGE = Instrument.GAUGE

RELAY_COUNTERS = (
    Metric("wigwag.relay.connections_accepted", "{connection}", "Connections taken up"),
    Metric("wigwag.relay.connections_closed", "{connection}", "Connections that ended"),
    Metric("wigwag.relay.outbound_connections", "{connection}", "Connections opened to next hops"),
    Metric("wigwag.relay.outbound_failures", "{connection}", "Next hops that could not be reached"),
    Metric("wigwag.relay.messages", "{message}", "Chunks forwarded"),
    Metric("wigwag.relay.octets", "By", "Octets of body forwarded"),
    Metric("wigwag.relay.auth_successes", "{request}", "AUTH requests answered 200"),
    Metric("wigwag.relay.auth_refused", "{request}", "AUTH requests answered otherwise, challenges included"),
    Metric("wigwag.relay.auth_failures", "{request}", "AUTH requests with wrong credentials"),
    Metric("wigwag.relay.nonce_replays", "{request}", "AUTH requests that repeated a nonce count"),
    Metric("wigwag.relay.credentials_unavailable", "{request}", "AUTH requests whose credentials were out of reach"),
    Metric("wigwag.relay.sessions_granted", "{session}", "Use-Path URIs handed out"),
    Metric("wigwag.relay.sessions_refreshed", "{session}", "Use-Path URIs extended"),
    Metric("wigwag.relay.sessions_resumed", "{session}", "Use-Path URIs resumed on another connection"),
    Metric("wigwag.relay.sessions_suspended", "{session}", "Sessions whose client was lost"),
    Metric("wigwag.relay.sessions_ended", "{session}", "Sessions ended"),
    Metric("wigwag.relay.sessions_moved_away", "{session}", "Sessions whose client has AUTHed at another pod"),
    Metric("wigwag.relay.link_losses", "{link}", "Pod links that were lost or could not be opened"),
    Metric("wigwag.relay.store_failures", "{operation}", "Operations of the session store that failed"),
    Metric("wigwag.relay.pauses", "{pause}", "Times that this process did not run for a lease"),
    Metric("wigwag.relay.malformed", "{request}", "Requests answered 400"),
    Metric("wigwag.relay.protocol_errors", "{connection}", "Connections closed because of broken protocol"),
    Metric("wigwag.relay.refused_requests", "{request}", "Requests answered with an error"),
    Metric("wigwag.relay.stray_responses", "{response}", "Responses that matched no transaction"),
    Metric("wigwag.relay.failed_transactions", "{transaction}", "SENDs whose failure was to be reported"),
    Metric("wigwag.relay.reports_sent", "{report}", "REPORTs made here"),
    Metric("wigwag.relay.reports_forwarded", "{report}", "REPORTs forwarded"),
    Metric("wigwag.relay.deadlines_passed", "{connection}", "Connections closed at a deadline"),
    Metric("wigwag.relay.rate_pauses", "{pause}", "Times that reading paused because a rate was exceeded"),
    Metric("wigwag.relay.stalls", "{session}", "Times that a session was cut off because its receiver takes nothing"),
    Metric("wigwag.relay.aborted_messages", "{message}", "Messages flagged # because their sender was lost"),
    Metric("wigwag.relay.messages_held_again", "{message}", "Chunks that a lost ua pod had not answered, for the next"),
)
"""Counted by the relay itself, under the name's last part."""
RELAY_SESSIONS = Metric("wigwag.relay.sessions", "{session}", "Sessions by state", GAUGE, ("state",))
RELAY_CONNECTIONS = Metric(
    "wigwag.relay.connections", "{connection}", "Open connections by listener", GAUGE, ("listener",)
)
RELAY_UNSENT = Metric(
    "wigwag.relay.unsent", "By", "Bytes accepted for sending that the kernel has not taken yet", GAUGE
)
RELAY_CONNECTIONS_REFUSED = Metric(
    "wigwag.relay.connections_refused",
    "{connection}",
    "Connections closed at once because too many were open",
    attributes=("limit",),
)
LISTENER_COUNTERS = tuple(
    Metric(f"wigwag.relay.listener.{name}", unit, description, attributes=("listener",))
    for name, unit, description in (
        ("accepted", "{connection}", "Connections accepted, those refused at once included"),
        ("accept_pauses", "{pause}", "Times that accepting rested for lack of descriptors or memory"),
        ("handshake_failures", "{handshake}", "TLS and WebSocket handshakes that failed"),
        ("handshake_timeouts", "{handshake}", "Handshakes that took too long"),
        ("slow_sends", "{write}", "Writes slower than their TCP profile's send_threshold"),
        ("ping_timeouts", "{connection}", "WebSocket clients cut because they answered no ping"),
    )
)
"""Counted by each listener, under the name's last part."""

RELAY_LINKS = Metric("wigwag.relay.cluster.links", "{link}", "Pod links that stand, opened by this pod", GAUGE)
RELAY_STREAMS = Metric(
    "wigwag.relay.cluster.streams", "{stream}", "Streams of this pod to clients and peers at other pods", GAUGE
)
RELAY_COPIES = Metric(
    "wigwag.relay.cluster.copies", "{session}", "Sessions of other pods that this pod sends to", GAUGE
)

PAGER_COUNTERS = tuple(
    Metric(f"wigwag.relay.pager.{name}", "{message}", description)
    for name, description in (
        ("stored", "SIP MESSAGEs that were kept for a service, or for an absent or session-mode user"),
        ("failures", "SIP MESSAGEs answered 503, or left to their devices, because they could not be made durable"),
        ("late_answers", "Kept SIP MESSAGEs that a device took all the same"),
    )
)
"""Counted by the edge, under the name's last part."""
PAGER_ATTEMPTS = Metric(
    "wigwag.relay.pager.attempts",
    "{attempt}",
    "Attempts to send a message of a service as SIP MESSAGE, by outcome; repeated: the record came again after its "
    "outcome, too_late: another pod had told one",
    attributes=("outcome",),
)
SIP_GATEWAY_CALLS = Metric(
    "wigwag.relay.sip.gateway_calls",
    "{call}",
    "INVITEs led to the gateway, by cause: absent, page_only (all devices say so), devices (all have answered so, or "
    "none was there)",
    attributes=("cause",),
)
LEDGER_COUNTERS = tuple(
    Metric(f"wigwag.ledger.{name}", unit, description)
    for name, unit, description in (
        ("accepted", "{message}", "Messages written"),
        ("edits", "{edit}", "Claims and changes of state, done or refused"),
    )
)
"""Counted by the ledger of this process, under the name's last part."""
LEDGER_WAITING = Metric(
    "wigwag.ledger.waiting", "{job}", "Messages and edits that wait to be written by this process", GAUGE
)
UA_MESSAGES = Metric(
    "wigwag.ua.messages",
    "{message}",
    "Messages of applications' sessions, by outcome; accepted, sent, resent (another pod may have sent it before), "
    "delivered, failed, unconfirmed, expired, late (told after another outcome), duplicates, received, repeated (came "
    "again), refused",
    attributes=("direction", "outcome"),
)
UA_MESSAGES_WAITING = Metric(
    "wigwag.ua.messages.waiting", "{message}", "Messages of this pod's sessions that were not sent yet", GAUGE
)
UA_MESSAGES_IN_FLIGHT = Metric(
    "wigwag.ua.messages.in_flight", "{message}", "Messages of this pod's sessions on their way", GAUGE
)
UA_NOTIFICATIONS = Metric(
    "wigwag.ua.notifications",
    "{notification}",
    "Disposition notifications (RFC 5438): sent, received, strange (received for no message that was sent here)",
    attributes=("kind",),
)
UA_QUEUED = Metric(
    "wigwag.ua.queued",
    "{item}",
    "What waits: outcomes and inbox until the ledger has them, events until the bus does",
    GAUGE,
    ("queue",),
)
UA_EVENTS = Metric(
    "wigwag.ua.events",
    "{event}",
    "Events of sessions: published, or dropped while the bus is away",
    attributes=("outcome",),
)
RELAY_SIP_OUTBOUND = Metric("wigwag.relay.sip.outbound", "{connection}", "Connections to SIP next hops", GAUGE)
RELAY_SIP_POOL_MEMBERS = Metric(
    "wigwag.relay.sip.pool_members", "{member}", "Members of SIP pools by state", GAUGE, ("pool", "state")
)
RELAY_SIP_ROUTING_COUNTERS = tuple(
    Metric(f"wigwag.relay.sip.{name}", unit, description)
    for name, unit, description in (
        ("routes_refused", "{request}", "SIP requests that a row of the routing table refused"),
        ("route_hook_failures", "{request}", "Questions to the SIP route hook without a usable answer"),
        ("outbound_connections", "{connection}", "Connections opened to SIP next hops"),
        ("outbound_failures", "{connection}", "Connections to SIP next hops that could not be opened"),
        ("outbound_forbidden", "{request}", "SIP requests for addresses that are closed to strangers"),
    )
)
"""Counted by routing and next hops, under the name's last part."""
SIP_REQUESTS = Metric(
    "wigwag.relay.sip.requests", "{request}", "SIP requests received, by method", attributes=("method",)
)
SIP_RESPONSES = Metric(
    "wigwag.relay.sip.responses", "{response}", "SIP responses received, by class", attributes=("status",)
)
SIP_TRANSACTIONS = Metric(
    "wigwag.relay.sip.transactions", "{transaction}", "SIP transactions remembered, by side", GAUGE, ("side",)
)
SIP_TRANSACTION_COUNTERS = tuple(
    Metric(f"wigwag.relay.sip.{name}", unit, description)
    for name, unit, description in (
        ("servers_opened", "{transaction}", "SIP server transactions ever opened"),
        ("clients_opened", "{transaction}", "SIP client transactions ever opened"),
        ("retransmissions_received", "{message}", "SIP requests that came again and were absorbed"),
        ("retransmissions_sent", "{message}", "SIP messages that were sent again"),
        ("timeouts", "{transaction}", "SIP transactions that ended without an answer or an ACK"),
        ("wire_failures", "{transaction}", "SIP transactions that heard of a lost connection"),
        ("stray_responses", "{response}", "SIP responses that matched no transaction of this pod"),
    )
)
"""Counted by the transaction layer, under the name's last part."""
SIP_AUTHENTICATIONS = Metric(
    "wigwag.relay.sip.authentications", "{request}", "SIP requests authenticated, by result", attributes=("result",)
)
SIP_REFUSED = Metric(
    "wigwag.relay.sip.refused", "{message}", "What SIP did not take, or not at once, by reason", attributes=("reason",)
)
SIP_BANS = Metric("wigwag.relay.sip.bans", "{address}", "Addresses that SIP lets in no more", GAUGE)
SIP_BANS_IMPOSED = Metric("wigwag.relay.sip.bans_imposed", "{address}", "Bans ever imposed")
SIP_OVERLOAD_LEVEL = Metric(
    "wigwag.relay.sip.overload_level", "{share}", "Share of new SIP requests that is turned away now", GAUGE
)
SIP_CONNECTIONS = Metric(
    "wigwag.relay.sip.connections", "{connection}", "Open SIP connections by listener", GAUGE, ("listener",)
)
SIP_DATAGRAM_COUNTERS = tuple(
    Metric(f"wigwag.relay.sip.datagrams.{name}", "{datagram}", description, attributes=("listener",))
    for name, description in (
        ("received", "Datagrams received, keep-alives included"),
        ("sent", "Datagrams handed to the kernel"),
        ("dropped", "Datagrams not sent for lack of room"),
        ("keep_alives", "STUN requests, CRLF and empty datagrams received"),
        ("kernel_drops", "Datagrams that the kernel dropped because they were not read in time"),
    )
)
"""Counted by each UDP listener, under the name's last part."""

RELAY_SIP_REGISTRATIONS = Metric(
    "wigwag.relay.sip.registrations", "{binding}", "SIP bindings that this pod wrote last and looks after", GAUGE
)
RELAY_SIP_UPKEEP = Metric(
    "wigwag.relay.sip.registrations.waiting",
    "{binding}",
    "SIP bindings that are to be dropped, compared or written again",
    GAUGE,
)
RELAY_SIP_REGISTRATION_COUNTERS = tuple(
    Metric(f"wigwag.relay.sip.{name}", unit, description)
    for name, unit, description in (
        ("upkeep_failures", "{operation}", "Turns of looking after bindings that ended because the store is away"),
        ("registration_events_lost", "{event}", "Events of registrations given up because the bus was away too long"),
        ("wakeups", "{device}", "Sleeping devices that were to be woken"),
        ("wakeup_failures", "{device}", "Those that the push service was not told of"),
        ("wakeup_waits", "{request}", "Requests that waited for a device to wake up"),
        ("wakeups_in_time", "{request}", "Those for which it registered in time"),
    )
)
"""Counted by what looks after registrations, under the name's last part."""

BUS_COUNTERS = tuple(
    Metric(f"wigwag.bus.{name}", unit, description)
    for name, unit, description in (
        ("published", "{record}", "Records that became durable"),
        ("publish_failures", "{record}", "Records whose publisher got an error; they may have been taken"),
        ("consumed", "{record}", "Records that their handler processed"),
        ("retried", "{call}", "Calls of handlers that were repeated"),
        ("dead", "{record}", "Records that went to the dead letters"),
    )
)
"""Counted by the bus, under the name's last part."""
BUS_LAG = Metric(
    "wigwag.bus.lag",
    "{record}",
    "Records that consumers of this process have still to handle",
    GAUGE,
    ("group", "topic"),
)

UA_SESSIONS = Metric("wigwag.ua.sessions", "{session}", "Sessions of this pod by state", GAUGE, ("state",))
UA_SESSION_COUNTERS = tuple(
    Metric(f"wigwag.ua.sessions.{name}", "{session}", description)
    for name, description in (
        ("started", "Sessions that applications started"),
        ("offered", "Sessions that SIP users started"),
        ("opened", "Sessions that were answered"),
        ("taken_over", "Sessions of other pods that this pod goes on with"),
        ("lost", "Sessions of this pod that another one goes on with"),
    )
)
"""Counted by the life of sessions, under the name's last part."""
UA_SESSIONS_ENDED = Metric(
    "wigwag.ua.sessions.ended", "{session}", "Sessions that ended, by cause", attributes=("cause",)
)
UA_CALLS = Metric(
    "wigwag.ua.calls",
    "{call}",
    "What applications asked for over any interface, by use case and gRPC status; of send_messages each message",
    attributes=("method", "status"),
)

GATEWAY_MESSAGES = Metric(
    "wigwag.gateway.messages",
    "{message}",
    "Messages that got their outcome here, by the side that sent them (page, session); of a session's also those that "
    "were told again after a kill",
    attributes=("origin", "outcome"),
)
GATEWAY_SESSIONS = Metric(
    "wigwag.gateway.sessions",
    "{session}",
    "Sessions of the gateway: begun (the same call once more included), answered, failed to be set up, ended here",
    attributes=("outcome",),
)
GATEWAY_CONVERSATIONS = Metric(
    "wigwag.gateway.conversations", "{conversation}", "Conversations opened and closed", attributes=("change",)
)
GATEWAY_CONVERSATIONS_KNOWN = Metric(
    "wigwag.gateway.conversations.known", "{conversation}", "Open conversations that this pod remembers", GAUGE
)
GATEWAY_LANES_WAITING = Metric(
    "wigwag.gateway.lanes.waiting",
    "{conversation}",
    "Conversations and sessions that this pod handled last, and in which something may wait",
    GAUGE,
)
GATEWAY_RECORDS = Metric(
    "wigwag.gateway.records", "{record}", "Records of the bus that were handled, by topic", attributes=("topic",)
)
GATEWAY_NOTICES = Metric("wigwag.gateway.notices", "{message}", "Messages that tell page-mode users of others")
GATEWAY_WAKEUPS = Metric("wigwag.gateway.wakeups", "{message}", "Messages that waited and were published again")
GATEWAY_WAKE_CALLS = Metric(
    "wigwag.gateway.wake_calls",
    "{message}",
    "Messages that waited for absent users, by whether gateway.wake_url was told of the user: told (then or in the "
    "minute before), failed",
    attributes=("outcome",),
)
GATEWAY_RETRIES = Metric("wigwag.gateway.retries", "{attempt}", "Attempts without effect, whose messages wait again")
GATEWAY_ARCHIVED = Metric("wigwag.gateway.archived", "{message}", "Messages written to the archive, or anew")
GATEWAY_ARCHIVE_WAITING = Metric(
    "wigwag.gateway.archive.waiting", "{message}", "Messages that wait to be written to the archive", GAUGE
)

NODE_LOOP_LAG_MAX = Metric(
    "wigwag.node.loop_lag.max", "s", "Longest delay of a due callback of the event loop, last 10 to 20 seconds", GAUGE
)
NODE_LOOP_LAG_MEAN = Metric(
    "wigwag.node.loop_lag.mean", "s", "Mean delay of a due callback of the event loop, last 10 to 20 seconds", GAUGE
)
NODE_CPU_TIME = Metric("wigwag.node.cpu_time", "s", "Processor time that the process has used")
NODE_MEMORY = Metric("wigwag.node.memory", "By", "Resident memory of the process", GAUGE)
NODE_DESCRIPTORS = Metric("wigwag.node.descriptors", "{descriptor}", "Open file descriptors", GAUGE)
NODE_DESCRIPTOR_LIMIT = Metric(
    "wigwag.node.descriptors.limit", "{descriptor}", "File descriptors that the process may have open", GAUGE
)
NODE_READY = Metric(
    "wigwag.node.ready", "{pod}", "1 when this pod can serve at least one hosted function, else 0", GAUGE
)
NODE_STATUS = Metric(
    "wigwag.node.status", "{status}", "Status number: below 0 not ready, above 0 ready", GAUGE, ("group", "identifier")
)
NODE_UPTIME = Metric("wigwag.node.uptime", "s", "Time since the node was opened", GAUGE)

TELEMETRY_SPANS = Metric(
    "wigwag.telemetry.spans",
    "{span}",
    "Sampled spans by what became of them: exported, refused by the collector or lost on the way to it (failed), "
    "or left out because too many were waiting (dropped)",
    attributes=("outcome",),
)
TELEMETRY_METRIC_EXPORTS = Metric(
    "wigwag.telemetry.metric_exports", "{export}", "Exports of all metrics: exported or failed", attributes=("outcome",)
)

METRICS = (
    *RELAY_COUNTERS,
    RELAY_SESSIONS,
    RELAY_CONNECTIONS,
    RELAY_UNSENT,
    RELAY_CONNECTIONS_REFUSED,
    RELAY_LINKS,
    RELAY_STREAMS,
    RELAY_COPIES,
    UA_MESSAGES,
    UA_MESSAGES_WAITING,
    UA_MESSAGES_IN_FLIGHT,
    UA_EVENTS,
    UA_NOTIFICATIONS,
    UA_QUEUED,
    RELAY_SIP_OUTBOUND,
    RELAY_SIP_POOL_MEMBERS,
    *RELAY_SIP_ROUTING_COUNTERS,
    RELAY_SIP_REGISTRATIONS,
    RELAY_SIP_UPKEEP,
    *RELAY_SIP_REGISTRATION_COUNTERS,
    SIP_REQUESTS,
    SIP_RESPONSES,
    SIP_TRANSACTIONS,
    *SIP_TRANSACTION_COUNTERS,
    SIP_AUTHENTICATIONS,
    SIP_REFUSED,
    SIP_BANS,
    SIP_BANS_IMPOSED,
    SIP_OVERLOAD_LEVEL,
    SIP_CONNECTIONS,
    *SIP_DATAGRAM_COUNTERS,
    *LISTENER_COUNTERS,
    *PAGER_COUNTERS,
    PAGER_ATTEMPTS,
    SIP_GATEWAY_CALLS,
    *LEDGER_COUNTERS,
    LEDGER_WAITING,
    *BUS_COUNTERS,
    BUS_LAG,
    UA_SESSIONS,
    *UA_SESSION_COUNTERS,
    UA_SESSIONS_ENDED,
    UA_CALLS,
    GATEWAY_MESSAGES,
    GATEWAY_SESSIONS,
    GATEWAY_CONVERSATIONS,
    GATEWAY_CONVERSATIONS_KNOWN,
    GATEWAY_LANES_WAITING,
    GATEWAY_RECORDS,
    GATEWAY_NOTICES,
    GATEWAY_WAKEUPS,
    GATEWAY_WAKE_CALLS,
    GATEWAY_RETRIES,
    GATEWAY_ARCHIVED,
    GATEWAY_ARCHIVE_WAITING,
    NODE_LOOP_LAG_MAX,
    NODE_LOOP_LAG_MEAN,
    NODE_CPU_TIME,
    NODE_MEMORY,
    NODE_DESCRIPTORS,
    NODE_DESCRIPTOR_LIMIT,
    NODE_READY,
    NODE_STATUS,
    NODE_UPTIME,
    TELEMETRY_SPANS,
    TELEMETRY_METRIC_EXPORTS,
)

MESSAGE_ID = Attribute("msrp.message_id")
OCTETS = Attribute("msrp.octets")
STATUS = Attribute("msrp.status")
LEDGER_ID = Attribute("wigwag.message_id")
POD = Attribute("wigwag.pod")
RPC_METHOD = Attribute("rpc.method")
RPC_STATUS = Attribute("rpc.response.status_code")
HTTP_METHOD = Attribute("http.request.method")
HTTP_ROUTE = Attribute("http.route")
HTTP_STATUS = Attribute("http.response.status_code")
COMMAND = Attribute("wigwag.command")

ATTRIBUTES = {
    MESSAGE_ID: "Message-ID",
    OCTETS: "Octets of body in this SEND",
    STATUS: "MSRP status that ended it: of the receiver's response or of our failure report",
    LEDGER_ID: "Id of a message's row in the ledger",
    POD: "The other pod",
    RPC_METHOD: "Full gRPC method: package.Service/Method",
    RPC_STATUS: "gRPC status code by name",
    HTTP_METHOD: "Method of an HTTP request",
    HTTP_ROUTE: "Pattern of its path: no ids",
    HTTP_STATUS: "HTTP status of the answer; of a command over WebSocket the one that REST has for it",
    COMMAND: "Name of a command over WebSocket",
}
"""Attributes of spans and what they hold. None holds a user, a URI, an address or a body."""

RELAY_SEND = SpanName(
    "wigwag.relay.send",
    SpanKind.SERVER,
    "From a SEND's head until its outcome is known, at the pod that received it",
    (MESSAGE_ID, OCTETS, STATUS),
)
RELAY_DELIVER = SpanName(
    "wigwag.relay.deliver",
    SpanKind.SERVER,
    "From a SEND's way out of a pod link until the receiver's response, at the pod that holds the receiver",
    (OCTETS, STATUS, POD),
)
RELAY_SIP_KEEP = SpanName(
    "wigwag.relay.sip.keep",
    SpanKind.SERVER,
    "From a MESSAGE that a service or an absent user is to get until it is durable",
    (LEDGER_ID,),
)
RELAY_SIP_SEND = SpanName(
    "wigwag.relay.sip.send",
    SpanKind.CLIENT,
    "From a message of a service being there to be sent as SIP MESSAGE until its outcome is in the ledger",
    (LEDGER_ID,),
)
GATEWAY_FORWARD = SpanName(
    "wigwag.gateway.forward",
    SpanKind.INTERNAL,
    "From a message being claimed for an attempt until whoever sends it has it",
    (LEDGER_ID,),
)
UA_ACCEPT = SpanName(
    "wigwag.ua.accept",
    SpanKind.INTERNAL,
    "From an application's message being handed in until it is durable or refused",
    (MESSAGE_ID, OCTETS),
)
UA_DELIVER = SpanName(
    "wigwag.ua.deliver",
    SpanKind.INTERNAL,
    "From a durable message's turn, at the pod that owns its session, until its outcome is in the ledger",
    (MESSAGE_ID,),
)
UA_SEND = SpanName(
    "wigwag.ua.send",
    SpanKind.CLIENT,
    "From a message being given to MSRP until its REPORT, or its 200 where no relay is on the path",
    (MESSAGE_ID, OCTETS, STATUS),
)
UA_RECEIVE = SpanName(
    "wigwag.ua.receive",
    SpanKind.SERVER,
    "From a SIP user's message being here until it is durable and answered",
    (MESSAGE_ID, OCTETS),
)
LEDGER_PUBLISH = SpanName(
    "wigwag.ledger.publish", SpanKind.INTERNAL, "States of a message being published until the bus has them"
)
RPC_SERVE = SpanName("wigwag.rpc.serve", SpanKind.SERVER, "A unary gRPC call being answered", (RPC_METHOD, RPC_STATUS))
RPC_CALL = SpanName("wigwag.rpc.call", SpanKind.CLIENT, "A unary gRPC call being made", (RPC_METHOD, RPC_STATUS))
HTTP_SERVE = SpanName(
    "wigwag.http.serve",
    SpanKind.SERVER,
    "A request of an application being answered, its streamed body included",
    (HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS),
)
WEBSOCKET_SERVE = SpanName(
    "wigwag.websocket.serve",
    SpanKind.SERVER,
    "A command of an application over WebSocket being carried out",
    (COMMAND, HTTP_STATUS),
)

SPANS = (
    RELAY_SEND,
    RELAY_DELIVER,
    RELAY_SIP_KEEP,
    RELAY_SIP_SEND,
    GATEWAY_FORWARD,
    UA_ACCEPT,
    UA_DELIVER,
    UA_SEND,
    UA_RECEIVE,
    LEDGER_PUBLISH,
    RPC_SERVE,
    RPC_CALL,
    HTTP_SERVE,
    WEBSOCKET_SERVE,
)

LOG_FIELDS = {
    "admin": "URL of the admin API",
    "api": "URL for applications of the user agent",
    "application": "Name of an application of the user agent",
    "brokers": "How many brokers Kafka has",
    "connection": "Number of a connection in this process",
    "details": "Of a status, in words",
    "endpoint": "Where telemetry is exported to",
    "found": "What there is",
    "group": "Group of the status tree, or of consumers",
    "identifier": "Identifier of the status tree",
    "ids": "Signing keys by id, the signing one first",
    "links": "Where other pods connect",
    "listener": "Name of a listener",
    "lost": "Spans or changes of status that could not be exported",
    "message": "Identifier of a message in the ledger",
    "method": "Path of a gRPC method, or command of the management interface",
    "pod": "Another pod",
    "path": "Path of a request to the admin API",
    "position": "Topic, partition and offset of a record",
    "reason": "Why",
    "remote": "Address of the other side",
    "rpc": "Address and port of gRPC",
    "replication": "On how many brokers each record is",
    "seconds": "Length of time",
    "session": "Session part of a relay URI",
    "services": "Services of this process",
    "signal": "Name of the signal",
    "span": "Shown as trace_id and span_id",
    "status": "Exit status, or status number",
    "topic": "Topic of the bus",
    "uri": "MSRP URI",
    "user": "User name",
    "waiting": "Items that are not acknowledged",
    "wanted": "What the settings ask for",
    "was": "Status number before",
    "worker": "Number of a worker process",
}
"""Fields of log lines, beside event, level, logger, timestamp, exception, trace_id and span_id."""
