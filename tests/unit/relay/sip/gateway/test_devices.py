"""What the edge knows of devices: what they say, what they have answered, and for how long."""

from dataclasses import replace

import pytest

from tests.support.bindings import binding
from wigwag.relay.sip.gateway.devices import LIFETIME, PAGE, SESSION, Devices
from wigwag.relay.sip.incoming import Target
from wigwag.runtime.capabilities import Capabilities
from wigwag.store import Binding, Registration

AOR = "sip:bob@example.com"
SESSIONS_ONLY = ';methods="INVITE,ACK,BYE"'


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def devices(clock: Clock) -> Devices:
    return Devices(clock)


def registered(*bindings: Binding) -> Registration:
    return Registration(AOR, bindings, 1)


def target(of: Binding) -> Target:
    return Target(uri=of.contact, name="", aor=AOR, key=of.key, call_id=of.call_id)


def test_registration_of_silent_devices_stays_the_object_that_it_is(devices: Devices) -> None:
    registration = registered(binding(), binding(';methods="MESSAGE"', key="2"))
    assert devices.for_pages(registration) is registration


def test_contact_that_takes_no_message_is_left_out_the_same_way_each_time(devices: Devices) -> None:
    page, session = binding(key="page"), binding(SESSIONS_ONLY, key="session")
    registration = registered(page, session)
    found = devices.for_pages(registration)
    assert found == registered(page)
    assert devices.for_pages(registration) is found


def test_user_with_sessions_only_has_no_contact_for_messages(devices: Devices) -> None:
    assert devices.for_pages(registered(binding(SESSIONS_ONLY))) is None


def test_refusal_is_remembered_for_the_registration_and_not_for_ever(devices: Devices, clock: Clock) -> None:
    device = binding()
    registration = registered(device)
    assert devices.for_pages(registration) is registration
    devices.refused(PAGE, target(device))
    assert devices.for_pages(registration) is None
    again = registered(replace(device, call_id="after a restart"))
    assert devices.for_pages(again) is again
    clock.now += LIFETIME
    later = registered(replace(device, updated_at=1.0))
    assert devices.for_pages(later) is later


def test_refusals_of_both_kinds_stand_side_by_side(devices: Devices) -> None:
    device, other = binding(), binding(key="other")
    devices.refused(SESSION, target(device))
    assert devices.of(AOR, device) == Capabilities(None, session=False)
    devices.refused(PAGE, target(device))
    assert devices.of(AOR, device) == Capabilities(page=False, session=False)
    assert devices.of(AOR, other) == Capabilities()


def test_what_a_device_says_goes_before_what_it_has_answered(devices: Devices) -> None:
    device = binding(';methods="INVITE,MESSAGE";+sip.message')
    devices.refused(PAGE, target(device))
    devices.refused(SESSION, target(device))
    assert devices.of(AOR, device) == Capabilities(page=True, session=True)


def test_answer_of_who_is_no_registered_device_is_not_remembered(devices: Devices) -> None:
    devices.refused(PAGE, Target(uri="sip:next-hop.example", name=""))
    assert len(devices) == 0


def test_memory_has_a_bound(devices: Devices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wigwag.relay.sip.gateway.devices.MOST", 2)
    held = [binding(key=str(number)) for number in range(3)]
    for device in held:
        devices.refused(PAGE, target(device))
    assert [devices.of(AOR, device).page for device in held] == [None, False, False]


def test_devices_are_page_only_when_each_says_so_or_has_refused_sessions(devices: Devices) -> None:
    page, silent = binding(';methods="MESSAGE"', key="page"), binding(key="silent")
    telephone, nothing = binding(";audio", key="telephone"), binding(';methods="INVITE";audio', key="nothing")
    assert devices.are_page_only(registered(page))
    for other in (silent, telephone, nothing):
        assert not devices.are_page_only(registered(page, other))
    devices.refused(SESSION, target(silent))
    assert devices.are_page_only(registered(page, silent))
    devices.refused(PAGE, target(silent))
    assert not devices.are_page_only(registered(page, silent))
