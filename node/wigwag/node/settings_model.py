"""What the settings' models say about themselves: which fields are sections, lists or text, how values are shown."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from wigwag.runtime.settings import SecretKind, Section, secret_kind

HIDDEN = "********"
# Greedy up to the last "@" of the authority: a password may hold ":" and "@"; some drivers take it from the query.
_URL_PASSWORD = re.compile(r"(?<=//)([^:/?#]*:).*(?=@)|(password=)[^&]*")


def section_of(annotation: Any) -> type[Section] | None:
    """Return the section that a field holds, also an optional one; None when it holds something else."""
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, Section):
            return option
    return None


def element_section(annotation: Any) -> type[Section] | None:
    """Return the section that a field holds a list of."""
    if get_origin(annotation) is not tuple:
        return None
    return section_of(get_args(annotation)[0])


def is_text(annotation: Any) -> bool:
    """Tell whether a field's value is written as it is in the environment; anything else is written as JSON."""
    return all(
        get_origin(option) is Literal or option in (str, int, float, bool, Path) for option in _options(annotation)
    )


def known_names(model: type[Section], *, depth: int = 9) -> Iterator[str]:
    """Yield the names of all settings below a section, in dotted form, with ``x_file`` for secrets.

    Fields of list elements are left out; they are known by the list's own name.
    """
    for name, info in model.model_fields.items():
        inner = section_of(info.annotation)
        yield name
        if secret_kind(info):
            yield f"{name}_file"
        if inner is not None and depth > 1:
            yield from (f"{name}.{rest}" for rest in known_names(inner, depth=depth - 1))


def show(value: Any, secret: SecretKind | None = None) -> str:
    """Return a value as it may be shown: JSON for lists, secrets hidden, nothing for None."""
    if value is None:
        return ""
    if secret is SecretKind.URL:
        return _URL_PASSWORD.sub(lambda found: (found[1] or found[2]) + HIDDEN, str(value))
    if secret is not None:
        return HIDDEN
    if isinstance(value, str | Path):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _options(annotation: Any) -> list[Any]:
    """Return a union's members without None, without Annotated."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [inner for member in get_args(annotation) if member is not type(None) for inner in _options(member)]
    return [annotation]
