"""A strategy at the outpost: a process that stores baskets of orders through the gate at a steady pace.

`python -m tests.faults.outpost_source NAME PER_SECOND` prints one JSON object for each basket and ends when its
standard input is closed. A basket costs far less than as many requests, so that this many orders truly flow.
"""

import json
import sys
from threading import Event, Thread

BASKETS_PER_SECOND = 5
RESTING = 10
"""Every so many-th order rests at the broker; the market meets the others at once."""


def main(name: str, per_second: int) -> None:
    """Store baskets until the standard input is closed."""
    import django

    django.setup()
    from django.conf import settings

    from execution.selectors import desk_account
    from execution.services.orders import submit_orders
    from marketdata.clock import wall_now
    from tests.factories import D, make_intent

    ended = Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    Thread(target=listen, daemon=True).start()
    size, number = max(1, per_second // BASKETS_PER_SECOND), 0
    while not ended.is_set():
        began = wall_now()
        account = desk_account(str(settings.TRADING_MODE))
        assert account is not None, "the outpost has an account"
        wanted = []
        for _ in range(size):
            number += 1
            limit = D("99.00") if number % RESTING == 0 else D("101.00")
            wanted.append(
                make_intent(client_order_id=f"{name}-{number}", quantity=D(1), order_type="limit", limit_price=limit)
            )
        results = submit_orders(intents=wanted, account=account, wall_now=began)
        taken = [each.order.client_order_id for each in results if each.accepted and each.order is not None]
        sys.stdout.write(json.dumps({"at": wall_now().isoformat(), "taken": taken}) + "\n")
        sys.stdout.flush()
        ended.wait(max(0, 1 / BASKETS_PER_SECOND - (wall_now() - began).total_seconds()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
