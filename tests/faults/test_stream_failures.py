"""A stream that is mute, half-open, cut in a frame, slow, or whose messages raise in us: told in time, nothing missed.

Paces are a tenth of the real ones, and so is the minute of a mute stream; the five seconds until people are told are
not shortened. One of each where every change is looked at; `make soak` tries each 25 times and has mute minutes at the
true paces besides. By the emulator's log every execution is in the book once.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import DataError

from execution.brokers.alpaca import frames, listener, stream, trade_updates
from execution.brokers.alpaca.budget import Budget
from execution.brokers.alpaca.trade_updates import TradeUpdates
from execution.emulator.sockets import loop_milliseconds
from execution.models import BrokerMessage, Fill
from execution.services import hearing, line_alerts
from execution.services.line_alerts import DOWN, MUTE, REST_AWAY, UNSTORED
from execution.services.updates import Taken
from marketdata.clock import wall_now
from risk.models import Alert
from tests.execution.updates.line_cases import D, Desk, FaultKind, emulated, until
from tests.factories import allow, allow_bursts
from tests.faults.cable import Cable, cable_to
from tests.faults.proofs import Proof, RecordProperty, proving, trials
from tests.faults.reckoning import fills

pytestmark = pytest.mark.django_db(transaction=True)
FEW, FULL, MINUTES = 1, 25, 5
TOLD_WITHIN, BACK_WITHIN, BOOKED_WITHIN = 5, 45, 10
"""Seconds: the alert over its threshold; the line after the fault; every fill in the book after that."""
LIVE_WITHIN = timedelta(minutes=1)
MUTE_SECONDS = 6
"""A tenth of a minute, as every pace here."""
TENTH = {
    (listener, "SILENCE"): timedelta(seconds=1),
    (listener, "TRUSTED_AGAIN"): timedelta(seconds=3),
    (listener, "LASTED"): timedelta(seconds=3),
    (listener, "FIRST_PAUSE_SECONDS"): 0.1,
    (listener, "LONGEST_PAUSE_SECONDS"): 3,
    (stream, "PING_EVERY"): timedelta(milliseconds=300),
    (stream, "ANSWER_WAIT"): timedelta(seconds=1),
    (stream, "OPEN_WAIT"): timedelta(seconds=1),
    (stream, "CLOSE_WAIT"): timedelta(milliseconds=100),
}
Patch = pytest.MonkeyPatch


@dataclass
class Wired:
    """A desk whose stream runs over a cable; REST goes straight."""

    desk: Desk
    cable: Cable
    names: int = 0
    updates: TradeUpdates | None = None

    @contextmanager
    def listening(self) -> Iterator[TradeUpdates]:
        """Run the line until the end of the block."""
        with self.desk.listening() as self.updates:
            yield self.updates
            self.updates = None

    def silent_for_too_long_at(self) -> datetime | None:
        """Return when the silence since the newest frame or pong was as long as it may be."""
        heard_at = None if self.updates is None else self.updates.listener.state.heard_at
        return None if heard_at is None else heard_at + listener.SILENCE

    def trade(self, *, orders: int = 2) -> list[str]:
        """Buy a share with each order; every order is filled at the broker at once, whatever we hear of it."""
        names = self.place(orders=orders)
        self.desk.price("100.00")
        return names

    def place(self, *, orders: int = 2) -> list[str]:
        """Send orders that the next price fills."""
        terms = {"quantity": D(1), "order_type": "limit", "limit_price": D("100.50")}
        names = [f"w{self.names + number}" for number in range(1, orders + 1)]
        self.names += orders
        for name in names:
            self.desk.order(client_order_id=name, **terms)
        return names

    def live(self) -> None:
        until(self._is_live, say=self._say, within=LIVE_WITHIN)

    def _is_live(self) -> bool:
        return self.desk.link().stream == "live" and not standing()

    def _say(self) -> str:
        return f"{self.desk.link().stream}: {self.desk.link().stream_problem}; {standing()}"

    def is_muted_now(self) -> bool:
        """Tell whether somebody listens, and nobody is told anything."""
        emulator = self.desk.emulator

        def muted() -> bool:
            now, connections = loop_milliseconds(), emulator.surface.updates._connections
            return bool(connections) and all(each.mute_at(now) for each in connections)

        return emulator.call(muted)

    def ready(self) -> None:
        """Wait until the line is live, and for so long that what REST tells first means something."""
        self.live()
        until(lambda: wall_now() - (self.desk.link().stream_since or wall_now()) > listener.GRACE)


def standing(*codes: str) -> list[str]:
    """Return the alerts about the line that stand."""
    found = Alert.objects.exclude(state="resolved").filter(code__in=codes or (MUTE, DOWN))
    return list(found.values_list("code", flat=True))


@contextmanager
def wired(desk: Desk) -> Iterator[Wired]:
    """Lay the cable of the desk's stream."""
    address = urlsplit(desk.emulator.stream_url)
    with cable_to(str(address.hostname), int(address.port or 0)) as cable:
        there = address._replace(netloc=f"{address.hostname}:{cable.port}").geturl()
        desk.line.configuration = replace(desk.line.configuration, stream_url=there)
        wide = 10**9
        allow(max_position_quantity=wide, max_position_notional=wide, max_gross_notional=wide, max_net_notional=wide)
        allow(daily_loss_pct=100, weekly_loss_pct=100, max_daily_turnover=10**11)
        yield Wired(desk, cable)


