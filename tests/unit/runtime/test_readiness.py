"""Promise 7: readiness is that some hosted function can be served, whatever happens to what all pods share."""

from hypothesis import given
from hypothesis import strategies as st

from wigwag.runtime.readiness import Readiness
from wigwag.runtime.status import StatusTree

NUMBERS = st.sampled_from([-100, -3, -2, -1, 1, 2, 3])
SHARED = ("store", "bus", "cluster", "credentials", "certificates", "routes", "tcp_mgm", "listeners")
SERVICES = ("relay", "ua", "gateway")


def tree_of(core: int, services: dict[str, int], shared: dict[str, int]) -> StatusTree:
    tree = StatusTree(lambda: 0.0)
    for name, number in {"core": core, **services, **shared}.items():
        tree.group(name).identifier(status=number)
    return tree


@given(
    NUMBERS,
    st.dictionaries(st.sampled_from(SERVICES), NUMBERS, min_size=1),
    st.dictionaries(st.sampled_from(SHARED), NUMBERS),
    st.dictionaries(st.sampled_from(SHARED), NUMBERS),
)
def test_a_pod_is_ready_when_it_runs_and_any_service_can_serve(
    core: int, services: dict[str, int], before: dict[str, int], after: dict[str, int]
) -> None:
    tree = tree_of(core, services, before)
    readiness = Readiness(tree, SERVICES)
    expected = core > 0 and any(number > 0 for number in services.values())
    assert readiness.ready == expected
    told: list[tuple[str, bool]] = []
    readiness.observe(lambda name, ready: told.append((name, ready)))
    told.clear()
    for name, number in after.items():
        tree.group(name).identifier().set(number, "lost or found")
    assert readiness.ready == expected
    assert told == []


@given(st.lists(st.tuples(st.sampled_from(["core", *SERVICES, *SHARED]), NUMBERS), max_size=40))
def test_observers_know_the_readiness_at_every_moment(steps: list[tuple[str, int]]) -> None:
    tree = tree_of(-100, dict.fromkeys(SERVICES, -1), {})
    readiness = Readiness(tree, SERVICES)
    known: dict[str, bool] = {}
    told: list[tuple[str, bool]] = []

    def observer(name: str, ready: bool) -> None:
        assert known.get(name) != ready
        known[name] = ready
        told.append((name, ready))

    readiness.observe(observer)
    for name, number in steps:
        tree.group(name).identifier().set(number)
        assert known == {"": readiness.ready, **readiness.services()}


def test_a_service_that_never_told_anything_is_not_ready() -> None:
    tree = tree_of(1, {}, {})
    assert Readiness(tree, ["relay"]).services() == {"relay": False}


def test_a_process_without_services_is_not_ready() -> None:
    assert not Readiness(tree_of(1, {}, {}), []).ready
