"""Reads the settings: environment over TOML file over defaults, every mistake found at once and named.

Each layer is a tree of values with, for every leaf, the place it came from. A layer is checked key by key against the
models (unknown keys get the nearest known name, ``x_file`` beside a secret ``x`` is read), laid over the one below,
and the result goes through pydantic once; its complaints are translated back to the places.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wigwag.errors import ConfigurationError
from wigwag.runtime.settings import Section, secret_kind

from .layers import Layer, LayerReader, Problem, SettingPath, Source, dotted, lay_over
from .settings import Settings
from .settings_model import element_section, section_of, show

DEFAULT_FILE = Path("wigwag.toml")
DEFAULT = Source("default")


class InvalidSettingsError(ConfigurationError):
    """At least one setting is wrong; the text has a line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of ``check-config``."""

    setting: str
    value: str
    source: Source


@dataclass(frozen=True, slots=True)
class Configuration:
    """Valid settings and where each came from."""

    settings: Settings
    sources: Mapping[SettingPath, Source]
    file: Path | None

    def rows(self) -> Iterator[Row]:
        """Yield each setting with its value, secrets hidden, and its source."""
        yield from self._rows(self.settings, ())

    def _rows(self, section: Section, path: SettingPath) -> Iterator[Row]:
        for name, info in type(section).model_fields.items():
            value, here = getattr(section, name), (*path, name)
            if isinstance(value, Section):
                yield from self._rows(value, here)
            elif isinstance(value, tuple) and value and isinstance(value[0], Section):
                for index, element in enumerate(value):
                    yield from self._rows(element, (*here, index))
            else:
                yield Row(dotted(here), show(value, secret_kind(info)), self.sources.get(here, DEFAULT))


def load(
    environment: Mapping[str, str],
    *,
    file: Path | None = None,
    demo: Mapping[str, Any] | None = None,
) -> Configuration:
    """Read the settings.

    Args:
        environment: The process's variables.
        file: TOML file; None: ``WIGWAG_CONFIG``, else ``wigwag.toml`` in the working directory when there is one.
        demo: Values between the defaults and the file.

    Raises:
        InvalidSettingsError: Something is wrong; all mistakes are in it.
    """
    path = _chosen_file(environment, file)
    reader = LayerReader()
    layers = [Layer()]
    if demo is not None:
        layers.append(reader.layer(demo, lambda path: Source("demo", "")))
    if path is not None:
        layers.append(reader.layer(_toml(path), lambda key: Source("file", f"{path}: {dotted(key)}")))
    layers += reader.environment_layers(environment)
    merged = Layer()
    for layer in layers:
        lay_over(merged, layer)
    settings, invalid = _validated(merged)
    problems = [*reader.problems, *invalid]
    if problems or settings is None:
        raise InvalidSettingsError(problems)
    return Configuration(settings, merged.sources, path)


def _chosen_file(environment: Mapping[str, str], file: Path | None) -> Path | None:
    if file is not None:
        return file
    if "WIGWAG_CONFIG" in environment:
        return Path(environment["WIGWAG_CONFIG"])
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSettingsError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettingsError([Problem(str(path), "", f"is not TOML: {error}")]) from error


def _validated(layer: Layer) -> tuple[Settings | None, list[Problem]]:
    try:
        return Settings.model_validate(layer.values), []
    except ValidationError as error:
        return None, [_translated(layer, item["loc"], item["msg"]) for item in error.errors(include_url=False)]


def _translated(layer: Layer, location: SettingPath, message: str) -> Problem:
    reason = message.removeprefix("Value error, ")
    value = _value_at(layer.values, location)
    if isinstance(value, str | int | float) and not _is_secret(location):
        reason = f"{reason}, not {value!r}"
    return Problem(dotted(location), ", ".join(_places(layer.sources, location)), reason)


def _places(sources: Mapping[SettingPath, Source], path: SettingPath) -> list[str]:
    """Return where a setting was given, or what is around it, or, for a section, all that is inside."""
    for length in range(len(path), 0, -1):
        if path[:length] in sources:
            return [str(sources[path[:length]])]
    return sorted({str(source) for inner, source in sources.items() if inner[: len(path)] == path})


def _value_at(values: Any, path: SettingPath) -> Any:
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _is_secret(path: SettingPath) -> bool:
    model: type[Section] | None = Settings
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        info = model.model_fields.get(part)
        if info is None:
            return False
        if secret_kind(info):
            return True
        model = section_of(info.annotation) or element_section(info.annotation)
    return False
