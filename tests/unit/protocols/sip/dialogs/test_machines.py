"""The tables are what runs, and what is drawn."""

import itertools

import pytest
from scripts.generate import sip_dialogs

from tests.support.sip_dialogs import ANSWER, OFFER, World, call
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import SipError
from wigwag.protocols.sip.dialogs import (
    OFFERS,
    SESSION,
    OfferEvent,
    OfferState,
    Session,
    SessionEnded,
    SessionEvent,
    SessionState,
    offers_picture,
    session_picture,
)
from wigwag.protocols.sip.dialogs.offers import OfferAnswer

PATHS: dict[SessionState, list[SessionEvent]] = {
    SessionState.EARLY: [],
    SessionState.ACCEPTED: [SessionEvent.ACCEPT],
    SessionState.CLOSING: [SessionEvent.ACCEPT, SessionEvent.HANG_UP],
    SessionState.CONFIRMED: [SessionEvent.ANSWERED],
    SessionState.TERMINATED: [SessionEvent.REFUSED],
}


def opened(state: SessionState) -> tuple[World, Session]:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now)
    world.run()
    session = alice.session_now
    for event in PATHS[state]:
        session.happen(event, world.now)
    assert session.state is state
    world.log.clear()
    alice.events.clear()
    return world, session


@pytest.mark.parametrize(("state", "event"), list(itertools.product(SessionState, SessionEvent)))
def test_a_session_does_what_the_table_says_and_nothing_else(state: SessionState, event: SessionEvent) -> None:
    world, session = opened(state)
    session.happen(event, world.now)
    following, action = SESSION.get((state, event), (state, ""))
    assert session.state is following
    assert ("BYE" in world.sent("alice")) == (action == "send_bye")
    ended = following is SessionState.TERMINATED and state is not SessionState.TERMINATED
    assert len(world.agents["alice"].heard(SessionEnded)) == ended
    assert (session.dialog.id in world.agents["alice"].dialogs.sessions) == (following is not SessionState.TERMINATED)


def exchange_in(state: OfferState) -> OfferAnswer:
    made = OfferAnswer()
    if state in (OfferState.LOCAL_OFFER, OfferState.STABLE):
        made.send_offer(OFFER)
    if state is OfferState.REMOTE_OFFER:
        made.receive_offer(OFFER)
    if state is OfferState.STABLE:
        made.receive_answer(ANSWER)
    return made


def happen(exchange: OfferAnswer, event: OfferEvent) -> None:
    match event:
        case OfferEvent.SEND_OFFER:
            exchange.send_offer(OFFER)
        case OfferEvent.RECEIVE_OFFER:
            exchange.receive_offer(OFFER)
        case OfferEvent.SEND_ANSWER:
            exchange.send_answer(ANSWER)
        case OfferEvent.RECEIVE_ANSWER:
            exchange.receive_answer(ANSWER)
        case OfferEvent.REFUSE:
            exchange.refuse()
        case OfferEvent.REFUSED:
            exchange.refused()


@pytest.mark.parametrize(("state", "event"), list(itertools.product(OfferState, OfferEvent)))
def test_an_exchange_does_what_the_table_says_and_nothing_else(state: OfferState, event: OfferEvent) -> None:
    exchange = exchange_in(state)
    if (state, event) in OFFERS:
        happen(exchange, event)
        assert exchange.state is OFFERS[state, event]
        return
    with pytest.raises((LocalProtocolError, SipError)):
        happen(exchange, event)
    assert exchange.state is state


@pytest.mark.parametrize(("state", "status"), [(OfferState.LOCAL_OFFER, 491), (OfferState.REMOTE_OFFER, 500)])
def test_an_offer_out_of_turn_is_refused_as_rfc_3311_says(state: OfferState, status: int) -> None:
    with pytest.raises(SipError) as caught:
        exchange_in(state).receive_offer(OFFER)
    assert caught.value.status == status


def test_the_pictures_have_an_arrow_for_every_row() -> None:
    assert session_picture().count("-->") == len(SESSION) + 2
    assert offers_picture().count("-->") == len(OFFERS) + 1
    assert session_picture() in sip_dialogs()
    assert offers_picture() in sip_dialogs()
