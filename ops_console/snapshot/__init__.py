"""Everything the console shows live, read from the database in one go and the same for every reader."""

from datetime import datetime

from django.conf import settings
from django.template.loader import render_to_string

from ops_console.snapshot import tables
from ops_console.snapshot.board import Board, Topic
from ops_console.snapshot.desk import DATABASE_AWAY, Desk, read_desk
from ops_console.snapshot.header import header
from ops_console.snapshot.prices import prices
from ops_console.snapshot.problems import problems


def read_board(wall_now: datetime, *, earlier: Board | None = None, ledger_changed: bool = True) -> Board:
    """Return every topic. With `ledger_changed` False, the tables of orders, fills and runs are taken from `earlier`.

    A database that does not answer leaves only what says so.
    """
    desk = read_desk(wall_now)
    board: dict[str, Topic] = {"header": header(desk), "problems": problems_topic(desk)}
    if desk.account is None or desk.pnl is None or desk.market_at is None:
        return {**(earlier or {}), **board}
    try:
        board["prices"] = prices(desk.account.feed, desk.market_at)
        board["positions"] = tables.positions(desk.pnl, desk.market_at)
        board["strategies"] = tables.strategies(desk.account, desk.pnl)
        board |= _ledger(desk, earlier, ledger_changed)
    except DATABASE_AWAY:
        return board_of_nothing(wall_now, earlier=earlier or {}, redis=desk.redis)
    return board


def board_of_nothing(wall_now: datetime, *, earlier: Board, redis: bool = False) -> Board:
    """Return the board of a database that does not answer: the tables as they were, and a frame that knows nothing."""
    lost = Desk(wall_now=wall_now, mode=str(settings.TRADING_MODE), database=False, redis=redis)
    return {**earlier, "header": header(lost), "problems": problems_topic(lost)}


def problems_topic(desk: Desk) -> Topic:
    """Return the panel that says what is wrong."""
    return Topic(html=render_to_string("ops_console/panels/problems.html", {"problems": problems(desk)}))


def _ledger(desk: Desk, earlier: Board | None, changed: bool) -> dict[str, Topic]:
    names = ("working", "orders", "fills", "runs")
    if earlier is not None and not changed and all(name in earlier for name in names):
        return {name: earlier[name] for name in names}
    account = desk.account
    if account is None:
        return {}
    return {
        "working": tables.working_orders(account),
        "orders": tables.latest_orders(account),
        "fills": tables.latest_fills(account),
        "runs": tables.latest_runs(account),
    }
