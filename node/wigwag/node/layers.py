"""Layers of settings: raw trees from a file or variables, checked key by key, with the place each value came from."""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic.fields import FieldInfo

from wigwag.runtime.settings import Section, secret_kind

from .settings import Settings
from .settings_model import element_section, is_text, known_names, section_of

PREFIX = "WIGWAG_"
LARGEST_SECRET = 65_536


SettingPath = tuple[str | int, ...]

# Not settings: where the file is, and a switch of the test run.
_RESERVED = frozenset({"WIGWAG_CONFIG", "WIGWAG_PASSWORD", "WIGWAG_REQUIRE_PEERS", "WIGWAG_SCENARIOS"})
# Kubernetes puts these into every pod of a namespace that has a Service whose name begins with "wigwag".
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from."""

    kind: Literal["default", "demo", "file", "environment"]
    name: str = ""
    """The file and key path, or the variable."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip() if self.kind in ("default", "demo") else self.name


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the settings."""

    setting: str
    source: str
    reason: str

    def __str__(self) -> str:
        where = f" ({self.source})" if self.source else ""
        return f"{self.setting}{where}: {self.reason}"


@dataclass(slots=True)
class Layer:
    """Values as nested dictionaries, and the source of each leaf."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[SettingPath, Source] = field(default_factory=dict)


