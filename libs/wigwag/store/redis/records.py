"""How records, pods and notices are written in Redis: fields of text that ``redis-cli`` shows as they are."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from zlib import crc32

from wigwag.store import (
    AgentSession,
    Change,
    Conversation,
    Gap,
    Notice,
    Owner,
    PeerBinding,
    Pod,
    RecordState,
    RegistrationChanged,
    SessionRecord,
)

Pairs = Sequence[bytes]
"""Name, value, name, value, as HGETALL answers."""


class Keys:
    """Names of keys. What a script needs has the same tag in braces, so that a cluster has it on one server.

    Args:
        prefix: Before all of them; sets apart what shares a Redis.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.channel = f"{prefix}:changes"
        self.pods = (f"{prefix}:{{pods}}:seen", f"{prefix}:{{pods}}:pods", f"{prefix}:{{pods}}:status")

    def session(self, session_id: str) -> str:
        """A session's record."""
        return self._tagged(session_id, "session")

    def peers(self, session_id: str) -> str:
        """A session's peers."""
        return self._tagged(session_id, "peers")

    def sessions_of(self, owner: Owner) -> str:
        """A user's sessions by client URI."""
        # The first @ is the separator: the one in a name is escaped.
        return f"{self._prefix}:{{{_escaped(owner.username)}@{_escaped(owner.realm)}}}:sessions"

    def lease(self, name: str) -> str:
        """A lease."""
        return self._tagged(name, "lease")

    def registration(self, aor: str) -> str:
        """What is kept of an address-of-record."""
        return self._tagged(aor, "registration")

    def registrations(self, prefix: str) -> str:
        """A pattern for the keys of all addresses-of-record that begin so."""
        literal = f"{self._prefix}:{{{_escaped(prefix)}"
        return re.sub(r"[\\*?\[\]]", r"\\\g<0>", literal) + "*}:registration"

    def nonce(self, nonce: str) -> str:
        """A nonce's window."""
        return self._tagged(nonce, "nonce")

    def agents(self, bucket: int) -> str:
        """The index of a bucket of the user agent's sessions."""
        return f"{self._prefix}:{{agents-{bucket}}}:agents"

    def agent(self, bucket: int, session_id: str) -> str:
        """The record of such a session."""
        return f"{self._prefix}:{{agents-{bucket}}}:{_escaped(session_id)}:agent"

    def conversation(self, bucket: int, key: str) -> str:
        """The record of a conversation of the gateway."""
        return f"{self._prefix}:{{conversations-{bucket}}}:{_escaped(key)}:conversation"

    def conversations(self, bucket: int) -> tuple[str, str]:
        """A bucket's conversations that are not closed: by key, and by expiry."""
        tagged = f"{self._prefix}:{{conversations-{bucket}}}"
        return f"{tagged}:open", f"{tagged}:expiries"

    def places(self, address: str) -> str:
        """The conversations that an address has."""
        return self._tagged(address, "conversations")

    def generation(self, tag: str) -> tuple[str, str]:
        """What tells that a server lost what it held, and when."""
        return self._tagged(tag, "generation"), self._tagged(tag, "since")

    def _tagged(self, tag: str, kind: str) -> str:
        return f"{self._prefix}:{{{_escaped(tag)}}}:{kind}"


def _escaped(text: str) -> str:
    """Return the text without braces, at signs, spaces and control characters."""
    return quote(text, safe="!$&'()*+,/:;=?~", errors="surrogateescape")


def aor_of(key: bytes) -> str:
    """Return the address-of-record that a key is about."""
    return text(unquote_to_bytes(key.rpartition(b"{")[2].partition(b"}")[0]))


def record_pairs(record: SessionRecord) -> Iterator[str]:
    """Yield names and values of a record's fields but for its id."""
    yield from ("epoch", str(record.epoch), "state", record.state.value, "suspended_at", text_of(record.suspended_at))
    yield from ("expires_at", text_of(record.expires_at), "pod", record.pod, "connection", str(record.connection))
    yield from ("uri", record.uri, "created", text_of(record.created))
    yield from ("fencing_token", str(record.fencing_token), *constant_pairs(record))


