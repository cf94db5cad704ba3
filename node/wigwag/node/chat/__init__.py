"""``wigwag chat``: a conversation of two people in a terminal, over MSRP sessions, else by single messages."""
