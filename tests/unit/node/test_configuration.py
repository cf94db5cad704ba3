import json
from pathlib import Path

import pytest

from wigwag.node.configuration import Configuration, InvalidSettingsError, load

PROBLEM_VALUE = "correct-horse-battery-staple"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def value_and_source(configuration: Configuration, setting: str) -> tuple[str, str]:
    return next((row.value, str(row.source)) for row in configuration.rows() if row.setting == setting)


def complaints(environment: dict[str, str], file: Path | None = None) -> list[str]:
    with pytest.raises(InvalidSettingsError) as caught:
        load(environment, file=file)
    return str(caught.value).splitlines()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_no_setting_at_all_is_a_valid_node_on_loopback() -> None:
    configuration = load({})
    assert configuration.settings.admin.host == "127.0.0.1"
    assert {row.source.kind for row in configuration.rows()} == {"default"}


def test_environment_goes_before_file_and_file_before_demo_and_demo_before_default(tmp_path: Path) -> None:
    file = written(tmp_path / "w.toml", "[relay]\nmin_expires = 2\nmax_expires = 5000\n")
    demo = {"relay": {"min_expires": 3, "max_expires": 6000, "default_expires": 700}}
    configuration = load({"WIGWAG_RELAY__MIN_EXPIRES": "1"}, file=file, demo=demo)
    relay = configuration.settings.relay
    assert (relay.min_expires, relay.max_expires, relay.default_expires) == (1, 5000, 700)
    assert value_and_source(configuration, "relay.min_expires") == ("1", "WIGWAG_RELAY__MIN_EXPIRES")
    assert value_and_source(configuration, "relay.max_expires") == ("5000", f"{file}: relay.max_expires")
    assert value_and_source(configuration, "relay.default_expires") == ("700", "demo")
    assert value_and_source(configuration, "relay.resume_window") == ("60.0", "default")


def test_a_list_from_above_replaces_the_list_below_with_all_its_sources(tmp_path: Path) -> None:
    file = written(
        tmp_path / "w.toml",
        '[[relay.listeners]]\nname = "a"\nkind = "tcp"\nport = 1\n[[relay.listeners]]\nname = "b"\nkind = "tcp"\n',
    )
    configuration = load({"WIGWAG_RELAY__LISTENERS": '[{"name": "c", "kind": "ws"}]'}, file=file)
    assert [listener.name for listener in configuration.settings.relay.listeners] == ["c"]
    assert value_and_source(configuration, "relay.listeners[0].name") == ("c", "WIGWAG_RELAY__LISTENERS")
    assert value_and_source(configuration, "relay.listeners[0].port") == ("2855", "default")


def test_a_whole_section_as_json_is_merged_with_a_single_key_of_it() -> None:
    environment = {
        "WIGWAG_RELAY__ROUTE_HOOK": '{"url": "http://127.0.0.1/", "timeout": 9}',
        "WIGWAG_RELAY__ROUTE_HOOK__TIMEOUT": "1.5",
    }
    hook = load(environment).settings.relay.route_hook
    assert hook is not None
    assert (hook.url, hook.timeout) == ("http://127.0.0.1/", 1.5)


