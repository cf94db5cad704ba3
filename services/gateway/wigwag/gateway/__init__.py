"""The gateway between SIP MESSAGE and MSRP sessions."""
