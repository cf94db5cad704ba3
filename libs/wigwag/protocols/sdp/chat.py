"""``a=chatroom``: what a chat room, or a participant, supports (RFC 7701 section 8)."""

import re
from dataclasses import dataclass

from .error import SdpError

# chatroom-attr = chatroom-label [":" chat-token *( SP chat-token)]
_TOKENS = re.compile(r"[^\s\x00-\x1f\x7f]+(?: +[^\s\x00-\x1f\x7f]+)* *|")


@dataclass(frozen=True, slots=True)
class Chatroom:
    """The other side is a chat room, or knows how to talk to one."""

    tokens: tuple[str, ...] = ()
    """As written, unknown ones too."""

    @classmethod
    def parse(cls, value: str) -> "Chatroom":
        """Parse the attribute's value, which may be empty.

        Raises:
            SdpError: It breaks the grammar.
        """
        if _TOKENS.fullmatch(value) is None:
            raise SdpError("malformed a=chatroom")
        return cls(tuple(token for token in value.split(" ") if token))

    def __str__(self) -> str:
        return " ".join(self.tokens)

    @property
    def nickname(self) -> bool:
        """Whether NICKNAME requests are understood (RFC 7701 section 7)."""
        return "nickname" in self.tokens

    @property
    def private_messages(self) -> bool:
        """Whether messages to one participant are passed on (RFC 7701 section 6.2)."""
        return "private-messages" in self.tokens
