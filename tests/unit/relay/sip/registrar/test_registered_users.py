"""What operators see and change of registrations: pages, one user, removal; REST and OpenSIPS's MI commands."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.support.sip_edge import DOMAIN, EdgeUnderTest, SipClient
from wigwag.errors import InvalidRequestError, NotFoundError
from wigwag.relay.sip.registrar.mi import registration_commands
from wigwag.relay.sip.registrar.registered_users import RegisteredUsers
from wigwag.relay.sip.registrar.web import registration_router
from wigwag.relay.sip.registrar.work import RegistrationWork
from wigwag.runtime.management import Commands
from wigwag.runtime.status import StatusTree
from wigwag.store import Gap

USERS = ["alice", "bob", "carol"]


@pytest.fixture
async def edge() -> EdgeUnderTest:
    """An edge where all three users are registered."""
    made = EdgeUnderTest()
    for number, user in enumerate(USERS):
        assert (await SipClient(made, user, host=f"203.0.113.{number}", port=5060).register()).status == 200
    return made


@pytest.fixture
def users(edge: EdgeUnderTest) -> RegisteredUsers:
    return RegisteredUsers(edge.store, edge.parts)


@pytest.mark.parametrize("size", [1, 2, 3, 10])
async def test_pages_hold_every_user_once_in_order(users: RegisteredUsers, size: int) -> None:
    found: list[str] = []
    more, after = True, ""
    while more:
        page, more = await users.page(after=after, size=size)
        assert len(page) <= size
        found += [view.aor for view in page]
        after = found[-1]
    assert found == [f"sip:{user}@{DOMAIN}" for user in USERS]


@pytest.mark.parametrize("prefix", ["bo", "sip:bo", "bob@"])
async def test_page_is_narrowed_by_what_users_begin_with(users: RegisteredUsers, prefix: str) -> None:
    page, more = await users.page(prefix=prefix, size=10)
    assert ([view.aor for view in page], more) == ([f"sip:bob@{DOMAIN}"], False)


async def test_removed_user_is_reached_no_more_at_once(edge: EdgeUnderTest, users: RegisteredUsers) -> None:
    alice = SipClient(edge, "alice")
    assert await users.remove(f"bob@{DOMAIN}") == 1
    assert (await alice.exchange(alice.message("bob"))).status == 480
    with pytest.raises(NotFoundError):
        await users.remove(f"bob@{DOMAIN}")


async def test_one_contact_of_many_is_removed(edge: EdgeUnderTest, users: RegisteredUsers) -> None:
    other = SipClient(edge, "bob", host="203.0.113.9")
    await other.register()
    assert await users.remove(f"sip:bob@{DOMAIN}", [other.contact]) == 1
    assert [binding.contact for binding in (await users.show(f"bob@{DOMAIN}")).bindings] == ["sip:bob@203.0.113.1:5060"]


@pytest.mark.parametrize("user", ["", "bob", "@x", "sip:", "a b@example.com", "tel:+1"])
async def test_what_is_no_user_is_said_so(users: RegisteredUsers, user: str) -> None:
    with pytest.raises((InvalidRequestError, NotFoundError)):
        await users.show(user)


async def test_rest_shows_and_removes(users: RegisteredUsers) -> None:
    app = FastAPI()
    app.include_router(registration_router(users))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        page = (await client.get("/v1/registrations", params={"limit": 2})).json()
        assert ([row["aor"] for row in page["registrations"]], page["next"]) == (
            [f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}"],
            f"sip:bob@{DOMAIN}",
        )
        one = (await client.get(f"/v1/registrations/bob@{DOMAIN}")).json()
        assert one["bindings"][0]["contact"] == "sip:bob@203.0.113.1:5060"
        removed = await client.delete(f"/v1/registrations/bob@{DOMAIN}", params={"contact": "sip:bob@203.0.113.1:5060"})
        assert removed.status_code == 204


@pytest.fixture
def commands(edge: EdgeUnderTest, users: RegisteredUsers, tmp_path: Path) -> Commands:
    work = RegistrationWork(
        edge.parts, store=edge.store, cluster=None, pod="pod-a", blocks=None, status=StatusTree(edge.runtime.wall)
    )
    return Commands(registration_commands(users, work))


@pytest.mark.parametrize("name", ["ul_show_contact", "usrloc:show_contact"])
async def test_mi_shows_contacts_as_opensips_does(commands: Commands, name: str) -> None:
    command = commands.find(name)
    assert command is not None
    found = await command.run(command.bind(["location", f"bob@{DOMAIN}"]))
    assert found["AOR"] == f"bob@{DOMAIN}"
    assert found["Contacts"][0]["Contact"] == "sip:bob@203.0.113.1:5060"
    assert found["Contacts"][0]["Callid"]
    with pytest.raises(NotFoundError, match="no table"):
        await command.run(command.bind(["elsewhere", f"bob@{DOMAIN}"]))


async def test_mi_dumps_all_and_removes(commands: Commands, users: RegisteredUsers) -> None:
    dump, remove, remove_contact = (commands.find(name) for name in ("ul_dump", "ul_rm", "ul_rm_contact"))
    assert dump is not None
    assert remove is not None
    assert remove_contact is not None
    found = await dump.run(dump.bind(["brief"]))
    assert sorted(row["AOR"] for row in found["Domains"][0]["AORs"]) == [f"{user}@{DOMAIN}" for user in USERS]
    await remove.run(remove.bind(["location", f"alice@{DOMAIN}"]))
    await remove_contact.run(remove_contact.bind(["location", f"bob@{DOMAIN}", "<sip:bob@203.0.113.1:5060>"]))
    page, _ = await users.page(size=10)
    assert [view.aor for view in page] == [f"sip:carol@{DOMAIN}"]


async def test_user_who_was_removed_is_not_thought_to_be_lost_by_the_store(
    edge: EdgeUnderTest, users: RegisteredUsers
) -> None:
    edge.parts.locations.changed(Gap())
    await users.remove(f"alice@{DOMAIN}")
    bob = SipClient(edge, "bob")
    assert (await bob.exchange(bob.message("alice"))).status == 480
