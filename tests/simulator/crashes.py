"""Processes that die in the middle of something: at a named place, before a statement, around a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from execution import crashpoints
from execution.crashpoints import Point

PLACES = [point for point in Point if not point.startswith(("run_", "wish_", "kill_between", "close_"))]
MOST_STATEMENTS = 30
NOBODY = 0


class Crash(BaseException):
    """The process is gone; a BaseException, so that nothing handles it."""


class Crashes:
    """Says when the process that works now dies; at most one plan at a time."""

    def __init__(self) -> None:
        self.statements_left = self.requests_left = 0
        self.after_request = self.asleep = False
        self.count = 0
        self.plan = ""

    def arm(self, chance: Random) -> str:
        """Plan a death of whoever works next, and say where; it may turn out that nobody comes there."""
        self.disarm()
        way = chance.choice(["place", "statement", "statement", "request"])
        if way == "place":
            point, passage = chance.choice(PLACES), chance.choice([1, 1, 2])
            crashpoints.arm(point, passage=passage)
            self.plan = f"at {point}:{passage}"
        elif way == "statement":
            self.statements_left = chance.randint(1, MOST_STATEMENTS)
            self.plan = f"before statement {self.statements_left}"
        else:
            self.requests_left, self.after_request = chance.randint(1, 3), chance.random() < 0.5
            self.plan = f"{'after' if self.after_request else 'before'} request {self.requests_left}"
        return self.plan

    def disarm(self) -> None:
        """Let everybody live."""
        self.statements_left = self.requests_left = 0
        crashpoints._plan.left = NOBODY
        crashpoints._plan.point = None

    @contextmanager
    def none(self) -> Iterator[None]:
        """Let nobody die within the block, which is the test's own."""
        before, self.asleep = self.asleep, True
        try:
            yield
        finally:
            self.asleep = before

    def die(self, *_: Any) -> None:
        """End the process that works now."""
        self.disarm()
        self.count += 1
        raise Crash(self.plan)

    def at_request(self, *, is_over: bool) -> None:
        """Die here when it is planned."""
        if self.requests_left and not self.asleep and is_over == self.after_request:
            self.requests_left -= 1
            if not self.requests_left:
                self.die()

    def _at_statement(self, execute: Callable[..., Any], *statement: Any) -> Any:
        if self.statements_left and not self.asleep:
            self.statements_left -= 1
            if not self.statements_left:
                self.die()
        return execute(*statement)

    @contextmanager
    def possible(self) -> Iterator[None]:
        """Let processes die within the block instead of the test's own."""
        with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(self._at_statement):
            patch.setattr(crashpoints, "os", SimpleNamespace(kill=self.die, getpid=lambda: NOBODY))
            try:
                yield
            finally:
                self.disarm()