def constant_pairs(record: SessionRecord) -> Iterator[str]:
    """Yield names and values of the fields that no script looks at."""
    yield from ("username", record.owner.username, "realm", record.owner.realm, "owner_uri", record.owner.client_uri)
    yield from ("client_uri", record.client_uri, "client_host", record.client_host, "listener", record.listener)


def record_of(session_id: str, pairs: Pairs) -> SessionRecord | None:
    """Return the record that the pairs say, None when there are none."""
    if not pairs:
        return None
    fields = {name: text(value) for name, value in by_name(pairs)}
    return SessionRecord(
        session_id=session_id,
        uri=fields["uri"],
        owner=Owner(fields["username"], fields["realm"], fields["owner_uri"]),
        client_uri=fields["client_uri"],
        client_host=fields["client_host"],
        listener=fields["listener"],
        created=float(fields["created"]),
        expires_at=float(fields["expires_at"]),
        pod=fields["pod"],
        connection=int(fields["connection"]),
        epoch=int(fields["epoch"]),
        state=RecordState(fields["state"]),
        suspended_at=float(fields["suspended_at"]),
        fencing_token=int(fields.get("fencing_token", "0")),
    )


def by_name(pairs: Pairs) -> Iterator[tuple[str, bytes]]:
    """Yield names with their values."""
    for index in range(0, len(pairs), 2):
        yield text(pairs[index]), pairs[index + 1]


def pod_text(pod: Pod) -> str:
    """Return what a pod is, but for its id."""
    return json.dumps({"address": pod.address, "draining": pod.draining, "rpc": pod.rpc})


def pod_of(pod_id: str, document: bytes) -> Pod:
    """Return the pod that the text says; what a newer version wrote besides is left out."""
    fields = json.loads(document)
    return Pod(
        id=pod_id,
        address=str(fields.get("address", "")),
        draining=bool(fields.get("draining", False)),
        rpc=str(fields.get("rpc", "")),
    )


def binding_text(binding: PeerBinding) -> str:
    """Return a peer's binding as text."""
    return f"{binding.connection} {binding.pod}"


def binding_of(value: bytes) -> PeerBinding:
    """Return the binding that the text says."""
    connection, _, pod = text(value).partition(" ")
    return PeerBinding(pod, int(connection))


def bucket_of(name: str, buckets: int) -> int:
    """Return the bucket that a session of the user agent, or a conversation, is in."""
    return crc32(name.encode(errors="surrogateescape")) % buckets


def agent_of(session_id: str, values: Sequence[bytes] | None) -> AgentSession | None:
    """Return the session that a script answered, None when there is none."""
    if values is None:
        return None
    application, content, pod, token, lease_until, is_ended, expires_at = values
    return AgentSession(
        session_id=session_id,
        application=text(application),
        content=content,
        pod=text(pod),
        token=int(token),
        lease_until=int(lease_until) / 1000,
        ended=bool(is_ended),
        expires_at=float(expires_at),
    )


def conversation_pairs(conversation: Conversation) -> Iterator[str]:
    """Yield names and values of a conversation's fields but for its key."""
    for field in fields(Conversation):
        if field.name != "key":
            value = getattr(conversation, field.name)
            yield from (field.name, text_of(value) if field.type is float else str(value))


def conversation_of(key: str, pairs: Pairs) -> Conversation:
    """Return the conversation that the pairs say; what a newer version wrote besides is left out."""
    values = {name: text(value) for name, value in by_name(pairs)}
    known: dict[str, Any] = {
        field.name: (int if field.type is int else float if field.type is float else str)(values[field.name])
        for field in fields(Conversation)
        if field.name in values
    }
    return Conversation(key=key, **known)


def notice_of(message: bytes) -> Notice:
    """Return the change that a message says; what can't be read may have been one."""
    try:
        match json.loads(message.decode(errors="surrogateescape")):
            case [session_id, epoch, pod]:
                return Change(str(session_id), int(epoch), str(pod))
            case [aor, version]:
                return RegistrationChanged(str(aor), int(version))
    except (ValueError, TypeError):
        pass
    return Gap()


def text(value: bytes) -> str:
    """Return octets from Redis as text; what is no UTF-8 comes through unharmed."""
    return value.decode(errors="surrogateescape")


def text_of(number: float) -> str:
    """Return a number so that reading it gives the same number."""
    return repr(float(number))