@pytest.fixture
def here(desk: Desk, monkeypatch: Patch) -> Iterator[Wired]:
    """A wired desk at a tenth of the real paces."""
    for (module, name), value in TENTH.items():
        monkeypatch.setattr(module, name, value)
    # Ten times as many requests as in life must be those of a minute.
    desk.line.budget = Budget(nanoseconds=lambda: time.monotonic_ns() * 10)
    with wired(desk) as found:
        yield found


Trouble = Callable[[Wired, Proof], None]


def told(here: Wired, proof: Proof, *, threshold: Callable[[], datetime | None], what: str) -> None:
    """Wait for the alert, and note how long after its threshold it came."""
    until(lambda: bool(standing()), say=here._say)
    first = Alert.objects.filter(code__in=(MUTE, DOWN)).exclude(state="resolved").earliest("first_at").first_at
    due = threshold()
    proof.require(due is not None, f"{what}: no threshold to measure from")
    late = max((first - (due or first)).total_seconds(), 0)
    proof.took(f"{what} told after its threshold", late, most=TOLD_WITHIN)


def rest_told_first(since: datetime) -> datetime | None:
    """Return when what REST told first since then had been owed for long enough."""
    rows = BrokerMessage.objects.filter(source="poll", kind="fill", received_at__gt=since).order_by("sequence")
    first = rows.first()
    return None if first is None else first.received_at + hearing.PATIENCE


@contextmanager
def muted(here: Wired, *, seconds: int) -> Iterator[datetime]:
    """Let every connection be mute for so long; yields when that began. It answers pings."""
    began = wall_now()
    here.desk.fault(FaultKind.MUTE_STREAM, times=None, seconds="1")
    until(here.is_muted_now)
    yield began
    over = began + timedelta(seconds=seconds)
    until(lambda: wall_now() >= over, within=timedelta(seconds=seconds + 5))
    here.desk.emulator.faults.clear()


def mute(here: Wired, proof: Proof, *, seconds: int = MUTE_SECONDS) -> None:
    """Connected, answers pings, and says nothing for a (tenth of a) minute."""
    with muted(here, seconds=seconds) as began:
        here.trade()
        told(here, proof, threshold=lambda: rest_told_first(began), what="mute")
        here.trade()


def half_open(here: Wired, proof: Proof) -> None:
    """A socket that takes bytes and never answers."""
    here.cable.hold()
    here.trade()
    told(here, proof, threshold=here.silent_for_too_long_at, what="half-open")
    here.trade()


