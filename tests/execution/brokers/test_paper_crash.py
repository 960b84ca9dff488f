"""A process that is killed at any statement of a day, and started again, ends with the day's numbers."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from execution.brokers.paper import PaperBroker
from tests.execution.brokers.contract import AT
from tests.execution.brokers.paper_cases import mixed_orders, venue_state, whole_day

pytestmark = pytest.mark.django_db(transaction=True)
MOST_STATEMENTS = 400


def play(name: str) -> None:
    """Enter the orders and work the day from its start, as a resumed process does."""
    broker = PaperBroker(name)
    broker.submit_many(mixed_orders(), at=AT)
    for event in whole_day():
        broker.advance([event])


def die_at(statement: int) -> Callable[..., Any]:
    """Return a wrapper of statements which kills the process right after the given one, before its commit."""
    seen = 0

    def run(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal seen
        answer = execute(*arguments)
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return run


def play_in_child(name: str, statement: int) -> bool:
    """Play in a process that dies at the statement; tell whether it came through."""
    connection.close()
    child = os.fork()
    if child == 0:
        with connection.execute_wrapper(die_at(statement)):
            play(name)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0


def test_killed_at_each_statement_in_turn_the_day_ends_the_same():
    play("calm")
    deaths = 0
    for statement in range(1, MOST_STATEMENTS):
        if play_in_child("unlucky", statement):
            break
        deaths += 1
    assert deaths > 20
    assert venue_state("unlucky") == venue_state("calm")
