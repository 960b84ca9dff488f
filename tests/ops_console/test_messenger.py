"""News leave from a thread, together when they come close together, and nobody waits for them."""

from collections.abc import Mapping
from threading import Event, current_thread
from typing import Any

import pytest

from ops_console.messenger import MOST_IDS, Messenger

PATIENCE_SECONDS = 10
News = tuple[str, Mapping[str, Any]]


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the thread from starting: the test says when it sends."""
    monkeypatch.setattr(Messenger, "_work", lambda self: None)


@pytest.mark.usefixtures("idle")
def test_news_of_one_kind_and_owner_are_one_message() -> None:
    sent: list[News] = []
    messenger = Messenger(lambda kind, ids: sent.append((kind, ids)), pause_milliseconds=1)
    messenger.post("orders", {"account_id": 1, "order_ids": [1]})
    messenger.post("orders", {"account_id": 2, "order_ids": [9]})
    messenger.post("orders", {"account_id": 1, "order_ids": [2, 3]})
    messenger.post("limits", {"change_id": 7})
    messenger.send_waiting()
    messenger.send_waiting()
    assert sent == [
        ("orders", {"account_id": 1, "order_ids": [1, 2, 3]}),
        ("orders", {"account_id": 2, "order_ids": [9]}),
        ("limits", {"change_id": 7}),
    ]


@pytest.mark.usefixtures("idle")
def test_a_message_is_bounded() -> None:
    sent: list[News] = []
    messenger = Messenger(lambda kind, ids: sent.append((kind, ids)), pause_milliseconds=1)
    for number in range(3):
        messenger.post("orders", {"account_id": 1, "order_ids": list(range(number, number + MOST_IDS - 1))})
    messenger.send_waiting()
    assert len(sent[0][1]["order_ids"]) == MOST_IDS


def test_whoever_posts_does_not_wait_and_late_news_are_sent_too() -> None:
    sent: list[str] = []
    entered, go, both = Event(), Event(), Event()

    def publish(kind: str, ids: Mapping[str, Any]) -> None:
        entered.set()
        go.wait(PATIENCE_SECONDS)
        sent.append(f"{kind} from {current_thread().name}")
        if len(sent) == 2:
            both.set()

    messenger = Messenger(publish, pause_milliseconds=1)
    messenger.post("orders", {"order_ids": [1]})
    assert entered.wait(PATIENCE_SECONDS)
    messenger.post("positions", {"position_ids": [1]})
    assert sent == []
    go.set()
    assert both.wait(PATIENCE_SECONDS)
    assert sent == ["orders from news", "positions from news"]
