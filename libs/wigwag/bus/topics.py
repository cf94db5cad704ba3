"""The topics that a bus was told of."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import Topic


@dataclass(frozen=True, slots=True)
class KeptTopic:
    """A topic and how long its records are kept."""

    name: str
    retention: float
    """Seconds."""


class Topics:
    """Declared topics, with those of their dead letters.

    Args:
        retention: Seconds that records are kept when a topic doesn't say otherwise.
    """

    def __init__(self, retention: float) -> None:
        self._retention = retention
        self._known: dict[str, Topic] = {}

    def declare(self, topics: Iterable[Topic]) -> None:
        """Make topics known.

        Raises:
            ValueError: One was declared otherwise before, or is a topic of dead letters, which comes by itself.
        """
        for topic in topics:
            if topic.is_dead:
                raise ValueError(f"topic {topic.name} comes with the topic whose dead letters it holds")
            if self._known.setdefault(topic.name, topic) != topic:
                raise ValueError(f"topic {topic.name} was declared otherwise before")
            dead = topic.dead(self._retention)
            self._known[dead.name] = dead

    def __getitem__(self, name: str) -> Topic:
        """Return a topic.

        Raises:
            ValueError: It was not declared.
        """
        topic = self._known.get(name)
        if topic is None:
            raise ValueError(f"topic {name!r} was not declared")
        return topic

    def __iter__(self) -> Iterator[Topic]:
        """Yield all, dead letters included."""
        return iter(tuple(self._known.values()))

    def to_consume(self, name: str) -> Topic:
        """Return a topic that a group may consume.

        Raises:
            ValueError: It was not declared, or holds dead letters: those are replayed.
        """
        topic = self[name]
        if topic.is_dead:
            raise ValueError(f"topic {name} holds dead letters: replay it")
        return topic

    def dead(self, name: str) -> Topic:
        """Return the topic of another's dead letters."""
        return self[self[name].dead(self._retention).name]

    def with_retention(self) -> Iterator[KeptTopic]:
        """Yield every topic with the time that its records are kept."""
        for topic in self:
            yield KeptTopic(topic.name, topic.retention or self._retention)
