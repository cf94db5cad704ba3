"""Contracts of the gateway."""