def cut_in_a_frame(here: Wired, proof: Proof) -> None:
    """Half a frame of an acceptance, and half a frame of a fill: then nothing."""
    for cuts_a_fill in (False, True):
        cuts = here.cable.cuts
        if cuts_a_fill:
            here.place()
            until(lambda: here.desk.agrees())
        here.cable.cut_within_next_frame(after=200)
        if cuts_a_fill:
            here.desk.price("100.00")
        else:
            here.trade()
        until(lambda before=cuts: here.cable.cuts > before)
        here.trade()
        here.live()


def slow(here: Wired, proof: Proof) -> None:
    """Some bytes a second: pongs and updates come far too late."""
    here.cable.slow(piece=10, pause=1)
    here.trade(orders=4)
    told(here, proof, threshold=here.silent_for_too_long_at, what="slow")
    here.trade()


TROUBLES: list[Trouble] = [mute, half_open, cut_in_a_frame, slow]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_stream_that_fails_is_told_of_and_no_fill_is_missed(
    here: Wired, trouble: Trouble, record_property: RecordProperty
) -> None:
    with proving(f"R11 stream {trouble.__name__}", record_property) as proof, here.listening() as updates:
        for _ in range(trials(FEW, full=FULL)):
            proof.n += 1
            here.ready()
            trouble(here, proof)
            here.cable.mend()
            come_back(here, proof, updates)
        require_nothing_missed(here, proof)


def come_back(here: Wired, proof: Proof, updates: TradeUpdates) -> None:
    """Note how long the line takes to be live, reconciled and without alert, and the book to have every fill."""
    mended = wall_now()
    here.live()
    proof.took("live after", (wall_now() - mended).total_seconds(), most=BACK_WITHIN)
    until(here.desk.agrees, say=here.desk.sides)
    proof.took("booked after", (wall_now() - mended).total_seconds(), most=BACK_WITHIN + BOOKED_WITHIN)


def require_nothing_missed(here: Wired, proof: Proof) -> None:
    here.desk.settle()
    ours, theirs = fills(here.desk)
    proof.require(ours == theirs, f"missed {theirs - ours}, too many {ours - theirs}")
    proof.more = f"{theirs.total()} fills, {proof_sources()}"


def proof_sources() -> str:
    """Say who told the fills."""
    told = BrokerMessage.objects.filter(kind="fill").order_by().values_list("source", flat=True)
    return ", ".join(f"{list(told).count(name)} by {name}" for name in ("stream", "poll"))


# what raises in us


def raising(patch: Patch, error: Exception, *, first: str, times: int) -> Callable[[], int]:
    """Let the taking of updates about an order raise, so many times; returns how often it did."""
    plain, raised = frames.take_updates, 0

    def take(*, updates: Any, **fields: Any) -> Taken:
        nonlocal raised
        if raised < times and any(update.message.client_order_id == first for update in updates):
            raised += 1
            raise error
        return plain(updates=updates, **fields)

    patch.setattr(frames, "take_updates", take)
    return lambda: raised


@pytest.mark.parametrize("error", [ValueError("no such thing"), DataError("invalid input"), KeyError("side")])
@pytest.mark.parametrize("times", [1, 10**9], ids=["once", "always"])
def test_what_a_message_raises_in_us_silences_nothing(
    here: Wired, error: Exception, times: int, record_property: RecordProperty
) -> None:
    name = f"R11 handler raises {type(error).__name__} {'once' if times == 1 else 'always'}"
    with proving(name, record_property) as proof, here.listening() as updates:
        for _ in range(trials(FEW, full=FULL)):
            proof.n += 1
            here.ready()
            connections = here.cable.connections
            with pytest.MonkeyPatch.context() as patch:
                began = wall_now()
                raised = raising(patch, error, first=f"w{here.names + 1}", times=times)
                here.trade()
                until(lambda: raised() > 0)  # noqa: B023
                until(here.desk.agrees, say=here.desk.sides)
                require_told(proof, updates, began=began)
                _still_heard(here, proof, connections)
            come_back(here, proof, updates)
        require_nothing_missed(here, proof)


