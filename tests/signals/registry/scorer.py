"""A process that scores all the time and says which model it uses whenever that changes. Run by `test_live`."""

import sys
from time import sleep
from typing import Any

import django


def main() -> None:
    """Say `version_id loads` at each change, until the other end of stdin is closed."""
    django.setup()
    from select import select

    from signals.registry import live_models
    from signals.registry.live import LiveModels
    from signals.registry.loading import parse_booster

    loads = 0

    def parse(content: bytes) -> Any:
        nonlocal loads
        loads += 1
        return parse_booster(content)

    models, said = LiveModels(parse=parse), None
    assert models is not live_models
    while not select([sys.stdin], [], [], 0)[0]:
        used = models.active_model("alpha_baseline").version_id
        if used != said:
            said = used
            sys.stdout.write(f"{used} {loads}\n")
            sys.stdout.flush()
        sleep(0.02)
    sys.stdout.write(f"end {loads}\n")


if __name__ == "__main__":
    main()
