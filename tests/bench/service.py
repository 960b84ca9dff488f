"""The order's transaction without HTTP: processes that call the service, beside pgbench with the same statements."""

import json
import subprocess
import sys
from statistics import median
from time import perf_counter

from execution.models import Account
from execution.services.orders import submit_orders
from tests.bench import pgbench, seeding
from tests.bench.figures import Figures, latencies, over_repeats, ratio, verdict
from tests.bench.plan import Effort
from tests.bench.workplace import REPOSITORY, child_environment

PROCESSES = (1, 4)
COMPARED_AT = 4
BATCH = 500
BATCHES = 5


def measure(effort: Effort) -> Figures:
    """Measure the service at 1 and 4 processes and pgbench at 1, 4, 10 and 100 clients, and batches of 500 orders."""
    account = Account.objects.get(name="paper")
    script = pgbench.script(account)
    ours: dict[int, list[Figures]] = {processes: [] for processes in PROCESSES}
    peer: dict[int, list[Figures]] = {clients: [] for clients in pgbench.CLIENTS}
    for _ in range(effort.repeats):
        for clients in pgbench.CLIENTS:
            peer[clients].append(pgbench.run(script, clients=clients, seconds=effort.seconds))
            if clients in ours:
                ours[clients].append(run_service(account, processes=clients, seconds=effort.seconds))
    compared = {str(count): ratio(ours[count], peer[count], "per_second") for count in PROCESSES}
    batch = batches(account)
    return {
        "service_by_processes": {str(count): over_repeats(runs) for count, runs in ours.items()},
        "pgbench_by_clients": {str(count): over_repeats(runs) for count, runs in peer.items()},
        "service_to_pgbench": compared,
        "batch_of_500": batch,
        "targets": {
            "service against pgbench, 4 clients": verdict(compared[str(COMPARED_AT)]["ratio"], least=0.40),
            "batch of 500 orders, s": verdict(batch["seconds"], most=0.5),
        },
    }


def run_service(account: Account, *, processes: int, seconds: float) -> Figures:
    """Let several processes submit to one account at the same time; they start together, each warmed up."""
    command = [sys.executable, "-m", "tests.bench.submitter", account.name, str(seconds)]
    workers = [
        subprocess.Popen(
            command, cwd=REPOSITORY, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    samples = [sample for answer in answers for sample in answer["samples"]]
    accepted = sum(answer["accepted"] for answer in answers)
    return {
        "per_second": round(sum(answer["accepted"] / answer["seconds"] for answer in answers), 1),
        **latencies(samples),
        "errors": len(samples) - accepted,
    }


def batches(account: Account) -> Figures:
    """Store 500 orders in one call, a few times."""
    taken = []
    for _ in range(BATCHES):
        intents = [seeding.intent(account) for _ in range(BATCH)]
        started = perf_counter()
        results = submit_orders(intents=intents, account=account, wall_now=seeding.wall_now())
        taken.append(perf_counter() - started)
        assert all(result.accepted and result.created for result in results)
    return {
        "orders": BATCH,
        "repeats": BATCHES,
        "seconds": round(median(taken), 4),
        "seconds_range": [round(min(taken), 4), round(max(taken), 4)],
    }
