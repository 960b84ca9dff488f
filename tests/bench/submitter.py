"""One process that submits orders through the service: `python -m tests.bench.submitter ACCOUNT SECONDS`.

Writes a line when it is warm, waits for a line, then submits until the time is over and writes its figures.
"""

import json
import os
import sys
from itertools import count
from time import perf_counter

import django

WARM_UP = 20


def main(name: str, seconds: float) -> None:
    """Submit one order after the other."""
    from execution.models import Account
    from execution.services.orders import submit_order
    from tests.bench import seeding

    account = Account.objects.get(name=name)
    numbers = count(1)
    samples: list[float] = []

    def submit() -> bool:
        wish = seeding.intent(account, client_order_id=f"service-{os.getpid()}-{next(numbers)}")
        return submit_order(intent=wish, account=account, wall_now=seeding.wall_now()).accepted

    for _ in range(WARM_UP):
        submit()
    sys.stdout.write("warm\n")
    sys.stdout.flush()
    sys.stdin.readline()
    begun = perf_counter()
    accepted = 0
    while (started := perf_counter()) < begun + seconds:
        accepted += submit()
        samples.append((perf_counter() - started) * 1000)
    json.dump({"accepted": accepted, "seconds": perf_counter() - begun, "samples": samples}, sys.stdout)


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1], float(sys.argv[2]))
