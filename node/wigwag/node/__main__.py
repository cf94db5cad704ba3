"""``python -m wigwag.node``: the same as the ``wigwag`` command."""

from .cli import main

main()
