"""A broker that is our own desk: Alpaca's adapter at our `/alpaca`, whose desk trades at an emulator."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial

from django.db.models import Sum

from execution.brokers.alpaca import AlpacaBroker, AlpacaConfiguration
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.trade_updates import TradeUpdates
from execution.brokers.base import BrokerOrder, OrderNotCancelable, OrderRequest, ReplaceRequest
from execution.models import Account, BrokerMessage, Order
from execution.services.inbox import reports_since
from execution.states import OrderStatus
from marketdata.clock import wall_now
from ops_console.alpaca_api.identity import ORDER, uuid_of
from risk.selectors import is_engaged
from risk.services import kill_switch
from tests.execution.updates.line_cases import Desk, listening_on, until
from tests.factories import make_account
from tests.ops_console.alpaca_api.conftest import Keys, LiveServer

S = OrderStatus
UNSETTLED = (S.PENDING, S.SUBMITTED, S.PENDING_CANCEL, S.PENDING_REPLACE)
TOLD_AS = {S.CANCELED: "canceled", S.EXPIRED: "expired", S.REJECTED: "rejected", S.REPLACED: "replaced"}
SILENT = (S.DENIED, S.HELD)


class ThroughUs(AlpacaBroker):
    """The adapter at our API. Its answers come before the broker behind has given its own: each act waits for that."""

    def __init__(self, line: Line, *, desk: Desk, inbox: Account) -> None:
        super().__init__(line, reports=partial(reports_since, inbox.pk))
        self.desk, self.inbox = desk, inbox

    def submit(self, request: OrderRequest, *, at: datetime) -> BrokerOrder:
        return self._settled(super().submit(request, at=at))

    def replace(self, request: ReplaceRequest, *, at: datetime) -> BrokerOrder:
        return self._settled(super().replace(request, at=at))

    def cancel(self, *, client_order_id: str, broker_order_id: str, at: datetime) -> None:
        try:
            super().cancel(client_order_id=client_order_id, broker_order_id=broker_order_id, at=at)
        except OrderNotCancelable:
            # The kill switch, which a suspension is here, cancels what is open; a plain broker leaves that to us.
            if not (is_engaged(f"account:{self.desk.account.name}") and self._status_of(client_order_id) == S.CANCELED):
                raise
        self.settle()

    def suspend(self, suspended: bool) -> None:
        if suspended:
            super().suspend(True)
        elif is_engaged(f"account:{self.desk.account.name}"):
            # Two people release a kill switch, so a program cannot take a suspension back.
            kill_switch.disengage(
                scope=f"account:{self.desk.account.name}",
                operator="ann",
                second_operator="ben",
                reason="the drill is over",
                source="test",
                now=wall_now(),
            )
        self.settle()

    def find(self, client_order_id: str) -> BrokerOrder | None:
        # A denied order is kept with its decision and shown as rejected; a plain broker forgets what it refused.
        return None if self._status_of(client_order_id) == S.DENIED else super().find(client_order_id)

    def settle(self) -> None:
        """Wait until the broker behind has answered, the book has it all, and our client was told all of it."""
        until(self._is_settled, say=lambda: (self.desk.sides(), self._untold()))

    def _settled(self, answer: BrokerOrder) -> BrokerOrder:
        self.settle()
        found = self.find(answer.client_order_id)
        assert found is not None
        assert found.broker_order_id == answer.broker_order_id
        return found

    def _status_of(self, client_order_id: str) -> str | None:
        orders = Order.objects.filter(account=self.desk.account, client_order_id=client_order_id)
        return orders.values_list("status", flat=True).first()

    def _is_settled(self) -> bool:
        return self.desk.agrees() and not self._untold()

    def _untold(self) -> list[str]:
        """Name the orders that are on their way, and what of the others our client has not been told."""
        orders = Order.objects.filter(account=self.desk.account).exclude(status__in=SILENT)
        return [text for order in orders if (text := self._missing_of(order))]

    def _missing_of(self, order: Order) -> str:
        if order.status in UNSETTLED:
            return f"{order.client_order_id} is {order.status}"
        told = BrokerMessage.objects.filter(
            account=self.inbox, broker_order_id=uuid_of(self.desk.account, ORDER, order.pk)
        )
        filled = told.filter(kind="fill").aggregate(Sum("quantity"))["quantity__sum"] or Decimal(0)
        if filled != order.filled_quantity:
            return f"{order.client_order_id}: {filled} of {order.filled_quantity} shares told"
        kind = TOLD_AS.get(OrderStatus(order.status), "accepted")
        return "" if told.filter(kind=kind).exists() else f"{order.client_order_id}: {kind} not told"


def is_live(updates: TradeUpdates) -> bool:
    """Tell whether a line has begun and is heard."""
    return "listener" in vars(updates) and updates.listener.is_live


@contextmanager
def broker_through(server: LiveServer, keys: Keys, desk: Desk) -> Iterator[ThroughUs]:
    """Yield the adapter at our API; its stream and the one of the desk behind are heard."""
    line = Line(
        AlpacaConfiguration(
            mode="alpaca_paper",
            key_id=keys.key_id,
            secret_key=keys.secret,
            base_url=server.url,
            stream_url=server.stream_url,
            connect_milliseconds=500,
            read_milliseconds=5_000,
        )
    )
    inbox = make_account(name="inbox of the client", mode=Account.Mode.ALPACA_PAPER, feed=desk.account.feed)
    broker = ThroughUs(line, desk=desk, inbox=inbox)
    with desk.listening() as behind, listening_on(inbox, line) as ahead:
        until(lambda: is_live(behind) and is_live(ahead))
        yield broker
