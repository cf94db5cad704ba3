"""How often the interpreter searches for garbage that reference counting leaves behind."""

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 100)
"""More containers than were freed, until a search; what each generation survives before the next is searched too."""


def collect_rarely() -> None:
    """Let what is there stay unsearched, and search seldom.

    SIP remembers finished transactions for 32 s (RFC 3261 table 4), tens of thousands of small objects that are no
    garbage. With the usual thresholds a third of the CPU time went into looking at them again and again. What is
    passed on makes no cycles, so there is little to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
