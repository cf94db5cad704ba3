"""Commands of the management interface (MI): a registry in which modules put theirs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wigwag.errors import ConflictError, ServiceError

Arguments = Mapping[str, Any]


class ArgumentError(ServiceError):
    """A command was called with the wrong arguments; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Callers are scripts that know OpenSIPS: they give arguments by position or by name, and numbers as text.
    """

    name: str
    """As OpenSIPS 4.0 spells it, ``group:verb``; ours begin with ``wigwag:``."""
    run: Callable[[Arguments], Any]
    """Takes the given arguments by name; returns what JSON can express, or an awaitable of that."""
    summary: str
    aliases: tuple[str, ...] = ()
    """Older spellings."""
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    """Follow the required ones by position."""
    lists: frozenset[str] = frozenset()
    """Names of arguments that are lists of text."""
    changes: bool = True
    """Whether it changes anything, so that the role ``operate`` is needed."""

    def bind(self, params: list[Any] | dict[str, Any]) -> Arguments:
        """Return the arguments by name, checked.

        Raises:
            ArgumentError: Too many, too few, unknown, or of another type.
        """
        names = (*self.required, *self.optional)
        if isinstance(params, list):
            if len(params) > len(names):
                raise ArgumentError(f"{self.name} takes {len(names)} arguments at most")
            params = dict(zip(names, params, strict=False))
        unknown = [name for name in params if name not in names]
        missing = [name for name in self.required if name not in params]
        if unknown:
            raise ArgumentError(f"{self.name} takes no argument {unknown[0]!r}; it knows: {', '.join(names) or 'none'}")
        if missing:
            raise ArgumentError(f"{self.name} needs {missing[0]!r}")
        return {name: self._checked(name, value) for name, value in params.items()}

    def _checked(self, name: str, value: Any) -> Any:
        if name in self.lists:
            items = value if isinstance(value, list) else [value]
            return [_text(name, item) for item in items]
        return _text(name, value)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ArgumentError(f"{name} has to be text")
    return str(value)


class Commands:
    """All commands of a process."""

    def __init__(self, commands: Iterable[Command] = ()) -> None:
        self._commands: dict[str, Command] = {}
        self.add(*commands)

    def add(self, *commands: Command) -> None:
        """Register.

        Raises:
            ConflictError: A name or alias is taken.
        """
        for command in commands:
            for name in (command.name, *command.aliases):
                if name in self._commands:
                    raise ConflictError(f"there is a command {name} already")
                self._commands[name] = command

    def find(self, name: str) -> Command | None:
        """Return the command of this name or alias; case counts, as in OpenSIPS."""
        return self._commands.get(name)

    def __iter__(self) -> Iterator[str]:
        """Yield all names and aliases, in order."""
        return iter(sorted(self._commands))
