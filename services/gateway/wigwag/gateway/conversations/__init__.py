"""Conversations: which session joins two parties at this moment, and how it is had."""
