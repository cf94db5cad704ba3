"""What a pod looks after: by time, by connection, and no more memory than bindings need."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wigwag.relay.sip.registrar.own_bindings import OwnBindings
from wigwag.store import Binding

BINDING = Binding(
    contact="sip:a@203.0.113.1",
    key="sip:a@203.0.113.1",
    call_id="c",
    cseq=1,
    expires_at=100.0,
    q=1000,
    params="",
    instance="",
    reg_id=0,
    path=(),
    flow=None,
    user_agent="",
)


def test_refreshes_cost_no_memory() -> None:
    own = OwnBindings("pod", {})
    for second in range(10_000):
        own.take("alice", replace(BINDING, expires_at=100.0 + (second if second % 2 else 7200)))
    assert (len(own), len(own._due)) == (1, 2)


def test_what_was_found_expired_is_found_again_until_it_is_dealt_with() -> None:
    own = OwnBindings("pod", {})
    own.take("alice", BINDING)
    assert own.expired(99.9, 10) == []
    assert own.expired(100.0, 10) == [("alice", BINDING)]
    assert own.expired(100.5, 10) == []
    assert own.expired(101.0, 10) == [("alice", BINDING)]
    own.release("alice", BINDING.key)
    assert own.expired(200.0, 10) == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "release", "wait"]), st.sampled_from("abc"), st.integers(1, 50)), max_size=60
)


@given(STEPS)
def test_whatever_happens_every_binding_is_found_when_its_time_is_over(steps: list[tuple[str, str, int]]) -> None:
    own, model, now = OwnBindings("pod", {}), dict[str, Any](), 0.0
    for step, key, number in steps:
        if step == "take":
            model[key] = replace(BINDING, key=key, expires_at=now + number)
            own.take("alice", model[key])
        elif step == "release":
            own.release("alice", key)
            model.pop(key, None)
        else:
            now += number
            found = {binding.key for _, binding in own.expired(now, 100)}
            assert found == {key for key, binding in model.items() if binding.expires_at <= now}
            for key in found:
                own.release("alice", key)
                del model[key]
    assert {binding.key for binding in own.of("alice")} == set(model)
