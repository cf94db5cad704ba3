"""This pod's sessions in the store: claimed, extended, suspended, ended, and written again when it has lost them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wigwag.relay.sessions import Session, SessionState, canonical
from wigwag.runtime.members import Members
from wigwag.store import (
    Claim,
    FencedError,
    Owner,
    RecordState,
    SessionRecord,
    Store,
    StoreError,
)

from .bindings import Bindings

if TYPE_CHECKING:
    from wigwag.relay.service import Relay

_ANY_NUMBER = 1 << 31
ROUND = 300
"""Beats in which every record is written once more, a part at each, so that a loss that nobody noticed heals."""


class Records:
    """The port between the relay's sessions and the store.

    Args:
        relay: The relay of this pod.
        store: The store.
        members: The pods.
    """

    def __init__(self, relay: "Relay", store: Store, members: Members) -> None:
        self._relay = relay
        self._store = store
        self._members = members
        self.bindings = Bindings(relay, store, members)
        self._unended: dict[str, Session] = {}
        """Sessions that ended while the store was away."""
        self.incomplete = True
        """Something could not be written: everything is written again at the next beat that succeeds."""
        self._round: list[Session] = []
        """Sessions still to be written again in this round."""

    # One session

    async def claim(self, wanted: SessionRecord, *, most: int, always_new: bool) -> Claim:
        """Make this pod the holder of the owner's session, the known one or a new one.

        Args:
            wanted: What is to be, with a fresh session id and the URI that goes with it.
            most: Sessions that one user may have.
            always_new: Never take up the known one (resume window 0).

        Raises:
            TooManySessionsError: One too many.
            FencedError: A later owner of a ua pod's session has been here.
            StoreError: The store is away.
        """
        store, owner, fresh = self._store, wanted.owner, wanted.session_id
        known = await store.claim_owner(owner, fresh, expires_at=wanted.expires_at, most=most)
        if known != fresh:
            claim = None if always_new else await self._claim_known(wanted, known)
            if claim is not None:
                return claim
            known = await store.claim_owner(owner, fresh, expires_at=wanted.expires_at, most=most, replacing=known)
        if known != fresh:  # Another AUTH of the same owner was faster just now.
            claim = await self._claim_known(wanted, known)
            if claim is not None:
                return claim
            raise StoreError("the session changes hands too fast")
        window = self._relay.settings.resumable_for(wanted.fencing_token)
        claim = await store.claim_session(wanted, must_exist=False, resume_window=window)
        assert claim is not None
        return claim

    async def _claim_known(self, wanted: SessionRecord, session_id: str) -> Claim | None:
        known = (await self._store.find_sessions([session_id])).get(session_id)
        if known is None:
            return None
        return await self._store.claim_session(
            _with_id(wanted, known),
            must_exist=True,
            resume_window=self._relay.settings.resumable_for(known.fencing_token),
            dead_since=self._members.dead_since(known.pod),
        )

    async def extend(self, session: Session, expires_at: float) -> bool:
        """Extend a session that this pod holds; False: it holds it no more.

        A store that is away does not matter: the pod has the record, and writes it again later.
        """
        session_id = str(session.uri.session_id)
        try:
            await self._store.extend_session(session_id, session.epoch, expires_at=expires_at)
            await self._store.claim_owner(_owner(session), session_id, expires_at=expires_at, most=_ANY_NUMBER)
        except FencedError:
            return await self._is_lost(session)
        except StoreError as error:
            self._missed(error)
        return True

    async def _is_lost(self, session: Session) -> bool:
        """Tell whether the store has lost a record of ours, and write it again; else somebody else has the session."""
        try:
            return not await self._store.put_sessions([self._record(session)])
        except StoreError as error:
            self._missed(error)
            return True

    def suspend(self, session: Session) -> None:
        """Write that the client's connection is lost."""
        self._relay.runtime.spawn(self._suspend(session))

    async def _suspend(self, session: Session) -> None:
        try:
            await self._store.suspend_session(str(session.uri.session_id), session.epoch)
        except FencedError:
            pass  # It was resumed elsewhere, which this pod is about to hear.
        except StoreError as error:
            self._missed(error)

    def end(self, session: Session) -> None:
        """Delete the record."""
        self._unended[str(session.uri.session_id)] = session
        self._relay.runtime.spawn(self._end(session))

    async def _end(self, session: Session) -> None:
        session_id = str(session.uri.session_id)
        try:
            await self._store.end_session(session_id, session.epoch)
            await self._store.release_owner(_owner(session), session_id)
        except FencedError:
            pass
        except StoreError as error:
            self._missed(error)
            return
        self._unended.pop(session_id, None)

    def _missed(self, error: StoreError) -> None:
        if not self.incomplete:
            self._relay.log_event("the session store is away, records are written later", reason=str(error))
        self.incomplete = True
        self._relay.counters["store_failures"] += 1

    # All of them

    async def write_some(self) -> Sequence[SessionRecord]:
        """Write the next part of the round, or everything when something is missing; returns as ``write_again``.

        Raises:
            StoreError: The store is away.
        """
        if self.incomplete:
            return await self.write_again()
        if not self._round:
            self._round = list(self._relay.sessions)
        await self.bindings.write_some()
        share = max(1, len(self._relay.sessions) // ROUND)
        part, self._round = self._round[:share], self._round[share:]
        return await self._put([session for session in part if self._is_ours(session)])

    async def _put(self, sessions: Sequence[Session]) -> Sequence[SessionRecord]:
        newer = await self._store.put_sessions([self._record(session) for session in sessions])
        for session in sessions:
            if not session.open:  # It ended meanwhile, and may have been written again after its end.
                await self._end(session)
        return newer

    def _is_ours(self, session: Session) -> bool:
        return self._relay.sessions.by_session_id(str(session.uri.session_id)) is session

    async def write_again(self) -> Sequence[SessionRecord]:
        """Write what is this pod's; returns the records of sessions that others have claimed since.

        Raises:
            StoreError: The store is away.
        """
        self.incomplete = False
        try:
            for session in list(self._unended.values()):
                await self._end(session)
            newer = await self._put(list(self._relay.sessions))
            await self.bindings.write_again()
        except StoreError:
            self.incomplete = True
            raise
        return newer

    def _record(self, session: Session) -> SessionRecord:
        relay = self._relay
        shift = self._members.wall() - relay.now()
        suspended = session.state is SessionState.SUSPENDED
        return SessionRecord(
            session_id=str(session.uri.session_id),
            uri=session.uri_text.decode(),
            owner=_owner(session),
            client_uri=str(session.client_uri),
            client_host=session.client_host,
            listener=session.listener,
            created=session.created,
            expires_at=session.expires_at + shift,
            pod=self._members.pod.id,
            connection=session.connection,
            epoch=session.epoch,
            state=RecordState.SUSPENDED if suspended else RecordState.ACTIVE,
            suspended_at=session.suspended_at + shift if suspended else 0.0,
            fencing_token=session.fencing_token,
        )


def _owner(session: Session) -> Owner:
    return Owner(session.username, session.realm, canonical(session.client_uri))


def _with_id(wanted: SessionRecord, known: SessionRecord) -> SessionRecord:
    """Return what is to be, as a claim of a session that exists."""
    return replace(wanted, session_id=known.session_id, uri=known.uri, created=known.created)
