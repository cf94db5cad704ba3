"""Contracts of the user agent."""
