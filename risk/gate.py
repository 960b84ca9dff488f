"""The one gate: all checks, all denials."""

from dataclasses import replace
from decimal import Decimal

from risk.checks import FORM_CHECKS, RULE_CHECKS, SOFT_CHECKS, STATE_CHECKS, Check
from risk.types import Case, Denial, OrderType

BPS = Decimal(10_000)
ZERO = Decimal(0)
PRECISION = Decimal("0.00000001")


def evaluate(case: Case) -> tuple[Case, list[Denial]]:
    """Judge one order; an empty list means accepted.

    Returns the case completed with the price and the loss that the order is to be reserved at. Nothing is cut short:
    every rule that can be judged is, so that an operator sees all reasons at once. A case whose numbers make no sense
    is judged by state and form alone, because arithmetic with them would only add noise.
    """
    form = _ask(FORM_CHECKS, case)
    if form:
        return case, _ask(STATE_CHECKS, case) + form
    completed = replace(case, reserve_price=reserve_price(case), loss_per_share=loss_per_share(case))
    return completed, _ask(STATE_CHECKS, completed) + _ask(RULE_CHECKS, completed)


def warnings_of(case: Case) -> list[Denial]:
    """Return the soft limits that an accepted case passes, in the words of a denial."""
    if case.limits.soft is None:
        return []
    return _ask(SOFT_CHECKS, replace(case, limits=case.limits.soft))


def reserve_price(case: Case) -> Decimal:
    """Return the price a share is counted at: the most a buy can cost, the most a short can be worth."""
    intent, last = case.intent, _last(case)
    if intent.sign > 0 and intent.limit_price is not None:
        return intent.limit_price
    return max(price for price in (last, intent.limit_price, intent.stop_price) if price is not None)


def loss_per_share(case: Case) -> Decimal:
    """Return what a share may lose against the last price at the moment of the fill.

    A limit loses its distance to the market when that is unfavourable; a market or stop order is assumed to cost
    `market_order_cost_bps`, and a stop its distance besides.
    """
    intent, last = case.intent, _last(case)
    if intent.limit_price is not None:
        return max(ZERO, (intent.limit_price - last) * intent.sign)
    cost = (last * case.limits.strategy.market_order_cost_bps / BPS).quantize(PRECISION)
    if intent.order_type == OrderType.STOP and intent.stop_price is not None:
        cost += max(ZERO, (intent.stop_price - last) * intent.sign)
    return cost


def _last(case: Case) -> Decimal:
    if case.price is None:
        raise ValueError("a case without a price must not get past the form checks")
    return case.price.last


def _ask(checks: tuple[Check, ...], case: Case) -> list[Denial]:
    return [denial for check in checks if (denial := check(case)) is not None]
