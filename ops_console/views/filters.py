"""What lists are filtered by: read from the URL, checked, and never trusted further."""

from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest

from execution.models import Account, Order
from execution.selectors import desk_account
from execution.states import OPEN, TERMINAL, OrderStatus

PAGE_SIZE = 50
STATUS_GROUPS = {
    "open": OPEN,
    "filled": frozenset({OrderStatus.FILLED}),
    "refused": frozenset({OrderStatus.DENIED, OrderStatus.REJECTED}),
    "closed": TERMINAL,
}


def selected_account(request: HttpRequest) -> Account | None:
    """Return the account named in the URL, else the desk's; None where nothing was set up yet."""
    name = request.GET.get("account", "")
    if not name:
        return desk_account(str(settings.TRADING_MODE))
    account = Account.objects.select_related("feed").filter(name=name).first()
    if account is None:
        raise Http404(f"there is no account {name!r}")
    return account


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """The blotter's filters; empty means all."""

    status: str = ""
    symbol: str = ""
    strategy: str = ""
    day: str = ""
    text: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> "OrderFilter":
        """Read the filters of a request."""
        get = request.GET.get
        return cls(
            status=get("status", ""),
            symbol=get("symbol", "").strip().upper()[:16],
            strategy=get("strategy", "")[:40],
            day=get("day", ""),
            text=get("q", "").strip()[:128],
        )

    def condition(self) -> Q:
        """Return the filters as a condition on orders; a status or day that is none matches nothing."""
        found = Q()
        if self.status:
            found &= Q(status__in=sorted(STATUS_GROUPS.get(self.status, {self.status})))
        if self.symbol:
            found &= Q(instrument__symbol=self.symbol)
        if self.strategy:
            found &= Q(strategy__name=self.strategy)
        if self.day:
            found &= Q(trading_date=parsed_day(self.day))
        if self.text:
            found &= self._text()
        return found

    def _text(self) -> Q:
        ids = Q(client_order_id__startswith=self.text) | Q(broker_order_id=self.text)
        return ids | Q(instrument__symbol=self.text.upper()) | Q(source_ref=self.text)


def parsed_day(text: str) -> date | None:
    """Read an ISO date; None where it is none, which no order has."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def orders_of(account: Account | None, condition: Q) -> QuerySet[Order]:
    """Return an account's orders, newest first, with what a row shows."""
    rows = Order.objects.filter(condition, account=account).select_related("strategy", "instrument")
    return rows.order_by("-id")


def page_of(request: HttpRequest, rows: QuerySet[Model]) -> Page[Model]:
    """Cut a list into pages; a page number beyond the end is the last page."""
    return Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
