"""Contracts of the relay."""
