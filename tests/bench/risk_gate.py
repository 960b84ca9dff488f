"""The gate alone: all checks on a ready case, one process, no database."""

from statistics import median
from time import perf_counter, perf_counter_ns

from execution.models import Account
from execution.services.orders import preview_orders
from risk.checks import FORM_CHECKS, RULE_CHECKS, STATE_CHECKS
from risk.gate import evaluate
from risk.types import Case
from tests.bench import seeding
from tests.bench.figures import Figures, latencies, verdict
from tests.bench.plan import Effort

CALLS = 10_000
ROUNDS = 5


def measure(_effort: Effort) -> Figures:
    """Judge one accepted order and one that is refused, many times."""
    account = Account.objects.get(name="paper")
    accepted = _case(account)
    refused = _case(account, quantity=seeding.CASH)
    assert not evaluate(accepted)[1]
    assert evaluate(refused)[1]
    figures: Figures = {"checks": len(FORM_CHECKS) + len(RULE_CHECKS) + len(STATE_CHECKS)}
    figures |= {"accepted": _judge(accepted), "refused": _judge(refused)}
    return figures | {
        "targets": {
            "judgements a second": verdict(figures["accepted"]["per_second"], least=10_000),
            "p99 of one, ms": verdict(figures["accepted"]["p99_ms"], most=1),
        }
    }


def _case(account: Account, **fields: object) -> Case:
    wish = seeding.intent(account, **fields)
    case = preview_orders(intents=[wish], account=account, wall_now=seeding.wall_now())[0].case
    assert case is not None
    return case


def _judge(case: Case) -> Figures:
    rates = []
    for _ in range(ROUNDS):
        started = perf_counter()
        for _ in range(CALLS):
            evaluate(case)
        rates.append(CALLS / (perf_counter() - started))
    samples = []
    for _ in range(CALLS):
        before = perf_counter_ns()
        evaluate(case)
        samples.append((perf_counter_ns() - before) / 1e6)
    return {
        "per_second": round(median(rates)),
        "per_second_range": [round(min(rates)), round(max(rates))],
        "p50_ms": round(latencies(samples)["p50_ms"], 4),
        "p99_ms": round(latencies(samples)["p99_ms"], 4),
        "n": CALLS,
    }
