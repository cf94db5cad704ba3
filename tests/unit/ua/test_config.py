"""Settings of the user agent that could never work are refused where they stand."""

from typing import Any

import pytest
from pydantic import ValidationError

from wigwag.ua.config import UaSettings

RELAY = {"name": "theirs", "uri": "msrps://relay.example:2856;tcp", "username": "us"}
WEBHOOK = {"name": "desk", "webhook_url": "https://example.com/hook"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"applications": [{"name": "desk", "way": "river"}]}, "desk has the way 'river': relay, direct, theirs"),
        ({"applications": [{"name": "desk"}, {"name": "desk"}]}, "ua.applications: the name desk is taken"),
        ({"relays": [RELAY, RELAY]}, "ua.relays: the name theirs is taken"),
        ({"relays": [RELAY | {"name": "direct"}]}, "ua.relays: the name direct is taken"),
        ({"applications": [WEBHOOK]}, "desk has a webhook_url, and no webhook_secret"),
        ({"api": {"keys": [{"application": "desk", "key": "k" * 16, "scopes": ["session:read"]}]}}, "sessions:read"),
    ],
)
def test_what_could_never_work_is_named(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        UaSettings.model_validate({"relays": [RELAY], **settings})


def test_what_works_is_taken() -> None:
    applications = [{"name": "desk", "way": "theirs"}, WEBHOOK | {"name": "sales", "webhook_secret": "s" * 20}]
    settings = UaSettings.model_validate({"relays": [RELAY], "applications": applications})
    assert settings.ways == ("relay", "direct", "theirs")