def require_told(proof: Proof, updates: TradeUpdates, *, began: datetime) -> None:
    """Of a message that was taken in the end nobody need know; of one that was not, people are told."""
    if not updates.counts.get("unstored"):
        return
    until(lambda: standing(UNSTORED) == [UNSTORED])
    alert = Alert.objects.filter(code=UNSTORED).latest("id")
    proof.took("told", (alert.last_at - began).total_seconds(), most=TOLD_WITHIN)
    kept = BrokerMessage.objects.filter(key__startswith="unstored:", received_at__gte=began)
    proof.require(kept.exists(), "a message that could not be taken was not kept")


def _still_heard(here: Wired, proof: Proof, connections: int) -> None:
    """Require that the next fill comes by the same connection, by the stream."""
    name = here.trade(orders=1)[0]
    by_stream = BrokerMessage.objects.filter(client_order_id=name, kind="fill", source="stream")
    by_rest = BrokerMessage.objects.filter(client_order_id=name, kind="fill", source="poll")
    until(lambda: by_stream.exists() or by_rest.exists(), say=here._say)
    proof.require(here.cable.connections == connections, "the connection was made anew")


# mute, and nobody to compare with


def test_a_stream_that_tells_nothing_while_no_requests_are_left_is_told_of(
    here: Wired, monkeypatch: Patch, record_property: RecordProperty
) -> None:
    """The line looks live: only that nothing could be compared for a while can be told, and is."""
    patience = timedelta(seconds=2)
    monkeypatch.setattr(line_alerts, "REST_BLIP", patience)
    with proving("R11 stream mute, no requests left", record_property) as proof, here.listening():
        for _ in range(trials(FEW, full=FULL)):
            proof.n += 1
            here.ready()
            here.place()
            until(here.desk.agrees, say=here.desk.sides)
            with muted(here, seconds=4):
                began = wall_now()
                here.desk.fault(FaultKind.RATE_LIMITED, times=None, match={"method": "GET"}, seconds="60")
                here.desk.price("100.00")
                until(lambda: bool(standing(REST_AWAY)), say=here._say)
                told_at = Alert.objects.filter(code=REST_AWAY).latest("id").last_at
                late = max((told_at - began - patience).total_seconds(), 0)
                proof.took("told after its threshold", late, most=TOLD_WITHIN)
                proof.require(here.desk.link().stream == "live", "the line does not look live")
            until(lambda: not standing(REST_AWAY), say=here._say)
            until(here.desk.agrees, say=here.desk.sides)
        require_nothing_missed(here, proof)


# reconciled on resume


@pytest.mark.parametrize("reads_on_resume", [True, False])
def test_what_happened_while_the_line_was_dead_is_read_when_it_is_back(
    here: Wired, monkeypatch: Patch, reads_on_resume: bool
) -> None:
    """With the regular cross-check out of reach only the look at the resumption finds it: without that nothing does."""
    if not reads_on_resume:
        monkeypatch.setattr(TradeUpdates, "_catch_up", lambda _self: None)
    monkeypatch.setattr(trade_updates, "CHECK_EVERY", timedelta(hours=1))
    with here.listening():
        here.ready()
        here.cable.hold()
        here.trade()
        until(lambda: here.desk.link().stream == "down", say=here._say)
        assert not Fill.objects.exists()
        here.cable.mend()
        here.live()
        if reads_on_resume:
            here.desk.settle()
            assert set(BrokerMessage.objects.filter(kind="fill").values_list("source", flat=True)) == {"poll"}
        else:
            with pytest.raises(AssertionError, match="not within"):
                until(here.desk.agrees, within=timedelta(seconds=2))


# the true paces


@pytest.mark.skipif("SOAK_N" not in os.environ, reason="minutes are for `make soak`")
def test_a_minute_of_silence_at_the_true_paces(record_property: RecordProperty) -> None:
    with emulated() as emulator:
        desk = Desk(emulator)
        allow_bursts()
        name = "R11 stream mute for 60 s, true paces"
        with wired(desk) as here, proving(name, record_property) as proof, here.listening() as updates:
            for _ in range(trials(1, full=MINUTES)):
                proof.n += 1
                here.ready()
                mute(here, proof, seconds=60)
                come_back(here, proof, updates)
            require_nothing_missed(here, proof)
