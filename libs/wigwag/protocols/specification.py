"""What the code conforms to, declared beside the code; docs/conformance.md is generated from it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spec:
    """One requirement of a specification that a package implements."""

    document: str
    """Name of the document, such as ``"RFC 4975"``."""
    section: str
    """Section number, such as ``"7.1.1"``."""
    title: str
    """What is implemented, in a few words."""
    test: str
    """Path of the test module or test that proves it, relative to the repository's root."""
