"""Publish news from a thread: an order never waits for Redis, and what comes close together goes together."""

from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread
from time import sleep
from typing import Any

MOST_IDS = 500  # of one kind in one message; whoever reads it looks into the database anyway
MILLISECONDS = 1_000
Key = tuple[str, tuple[tuple[str, Any], ...]]


class Messenger:
    """Collects news and hands them to `publish`, at most once in `pause_milliseconds` for each kind.

    News that nobody has published when the process ends are lost, as are those that Redis does not take: whoever misses
    them learns the same from the database a second later.
    """

    def __init__(self, publish: Callable[[str, Mapping[str, Any]], None], *, pause_milliseconds: int) -> None:
        self._publish = publish
        self._pause_milliseconds = pause_milliseconds
        self._waiting: dict[Key, dict[str, list[Any]]] = {}
        self._lock = Lock()
        self._news = Event()
        self._thread: Thread | None = None

    def post(self, kind: str, ids: Mapping[str, Any]) -> None:
        """Take news and return; lists of ids of the same kind and owner are put together."""
        key = (kind, tuple(item for item in ids.items() if not isinstance(item[1], list)))
        with self._lock:
            lists = self._waiting.setdefault(key, {})
            for name, value in ids.items():
                if isinstance(value, list):
                    known = lists.setdefault(name, [])
                    known.extend(value[: MOST_IDS - len(known)])
            if self._thread is None or not self._thread.is_alive():  # also in a child that was forked meanwhile
                self._thread = Thread(target=self._work, name="news", daemon=True)
                self._thread.start()
        self._news.set()

    def send_waiting(self) -> None:
        """Publish what was collected."""
        self._news.clear()
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for (kind, owner), lists in waiting.items():
            self._publish(kind, {**dict(owner), **lists})

    def _work(self) -> None:
        while True:
            self._news.wait()
            self.send_waiting()
            sleep(self._pause_milliseconds / MILLISECONDS)
