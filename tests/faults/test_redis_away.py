"""R8 and R9: Redis emptied in the middle of a day, and stopped: trading, stopping and logging in do not need it.

The kill switch, limits, sessions and the counts of tries to log in are in PostgreSQL. A few seconds where every change
is looked at; `make soak` for 100 and for 20 times a minute.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.faults.outpost import LOCAL, PAUSE, Outpost, until
from tests.faults.outpost_seed import PASSWORD, PILOT
from tests.faults.proofs import Proof, RecordProperty, proving, trials
from tests.faults.traffic import traffic
from trading import embedded

RESYNC, SHOWN_DEGRADED, ACKNOWLEDGED = 3.0, 5.0, 1.0
"""Seconds until a page shows what is stored, until it shows that Redis is away, until the kill switch answers."""
CELLS = ("kill.state", "orders.count", "light.redis")
LIMITS = "SELECT name, strategy, symbol, value FROM risk_limit ORDER BY 1, 2, 3"
SWITCH = "SELECT scope, engaged, level FROM risk_killswitchevent ORDER BY id DESC LIMIT 1"


class Page:
    """A page of the console as a browser keeps it: a snapshot, and what changed since."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.cells, self.sequence = socket, {}, 0
        self.gaps = 0

    def read(self, seconds: float = 0.2) -> None:
        """Take in what comes within a moment."""
        with suppress(TimeoutError):
            while True:
                message: dict[str, Any] = json.loads(self.socket.recv(timeout=seconds))
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "snapshot":
            self.cells = {}
            for topic in message["data"].values():
                self.cells |= topic.get("cells", {})
        else:
            self.gaps += message["seq"] != self.sequence + 1
            self.cells |= message["data"].get("cells", {})
        self.sequence = message["seq"]

    def shows(self, name: str) -> str:
        """Return a cell's tone, or its text where it has none."""
        text, tone, *_ = self.cells.get(name, ("", ""))
        return str(tone or text)

    def until(self, name: str, shown: Callable[[str], bool]) -> float:
        """Read until a cell shows it; returns the seconds that it took."""

        def is_shown() -> bool:
            self.read(0.05)
            return shown(self.shows(name))

        return until(is_shown, say=lambda: self.cells)


@contextmanager
def open_page(outpost: Outpost) -> Iterator[Page]:
    """Open the console's socket as somebody who is logged in."""
    address, origin = f"ws://{LOCAL}:{outpost.port}/ws/console/", f"http://{LOCAL}:{outpost.port}"
    cookie = {"Cookie": f"sessionid={outpost.cookie}"}
    with connect(address, origin=origin, additional_headers=cookie, proxy=None, max_size=None) as socket:
        page = Page(socket)
        page.until("light.redis", bool)
        yield page


def tried_log_in(outpost: Outpost, proof: Proof) -> None:
    """Log in with the right password and with a wrong one; neither may be a failure of ours."""
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    token = outpost.ask("GET", "/login", port=outpost.port)
    cookie = token.headers.get("Set-Cookie", "").partition(";")[0]
    field = token.body.decode().partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    for name, password, allowed in ((PILOT, PASSWORD, {302, 429}), ("nobody", "wrong", {200, 429})):
        body = f"csrfmiddlewaretoken={field}&username={name}&password={password.replace(' ', '+')}"
        reply = outpost.ask("POST", "/login", body, port=outpost.port, Cookie=cookie, **form)
        proof.require(reply.status in allowed, f"log-in of {name}: {reply.status} {reply.body[:200]!r}")


def require_orders_and_switch(outpost: Outpost, proof: Proof, name: str) -> None:
    """Trade, stop, see that it is stopped, and go on."""
    reply = outpost.order(f"{name}-traded")
    proof.require(reply.status == 201, f"order: {reply.status} {reply.body[:200]!r}")
    until(lambda: f"{name}-traded" in outpost.sent(), say=outpost.tails)
    pressed = outpost.engage()
    proof.require(pressed.status == 200, f"engage: {pressed.status}")
    proof.took("kill switch answered", pressed.seconds, most=ACKNOWLEDGED)
    refused = outpost.order(f"{name}-stopped")
    proof.require(b"KILL_SWITCH" in refused.body, f"not stopped: {refused.status}")


def test_an_emptied_redis_changes_nothing_that_counts(outpost: Outpost, record_property: RecordProperty) -> None:
    with proving("R8 Redis emptied", record_property) as proof, open_page(outpost) as page:
        for number in range(trials(3, full=100)):
            proof.n += 1
            name = f"flush-{outpost.tag}-{number}"
            with traffic(outpost, name) as seen:
                until(lambda seen=seen: len(seen.acknowledged()) >= 5, say=outpost.tails)
                before = outpost.sql(LIMITS), outpost.sql(SWITCH)
                assert embedded.ask_redis(outpost.layout, b"FLUSHALL") == b"+OK\r\n"
                until(lambda seen=seen: len(seen.acknowledged()) >= 10, say=outpost.tails)
            # A machine that does other things may keep a lock for longer than a request waits: 503, and safe to repeat.
            proof.require(set(seen.statuses()) <= {201, 503}, f"answers {seen.statuses()}")
            proof.require(before == (outpost.sql(LIMITS), outpost.sql(SWITCH)), "limits or switch have changed")
            proof.require(outpost.page().status == 200, "the session is gone")
            require_orders_and_switch(outpost, proof, name)
            assert embedded.ask_redis(outpost.layout, b"FLUSHALL") == b"+OK\r\n"
            proof.require(b"KILL_SWITCH" in outpost.order(f"{name}-again").body, "emptying Redis let trading go on")
            proof.took("page shows the switch", page.until("kill.state", lambda tone: tone == "on"), most=RESYNC)
            with open_page(outpost) as fresh:
                shown = until(lambda fresh=fresh: agree(page, fresh), say=lambda fresh=fresh: (page.cells, fresh.cells))
            proof.took("pages agree", shown, most=RESYNC)
            proof.require(page.gaps == 0, f"{page.gaps} gaps in the numbers")
            outpost.release()
            until(outpost.may_trade, say=outpost.tails)
            page.until("kill.state", lambda tone: tone == "off")


def agree(page: Page, fresh: Page) -> bool:
    """Tell whether a page that was open shows what a new one does."""
    page.read(0.05)
    fresh.read(0.05)
    return all(page.shows(name) == fresh.shows(name) for name in CELLS)


def test_without_redis_orders_the_switch_and_log_ins_work_and_pages_say_so(
    outpost: Outpost, record_property: RecordProperty
) -> None:
    with proving("R9 Redis stopped", record_property) as proof, open_page(outpost) as page:
        seconds = trials(3, full=60)
        for number in range(trials(1, full=20)):
            proof.n += 1
            name = f"redis-{outpost.tag}-{number}"
            outpost.stop_redis()
            shown = page.until("light.redis", lambda tone: tone == "bad")
            proof.took("page shows that Redis is away", shown, most=SHOWN_DEGRADED)
            proof.require("off" in page.cells["prices.source"][0], f"prices: {page.cells['prices.source']}")
            tried_log_in(outpost, proof)
            require_orders_and_switch(outpost, proof, name)
            proof.took("page shows the switch", page.until("kill.state", lambda tone: tone == "on"), most=RESYNC)
            PAUSE.wait(seconds)
            outpost.release()
            until(outpost.may_trade, say=outpost.tails)
            proof.require(outpost.order(f"{name}-later").status == 201, "no order after the release")
            outpost.start_redis()
            back = page.until("light.redis", lambda tone: tone == "good")
            proof.took("page shows that Redis is back", back, most=SHOWN_DEGRADED)
