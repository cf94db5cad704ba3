"""Settings of the gateway: what would do nothing, or make everything fail, is refused at the start."""

from typing import Any

import pytest
from pydantic import ValidationError

from wigwag.gateway.config import GatewaySettings


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("wake_url", "push.example.com", "http:// or https://"),
        ("wake_url", "ftp://push.example.com/", "http:// or https://"),
        ("wake_url", "http://[::1", "http:// or https://"),
        ("max_duration", float("inf"), "finite"),
        ("limits", {"page_bytes": 300}, "1000"),
        ("limits", {"message_bytes": 65_537}, "65536"),
        ("setup", {"pause": 301.0}, "gateway.setup.pause is above"),
        ("archive", {"domains": [{"domain": "sip:example.com"}]}, "the form is example.com"),
        ("archive", {"domains": [{"domain": ""}]}, "the form is example.com"),
        ("archive", {"domains": [{"domain": "a.example"}, {"domain": "A.example"}]}, "a.example stands there twice"),
    ],
)
def test_a_setting_that_can_have_no_effect_is_refused(field: str, value: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        GatewaySettings.model_validate({field: value})


def test_what_may_be_passed_may_be_less_than_what_is_sent_whole() -> None:
    assert GatewaySettings.model_validate({"limits": {"message_bytes": 160}}).limits.message_bytes == 160
