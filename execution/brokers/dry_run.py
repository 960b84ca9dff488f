"""The broker of a dry run: nothing is ever sent, held or reported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from execution.brokers.base import (
    BrokerAccount,
    BrokerActivity,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    BrokerRejected,
    BrokerReport,
    MaySend,
    OrderNotFound,
    OrderRequest,
    ReplaceRequest,
)


class DryRunBroker:
    """Dispatch reads `is_dry_run` and marks orders without a call; a call that comes nevertheless is refused."""

    name = "dry_run"
    is_dry_run = True
    not_found_grace_seconds = 0
    submit_batch_size = 500
    pause_seconds = Decimal(0)

    def __init__(self, account_name: str, *, starting_cash: Decimal) -> None:
        """Bind to the account, which keeps its starting cash (account currency) for ever."""
        self.account_name = account_name
        self.starting_cash = starting_cash

    def submit(self, request: OrderRequest, *, at: datetime) -> BrokerOrder:
        """Refuse.

        :raises BrokerRejected: always
        """
        raise refusal()

    def submit_many(
        self, requests: Sequence[OrderRequest], *, at: datetime, may_send: MaySend | None = None
    ) -> list[BrokerOrder | BrokerError]:
        """Refuse each."""
        return [refusal() for _ in requests]

    def replace(self, request: ReplaceRequest, *, at: datetime) -> BrokerOrder:
        """Know no order.

        :raises OrderNotFound: always
        """
        raise OrderNotFound(request.original_client_order_id)

    def suspend(self, suspended: bool) -> None:
        """Do nothing: nothing could leave."""

    def cancel(self, *, client_order_id: str, broker_order_id: str, at: datetime) -> None:
        """Know no order.

        :raises OrderNotFound: always
        """
        raise OrderNotFound(client_order_id)

    def find(self, client_order_id: str) -> BrokerOrder | None:
        """Return None."""
        return None

    def open_orders(self) -> list[BrokerOrder]:
        """Return nothing."""
        return []

    def reports_since(self, cursor: int, limit: int = 500) -> list[BrokerReport]:
        """Return nothing."""
        return []

    def positions(self) -> list[BrokerPosition]:
        """Return nothing."""
        return []

    def account(self) -> BrokerAccount:
        """Return the starting cash."""
        return BrokerAccount(account_number=f"DRY-RUN-{self.account_name}", cash=self.starting_cash)

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """Return None."""
        return None

    def closed_orders(self, *, after: datetime) -> list[BrokerOrder]:
        """Return nothing."""
        return []

    def position(self, symbol: str) -> BrokerPosition | None:
        """Return None."""
        return None

    def executions_of(self, *, client_order_id: str, broker_order_id: str, since: datetime, wall_now: datetime) -> int:
        """Return 0."""
        return 0

    def activities(self, *, after: datetime) -> list[BrokerActivity]:
        """Return nothing."""
        return []


def refusal() -> BrokerRejected:
    """Return the refusal of every order."""
    return BrokerRejected("a dry run sends no orders", code="dry_run")