def dotted(path: SettingPath) -> str:
    """Return ``relay.listeners[0].port`` for the path's parts."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def variable(path: SettingPath) -> str:
    """Return the environment variable of a setting, without indexes: lists are set as a whole, in JSON."""
    names = []
    for part in path:
        if isinstance(part, int):
            break
        names.append(part.upper())
    return PREFIX + "__".join(names)


class LayerReader:
    """Turns raw trees into layers and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def layer(self, tree: Mapping[str, Any], source: Callable[[SettingPath], Source]) -> Layer:
        """Check a tree's keys; values are left to pydantic."""
        layer = Layer()
        layer.values = self._section(Settings, tree, (), source, layer.sources)
        return layer

    def environment_layers(self, environment: Mapping[str, str]) -> list[Layer]:
        """Return a layer for each variable, those of outer sections first."""
        layers = []
        for name in sorted(environment):
            if name.startswith(PREFIX) and not _is_foreign(name, environment[name]):
                layer = self._variable(name, environment[name])
                layers += [layer] if layer is not None else []
        return layers

    def _variable(self, name: str, text: str) -> Layer | None:
        parts = name.removeprefix(PREFIX).lower().split("__")
        info = _field_at(parts)
        value: Any = text
        if info is not None and not is_text(info.annotation):
            try:
                value = json.loads(text)
            except ValueError as error:
                self._report(tuple(parts), Source("environment", name), f"is not JSON: {error}")
                return None
        for part in reversed(parts):
            value = {part: value}
        return self.layer(value, lambda path: Source("environment", name))

    def _section(
        self,
        model: type[Section],
        tree: Mapping[str, Any],
        path: SettingPath,
        source: Callable[[SettingPath], Source],
        sources: dict[SettingPath, Source],
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, raw in tree.items():
            name, here = self._name(model, key), (*path, key)
            if name is None:
                self._report_unknown(model, here, source(here))
                continue
            value, target = raw, (*path, name)
            if name != key:
                value = self._secret(here, raw, source(here))
                if value is None:
                    continue
            if name in values:
                self._report(target, source(here), f"and {name}_file are both given")
            if not (isinstance(value, Mapping) and section_of(model.model_fields[name].annotation)):
                sources[target] = source(here)
            values[name] = self._value(model.model_fields[name], value, target, source, sources)
        return values

    def _value(
        self,
        info: FieldInfo,
        value: Any,
        path: SettingPath,
        source: Callable[[SettingPath], Source],
        sources: dict[SettingPath, Source],
    ) -> Any:
        inner, element = section_of(info.annotation), element_section(info.annotation)
        if inner is not None and isinstance(value, Mapping):
            return self._section(inner, value, path, source, sources)
        if element is not None and isinstance(value, list):
            return [
                self._section(element, item, (*path, index), source, sources) if isinstance(item, Mapping) else item
                for index, item in enumerate(value)
            ]
        return value

    @staticmethod
    def _name(model: type[Section], key: str) -> str | None:
        """Return the field that a key sets: its own, or for ``x_file`` the secret ``x``."""
        if key in model.model_fields:
            return key
        owner = key.removesuffix("_file")
        is_secret = owner != key and owner in model.model_fields and secret_kind(model.model_fields[owner])
        return owner if is_secret else None

    def _secret(self, path: SettingPath, raw: Any, source: Source) -> str | None:
        if not isinstance(raw, str):
            self._report(path, source, "has to be the path of a file")
            return None
        try:
            with Path(raw).open(encoding="utf-8") as file:
                text = file.read(LARGEST_SECRET + 1).strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not text"
            self._report(path, source, f"{raw} cannot be read: {reason}")
            return None
        if not text or len(text) > LARGEST_SECRET:
            self._report(path, source, f"{raw} is empty or larger than {LARGEST_SECRET} bytes")
            return None
        return text

    def _report(self, path: SettingPath, source: Source, reason: str) -> None:
        self.problems.append(Problem(dotted(path), str(source), reason))

    def _report_unknown(self, model: type[Section], path: SettingPath, source: Source) -> None:
        if source.name.startswith(variable(path)) and all(isinstance(part, str) for part in path):
            known = [variable(tuple(name.split("."))).removeprefix(PREFIX) for name in known_names(Settings)]
            nearest = _nearest(source.name.removeprefix(PREFIX), known, prefix=PREFIX)
            self.problems.append(Problem(source.name, "", f"is no setting{nearest}"))
            return
        siblings = [dotted((*path[:-1], name)) for name in known_names(model, depth=1)]
        nearest = _nearest(dotted(path), siblings) or _nearest(dotted(path), list(known_names(Settings)))
        self._report(path, source, f"is no setting{nearest}")


def _is_foreign(name: str, value: str) -> bool:
    if name in _RESERVED:
        return True
    is_link = _SERVICE_LINK.search(name) or (name.endswith("_PORT") and _SERVICE_URL.match(value))
    return bool(is_link) and "__" not in name


def _field_at(parts: Sequence[str]) -> FieldInfo | None:
    """Return the field that a variable's parts lead to; None when they lead nowhere (or to a secret's file)."""
    model: type[Section] | None = Settings
    info = None
    for part in parts:
        info = model.model_fields.get(part) if model is not None else None
        if info is None:
            return None
        model = section_of(info.annotation)
    return info


def _nearest(name: str, known: Sequence[str], *, prefix: str = "") -> str:
    # One of the same section goes before one that is spelled a little more like it.
    matches = difflib.get_close_matches(name, known, n=5, cutoff=0.6)
    section = re.split(r"__|\.", name)[0]
    matches.sort(key=lambda match: re.split(r"__|\.", match)[0] != section)
    return f"; did you mean {prefix}{matches[0]}?" if matches else ""


def lay_over(below: Layer, above: Layer) -> None:
    """Put ``above`` over ``below``: sections are merged, everything else is replaced as a whole."""

    def merge(values: dict[str, Any], others: Mapping[str, Any], path: SettingPath) -> None:
        for key, value in others.items():
            here = (*path, key)
            old = values.get(key)
            if isinstance(value, Mapping) and isinstance(old, dict) and section_of(_annotation(here)) is not None:
                merge(old, value, here)
                continue
            for stale in [known for known in below.sources if known[: len(here)] == here]:
                del below.sources[stale]
            values[key] = value

    merge(below.values, above.values, ())
    below.sources.update(above.sources)


def _annotation(path: SettingPath) -> Any:
    info = _field_at([str(part) for part in path])
    return info.annotation if info is not None else None
