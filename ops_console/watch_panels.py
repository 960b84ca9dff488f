"""What the risk page shows of the watch and of the portfolio."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from execution.models import Account
from ops_console.api.answers.risk import portfolio_answer
from ops_console.snapshot.desk import Desk
from risk.breaker_rules import Reading, Verdict
from risk.selectors import limit_book
from trading.services.portfolio_risk import portfolio_risk
from trading.services.portfolio_watch import var_pct
from trading.services.risk_watch import (
    AccountView,
    breaches_in_force,
    described,
    latest_look,
    look_again,
    read_view,
)
from trading.services.risk_watch.watch import as_row

AMOUNTS = {
    "historical_var",
    "historical_shortfall",
    "parametric_var",
    "parametric_shortfall",
    "profit",
    "long",
    "short",
    "net",
}
WORDS = {
    Verdict.GOOD: ("", "● good"),
    Verdict.WARNING: ("warn", "◆ near"),
    Verdict.OVER: ("bad", "■ over"),
    Verdict.UNREADABLE: ("bad", "■ unknown"),
}


def watch_context(desk: Desk | None) -> dict[str, Any]:
    """Return the causes as they are seen now, what is over a limit, and the portfolio; empty without an account."""
    if desk is None or desk.account is None:
        return {"causes": [], "breaches": [], "again": [], "portfolio": None, "look": None}
    account = desk.account
    view = read_view(account=account, wall_now=desk.wall_now)
    seen = look_again(account=account, wall_now=desk.wall_now, view=view)
    return {
        "look": latest_look(account),
        "causes": _rows(seen),
        "again": [one.sentence for one in seen if one.is_over],
        "breaches": [{"text": described(row), "since": row.since} for row in breaches_in_force(account.scope)],
        "portfolio": _portfolio(account, view, desk),
    }


def _rows(seen: Sequence[Reading]) -> list[dict[str, Any]]:
    rows = []
    for one in seen:
        tone, word = WORDS[one.verdict]
        rows.append({**as_row(one), "tone": tone, "word": word})
    return rows


def _portfolio(account: Account, view: AccountView, desk: Desk) -> dict[str, Any]:
    found = portfolio_risk(account=account, wall_now=desk.wall_now, view=view)
    allowed = limit_book().resolve(strategy="", symbol="").account.max_var_pct
    answer = portfolio_answer(found, equity=view.equity, share=var_pct(found, view.equity), allowed=allowed)
    betas = {row["symbol"]: row["beta"] for row in answer["betas"]}
    for part in answer["by_name"]:
        part["beta"] = betas.get(part["name"], "")
    for rows in (answer["tails"], answer["stress"], answer["by_name"], answer["by_sector"]):
        for row in rows:
            row.update({name: f"{Decimal(row[name]):,.2f}" for name in AMOUNTS & row.keys()})
    return answer
