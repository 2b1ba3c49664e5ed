"""A cache that forgets what was used least recently, and what is too old."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class Statistics:
    """How a cache was used."""

    hits: int = 0
    misses: int = 0
    evicted: int = 0
    expired: int = 0

    @property
    def ratio(self) -> float:
        """Share of look-ups that hit, 0 where there were none."""
        total = self.hits + self.misses
        return self.hits / total if total else 0.0


class ExpiringCache(Generic[K, V]):
    """Keeps at most `size` values, each for at most `ttl` seconds of `clock`.

    Raises:
        ValueError: `size` is not positive, or `ttl` is negative.

    """

    def __init__(self, size: int, ttl: float, clock: Callable[[], float] = monotonic) -> None:
        if size < 1:
            raise ValueError("size must be positive")
        if ttl < 0:
            raise ValueError("ttl must not be negative")
        self._size = size
        self._ttl = ttl
        self._clock = clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self.statistics = Statistics()

    def __len__(self) -> int:
        self.expire()
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        entry = self._entries.get(key)
        return entry is not None and self._clock() < entry[0]

    def put(self, key: K, value: V, ttl: float | None = None) -> None:
        """Store a value, as the most recently used one; a `ttl` of its own counts instead of the cache's."""
        seconds = self._ttl if ttl is None else ttl
        self._entries[key] = (self._clock() + seconds, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self.expire()
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
            self.statistics.evicted += 1

    def get(self, key: K, default: V | None = None) -> V | None:
        """Return the value and mark it as used; `default` where it is not there or too old."""
        if key not in self._entries:
            self.statistics.misses += 1
            return default
        until, value = self._entries[key]
        if self._clock() >= until:
            del self._entries[key]
            self.statistics.misses += 1
            self.statistics.expired += 1
            return default
        self._entries.move_to_end(key)
        self.statistics.hits += 1
        return value

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        """Return the value, made and stored first where it is not there."""
        if key in self:
            self._entries.move_to_end(key)
            self.statistics.hits += 1
            return self._entries[key][1]
        self.statistics.misses += 1
        made = make()
        self.put(key, made)
        return made

    def touch(self, key: K) -> bool:
        """Begin a value's time anew; return whether it was there."""
        if key not in self:
            return False
        _, value = self._entries[key]
        self._entries[key] = (self._clock() + self._ttl, value)
        return True

    def expire(self) -> int:
        """Forget what is too old; return how many that were."""
        now = self._clock()
        old = [key for key, (until, _) in self._entries.items() if until <= now]
        for key in old:
            del self._entries[key]
        self.statistics.expired += len(old)
        return len(old)

    def keys(self) -> list[K]:
        """Return the keys, the least recently used first."""
        return list(self._entries)