def test_the_file_is_the_option_else_the_variable_else_the_one_in_the_working_directory(tmp_path: Path) -> None:
    written(tmp_path / "wigwag.toml", "[admin]\nport = 1\n")
    variable = written(tmp_path / "variable.toml", "[admin]\nport = 2\n")
    option = written(tmp_path / "option.toml", "[admin]\nport = 3\n")
    environment = {"WIGWAG_CONFIG": str(variable)}
    assert load({}).settings.admin.port == 1
    assert load(environment).settings.admin.port == 2
    assert load(environment, file=option).settings.admin.port == 3


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("WIGWAG_RELAY__DOMIANS", "WIGWAG_RELAY__DOMAINS"),
        ("WIGWAG_ADMN__PORT", "WIGWAG_ADMIN__PORT"),
        ("WIGWAG_ADMIN_PORT", "WIGWAG_ADMIN__PORT"),
        ("WIGWAG_RELAY__IDLE_TIMEOUT", "WIGWAG_RELAY__LIMITS__IDLE_TIMEOUT"),
        ("WIGWAG_DATABASE__URL_FLIE", "WIGWAG_DATABASE__URL_FILE"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(variable: str, nearest: str) -> None:
    assert complaints({variable: "1"}) == [f"{variable}: is no setting; did you mean {nearest}?"]


def test_an_unknown_key_of_the_file_is_refused_with_its_place_and_the_nearest_name(tmp_path: Path) -> None:
    file = written(tmp_path / "w.toml", '[[relay.listeners]]\nname = "a"\nkind = "tcp"\nprot = 1\n')
    assert complaints({}, file) == [
        f"relay.listeners[0].prot ({file}: relay.listeners[0].prot): is no setting; "
        "did you mean relay.listeners[0].port?"
    ]


def test_a_name_near_nothing_is_refused_without_a_guess() -> None:
    assert complaints({"WIGWAG_XYZZY": "1"}) == ["WIGWAG_XYZZY: is no setting"]


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    file = written(tmp_path / "w.toml", "[relay]\nnonsense_here = 1\n[relay.limits]\nheaders = 0\n")
    found = complaints({"WIGWAG_ADMIN__PORT": "many", "WIGWAG_USERS": "{"}, file)
    assert len(found) == 4
    assert [line for line in found if line.startswith("admin.port (WIGWAG_ADMIN__PORT): ") and "'many'" in line]
    assert [line for line in found if line.startswith(f"relay.limits.headers ({file}: relay.limits.headers): ")]
    assert [line for line in found if line.startswith("users (WIGWAG_USERS): is not JSON")]


def test_variables_that_kubernetes_makes_for_a_service_called_wigwag_are_no_settings() -> None:
    load(
        {
            "WIGWAG_SERVICE_HOST": "10.0.0.1",
            "WIGWAG_PORT": "tcp://10.0.0.1:2855",
            "WIGWAG_RELAY_SERVICE_PORT_MSRPS": "2855",
            "WIGWAG_RELAY_PORT_2855_TCP_ADDR": "10.0.0.1",
        }
    )


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    secret = written(tmp_path / "token", PROBLEM_VALUE + "\n")
    environment = {"WIGWAG_ADMIN__TOKENS": json.dumps([{"token_file": str(secret), "role": "operate"}])}
    configuration = load(environment)
    assert configuration.settings.admin.tokens[0].token == PROBLEM_VALUE
    assert load({"WIGWAG_DATABASE__URL_FILE": str(secret)}).settings.database.url == PROBLEM_VALUE


def test_a_secret_given_twice_in_one_place_is_refused(tmp_path: Path) -> None:
    secret = written(tmp_path / "url", "sqlite:///a")
    file = written(tmp_path / "w.toml", f'[database]\nurl = "sqlite:///b"\nurl_file = "{secret}"\n')
    assert "both" in complaints({}, file)[0]


@pytest.mark.parametrize("content", [None, "", "\n", "x" * 70_000])
def test_a_secret_file_that_holds_none_is_named(tmp_path: Path, content: str | None) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        written(secret, content)
    found = complaints({"WIGWAG_DATABASE__URL_FILE": str(secret)})
    assert found[0].startswith(f"database.url_file (WIGWAG_DATABASE__URL_FILE): {secret} ")


def test_neither_rows_nor_complaints_nor_repr_show_a_secret() -> None:
    environment = {
        "WIGWAG_DATABASE__URL": f"postgresql://wigwag:p:@ss{PROBLEM_VALUE}@host/db?password={PROBLEM_VALUE}",
        "WIGWAG_USERS": json.dumps([{"username": "a", "domain": "b", "password": PROBLEM_VALUE}]),
        "WIGWAG_ADMIN__TOKENS": json.dumps([{"token": PROBLEM_VALUE}]),
        "WIGWAG_RELAY__ROUTE_HOOK": json.dumps({"url": "http://h/", "token": PROBLEM_VALUE}),
    }
    configuration = load(environment)
    shown = repr(list(configuration.rows())) + repr(configuration.settings)
    assert PROBLEM_VALUE not in shown
    assert "p:@ss" not in shown
    assert (
        value_and_source(configuration, "database.url")[0] == "postgresql://wigwag:********@host/db?password=********"
    )
    broken = complaints({"WIGWAG_USERS": json.dumps([{"username": "a", "password": PROBLEM_VALUE, "ha1": 5}])})
    assert PROBLEM_VALUE not in "".join(broken)


def test_an_admin_api_that_others_reach_needs_a_token() -> None:
    found = complaints({"WIGWAG_ADMIN__HOST": "0.0.0.0"})
    assert found == [
        "admin (WIGWAG_ADMIN__HOST): admin.host 0.0.0.0 is not loopback, so admin.tokens has to hold at least one token"
    ]
    tokens = json.dumps([{"token": PROBLEM_VALUE}])
    assert load({"WIGWAG_ADMIN__HOST": "0.0.0.0", "WIGWAG_ADMIN__TOKENS": tokens}).settings.admin.tokens


@pytest.mark.parametrize("text", ["not = [toml", "\xff\xfe"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "w.toml"
    file.write_bytes(text.encode("latin-1"))
    assert complaints({}, file)[0].startswith(f"{file}: is not TOML")


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert complaints({}, tmp_path / "none.toml") == [
        f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory"
    ]


def test_a_section_that_is_no_table_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "w.toml", 'relay = "all"\nusers = 3\n')
    found = complaints({}, file)
    assert [line.split(" ")[0] for line in found] == ["relay", "users"]


@pytest.mark.parametrize(
    ("listener", "reason"),
    [
        ({"name": "a", "kind": "tls"}, "a tls listener needs certificates"),
        ({"name": "a", "kind": "peer", "certificates": [["a", "b"]]}, "a peer listener needs client_ca"),
        ({"name": "a", "kind": "udp"}, "'udp'"),
        ({"kind": "tcp"}, "Field required"),
    ],
)
def test_a_listener_that_cannot_work_is_refused(listener: dict[str, object], reason: str) -> None:
    (found,) = complaints({"WIGWAG_RELAY__LISTENERS": json.dumps([listener])})
    assert found.startswith("relay.listeners[0]")
    assert reason in found


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        ({"host": "10.0.0.5"}, "set certificate and ca, or plaintext = true"),
        ({"host": "pod-1.example.com"}, "is not an IP address"),
        ({"host": "0.0.0.0", "plaintext": True}, "set advertised_host"),
        ({"host": "::", "plaintext": True}, "set advertised_host"),
        ({"certificate": ["a", "b"]}, "certificate and ca go together"),
    ],
)
def test_pods_that_could_not_reach_each_other_safely_are_refused(cluster: dict[str, object], reason: str) -> None:
    (found,) = complaints({"WIGWAG_RELAY__CLUSTER": json.dumps(cluster)})
    assert found.startswith("relay.cluster")
    assert reason in found
