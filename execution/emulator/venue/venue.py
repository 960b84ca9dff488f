"""The venue as its surface and tests use it: every call is one thing that a client, a person or the market does."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Any

from execution.alpaca_wire.errors import order_not_found
from execution.alpaca_wire.orders import OrderBody, ReplaceBody
from execution.emulator.clock import VenueClock
from execution.emulator.faults import FaultPlan
from execution.emulator.log import EventLog
from execution.emulator.market import Market, SteeredMarket
from execution.emulator.venue import canceling, closing, entry, queries, reads, replacing, sessions, steering
from execution.emulator.venue.ledger import Ledger
from execution.emulator.venue.orders import VenueOrder
from execution.emulator.venue.queries import ActivityQuery, HistoryQuery, OrderQuery
from execution.emulator.venue.settings import VenueSettings
from execution.emulator.venue.state import Listener, VenueState


class Venue:
    """One account at the broker. No I/O; called from one thread; the same calls at the same times say the same.

    Every call first lets the market catch up with the clock where that has moved on. What is asked for (a cancel, a
    replacement, a new order's way to the exchange) is done at the next look at the market: `pump`.
    """

    def __init__(
        self, *, settings: VenueSettings, market: Market, clock: VenueClock, faults: FaultPlan, log: EventLog
    ) -> None:
        now = clock.now()
        self.state = VenueState(
            settings=settings,
            market=market if isinstance(market, SteeredMarket) else SteeredMarket(market),
            clock=clock,
            faults=faults,
            log=log,
            at=now,
            pumped_at=now,
            opened_at=now,
            chance=Random(settings.seed),
            ledger=Ledger(settings.starting_cash),
        )
        log.add("opened", at=now, account_number=settings.account_number, starting_cash=settings.starting_cash)

    @property
    def listeners(self) -> list[Listener]:
        """Return who is told of every trade update; append to it."""
        return self.state.listeners

    @listeners.setter
    def listeners(self, listeners: list[Listener]) -> None:
        self.state.listeners = listeners

    @property
    def market(self) -> SteeredMarket:
        """Return the market as it is here: with prices that were set by hand, and halts."""
        return self.state.market

    # time

    def pump(self, now: datetime) -> None:
        """Let the market and everything pending move up to `now` (market time)."""
        sessions.pump(self.state, now)

    def _caught_up(self) -> VenueState:
        now = self.state.clock.now()
        if now > self.state.pumped_at:
            self.pump(now)
        return self.state

    # orders

    def submit(self, body: OrderBody) -> dict[str, Any]:
        """Take an order; the answer is the order as it was when it was taken.

        :raises WireError: 403 or 422
        """
        state = self._caught_up()
        return self._taken(entry.submit(state, body))

    def order(self, order_id: str, *, nested: bool = False) -> dict[str, Any]:
        """Return an order by the broker's id.

        :raises WireError: 404
        """
        return self._shown(self._caught_up().orders.get(order_id), order_id, nested=nested)

    def order_by_client_id(self, client_order_id: str) -> dict[str, Any]:
        """Return an order by the client's id.

        :raises WireError: 404
        """
        return self._shown(self._caught_up().orders.by_client_id(client_order_id), client_order_id, nested=False)

    def orders(self, query: OrderQuery | None = None) -> list[dict[str, Any]]:
        """Return a page of orders."""
        return queries.find_orders(self._caught_up(), query or OrderQuery())

    def replace(self, order_id: str, body: ReplaceBody) -> dict[str, Any]:
        """Ask for an order's replacement and return the new order.

        :raises WireError: 404, 403, 422; 500 where the plan of faults says so, and it is replaced all the same
        """
        state = self._caught_up()
        return self._taken(replacing.replace_order(state, state.orders.get(order_id), body))

    def cancel(self, order_id: str) -> None:
        """Ask for an order's cancel.

        :raises WireError: 404, 422
        """
        state = self._caught_up()
        canceling.cancel(state, state.orders.get(order_id))

    def cancel_all(self) -> list[dict[str, Any]]:
        """Ask for the cancel of every open order; one answer each, with its own status."""
        return canceling.cancel_all(self._caught_up())

    # positions

    def positions(self) -> list[dict[str, Any]]:
        """Return every position.

        :raises WireError: 500 where the plan of faults says so
        """
        return reads.positions(self._caught_up())

    def position(self, symbol_or_asset_id: str) -> dict[str, Any]:
        """Return one position.

        :raises WireError: 404
        """
        state = self._caught_up()
        return reads.position_of(state, reads.symbol_of(state, symbol_or_asset_id))

    def close_position(
        self, symbol_or_asset_id: str, quantity: Decimal | None = None, percentage: Decimal | None = None
    ) -> dict[str, Any]:
        """Enter the market order that closes a position or a part of it.

        :raises WireError: 404, 403, 422
        """
        state = self._caught_up()
        symbol = reads.symbol_of(state, symbol_or_asset_id)
        return self._taken(closing.close_position(state, symbol, quantity=quantity, percentage=percentage))

    def close_all(self, cancel_orders: bool = False) -> list[dict[str, Any]]:
        """Close every position; one answer each, with its own status."""
        return closing.close_all(self._caught_up(), cancel_orders=cancel_orders)

    # the account

    def account(self) -> dict[str, Any]:
        """Return the account."""
        return reads.account(self._caught_up())

    def configurations(self) -> dict[str, Any]:
        """Return the account's configurations."""
        return reads.configurations(self._caught_up())

    def configure(self, body: dict[str, Any]) -> dict[str, Any]:
        """Change the account's configurations and return them.

        :raises WireError: 422
        """
        return reads.configure(self._caught_up(), body)

    def activities(self, query: ActivityQuery | None = None) -> list[dict[str, Any]]:
        """Return a page of the account's activities."""
        return queries.find_activities(self._caught_up(), query or ActivityQuery())

    def portfolio_history(self, query: HistoryQuery | None = None) -> dict[str, Any]:
        """Return the equity over time."""
        return reads.portfolio_history(self._caught_up(), query or HistoryQuery())

    # the market

    def clock(self) -> dict[str, Any]:
        """Return the market clock."""
        return reads.clock(self._caught_up())

    def calendar(self, start: date, end: date) -> list[dict[str, str]]:
        """Return the sessions from start to end.

        :raises WireError: 422
        """
        return reads.calendar_days(start, end)

    def assets(self) -> list[dict[str, Any]]:
        """Return every security."""
        return reads.assets(self.state)

    def asset(self, symbol_or_asset_id: str) -> dict[str, Any]:
        """Return one security.

        :raises WireError: 404
        """
        return reads.asset(self.state, symbol_or_asset_id)

    # control

    def tick(
        self,
        symbol: str,
        *,
        last: Decimal,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
        volume: Decimal | None = None,
    ) -> None:
        """Set a symbol's prices from now on and let orders meet them; `volume` is what trades there, once."""
        state = self._caught_up()
        state.market.steered.say(symbol, last=last, bid=bid, ask=ask, volume=volume, at=state.moment())
        self.pump(state.clock.now())

    def external_order(self, body: OrderBody) -> dict[str, Any]:
        """Enter an order as somebody else with the same account does.

        :raises WireError: as any order
        """
        return steering.external_order(self._caught_up(), body).answer()

    def set_position(self, symbol: str, quantity: Decimal, price: Decimal) -> None:
        """Let the account hold so many shares, as by a transfer.

        :raises WireError: 422
        """
        steering.set_position(self._caught_up(), symbol, quantity, price)

    def liquidate(self, symbol: str) -> dict[str, Any]:
        """Let the broker close a position by its own order, and cancel the symbol's orders before.

        :raises WireError: 404, 422
        """
        return steering.liquidate(self._caught_up(), symbol).answer()

    def split(self, symbol: str, ratio: Decimal) -> None:
        """Split a symbol now: `ratio` new shares for an old one.

        :raises WireError: 422
        """
        steering.split(self._caught_up(), symbol, ratio)

    def block(
        self,
        trading_blocked: bool | None = None,
        account_blocked: bool | None = None,
        suspended: bool | None = None,
        shorting_enabled: bool | None = None,
    ) -> None:
        """Set what the account may do."""
        steering.block(
            self._caught_up(),
            trading_blocked=trading_blocked,
            account_blocked=account_blocked,
            suspended=suspended,
            shorting_enabled=shorting_enabled,
        )

    def bust(self, execution_id: str) -> None:
        """Take an execution back.

        :raises WireError: 404
        """
        steering.bust(self._caught_up(), execution_id)

    def pay(self, kind: str, amount: Decimal, *, symbol: str = "", tell: bool = True) -> None:
        """Let cash come in or go out without a trade.

        :raises WireError: 422
        """
        steering.pay(self._caught_up(), kind, amount, symbol=symbol, tell=tell)

    def halt(self, symbol: str) -> None:
        """Stop trading in a symbol."""
        steering.halt(self._caught_up(), symbol)

    def resume(self, symbol: str) -> None:
        """Let a symbol trade again."""
        steering.resume(self._caught_up(), symbol)

    def _shown(self, order: VenueOrder, asked: str, *, nested: bool) -> dict[str, Any]:
        if queries.is_hidden(self.state, order):
            raise order_not_found(asked)
        return queries.answer(self.state, order, nested=nested)

    def _taken(self, order: VenueOrder) -> dict[str, Any]:
        """Return a new order as it was taken: what the stream has told since is not in the answer."""
        return {**(order.taken or order.answer())}
