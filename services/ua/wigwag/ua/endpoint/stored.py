"""A session as it is stored, for whoever goes on with it (JSON)."""

import json
from collections.abc import Mapping
from typing import Any

from wigwag.protocols.sdp import SdpError
from wigwag.protocols.sip.dialogs import DialogState

from .descriptions import Descriptions


def stored(session_id: str, dialog: DialogState, descriptions: Descriptions) -> str:
    """Return a session with a dialog and an agreement."""
    local, remote = descriptions.local, descriptions.remote
    assert local is not None
    assert remote is not None
    content = {
        "id": session_id,
        "dialog": json.loads(dialog.to_json()),
        "local": bytes(local).decode("utf-8", "surrogateescape"),
        "remote": bytes(remote).decode("utf-8", "surrogateescape"),
        "offerer": descriptions.is_offerer,
        "way": descriptions.wish.way,
    }
    return json.dumps(content, separators=(",", ":"))


def restored(content: Mapping[str, Any], descriptions: Descriptions) -> DialogState:
    """Read a session: ``descriptions`` go on with its agreement, and its dialog is returned.

    Raises:
        ValueError: It can't be read.
    """
    try:
        descriptions.restore(
            str(content["local"]).encode("utf-8", "surrogateescape"),
            str(content["remote"]).encode("utf-8", "surrogateescape"),
            offerer=bool(content["offerer"]),
        )
        return DialogState.from_json(json.dumps(content["dialog"]))
    except (KeyError, TypeError, SdpError) as error:
        raise ValueError(f"a stored session is malformed: {error}") from error
