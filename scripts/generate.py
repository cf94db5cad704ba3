"""Writes the files that are generated from the code; with ``--check`` says which would change instead.

Nothing is generated so far but what GENERATORS lists.
"""
