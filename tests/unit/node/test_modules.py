from pathlib import Path

import pytest

from tests.support.fake_relay import FakeRelayModule
from wigwag.errors import ConfigurationError
from wigwag.node.application import Node
from wigwag.node.modules import CONSTRUCTORS, chosen
from wigwag.node.settings import Settings


@pytest.mark.parametrize(
    ("names", "services"),
    [
        ([], list(CONSTRUCTORS)),
        (["all"], list(CONSTRUCTORS)),
        (["relay", "all", "relay"], ["relay", "ua", "gateway"]),
        (["ua", "relay"], ["relay", "ua"]),
    ],
)
def test_each_service_is_hosted_once(names: list[str], services: list[str]) -> None:
    assert chosen(names) == services


def test_an_unknown_service_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="there is no service 'diameter'; known are: relay, ua, gateway, all"):
        chosen(["relay", "diameter"])


def settings_in(directory: Path) -> Settings:
    return Settings.model_validate({"node": {"data_dir": directory}, "admin": {"port": 0}})


async def test_what_was_opened_is_closed_when_a_later_service_fails(tmp_path: Path) -> None:
    first = FakeRelayModule()

    class Failing(FakeRelayModule):
        async def __aenter__(self) -> "Failing":
            raise ConfigurationError("no")

    constructors = {"first": first.hosted_by, "second": Failing}
    with pytest.raises(ConfigurationError, match=r"^no$"):
        async with Node(settings_in(tmp_path), ["first", "second"], constructors=constructors):
            pass
    assert first.calls == ["enter", "exit"]
    assert not (tmp_path / "admin.json").exists()


async def test_a_node_that_drains_is_not_ready_any_more(tmp_path: Path) -> None:
    module = FakeRelayModule()
    async with Node(settings_in(tmp_path), ["relay"], constructors={"relay": module.hosted_by}) as node:
        await node.drain()
        assert node.draining
    assert module.calls == ["enter", "drain", "exit"]


async def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"node.data_dir: .*file/data can't be made"):
        async with Node(settings_in(tmp_path / "file" / "data"), []):
            pass
