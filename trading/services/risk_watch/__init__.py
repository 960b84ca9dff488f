"""The account looked at each second: what trips the breaker by itself, what has passed a limit, what is reduced."""

from trading.services.risk_watch.account_view import AccountView, read_view
from trading.services.risk_watch.duty import watch_desk
from trading.services.risk_watch.over_limits import breaches_in_force, described, enforce_changed_limits
from trading.services.risk_watch.watch import Look, latest_look, look_again, watch_account

__all__ = [
    "AccountView",
    "Look",
    "breaches_in_force",
    "described",
    "enforce_changed_limits",
    "latest_look",
    "look_again",
    "read_view",
    "watch_account",
    "watch_desk",
]
