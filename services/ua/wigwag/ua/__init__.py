"""The user agent: applications chat with SIP users by MSRP."""
