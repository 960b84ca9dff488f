"""Orders over HTTP with every check, durable, beside the bare floor: same server, same gunicorn, same load."""

import json
from itertools import count

from django.conf import settings
from django.db import connection

from tests.bench.figures import Figures, over_repeats, ratio, verdict
from tests.bench.floor.views import FloorOrder
from tests.bench.gunicorn import Served, served
from tests.bench.machine import CpuMeter, load
from tests.bench.plan import Effort
from tests.bench.seeding import trading_key
from tests.bench.workplace import FLOOR_SETTINGS, python_module
from trading import embedded

OURS, FLOOR = "ours", "floor"
PATHS = {OURS: "/api/v1/orders", FLOOR: "/orders"}
CLIENTS = (1, 10, 100)
_tags = count(1)


def measure(effort: Effort) -> Figures:
    """Measure both at 1, 10 and 100 clients, one right after the other, as often as the effort says."""
    with connection.schema_editor() as editor:
        editor.create_model(FloorOrder)
    headers = {OURS: {"Authorization": f"Token {trading_key()}"}, FLOOR: {}}
    runs: dict[str, dict[int, list[Figures]]] = {name: {clients: [] for clients in CLIENTS} for name in PATHS}
    with (
        served(OURS, "trading.wsgi:application", *effort.gunicorn, PROCESS_ROLE="api") as ours,
        served(
            FLOOR, "tests.bench.floor.wsgi:application", *effort.gunicorn, DJANGO_SETTINGS_MODULE=FLOOR_SETTINGS
        ) as floor,
    ):
        for server in (ours, floor):
            _ask(server, headers[server.name], clients=10, seconds=effort.warm_up_seconds)
        for _ in range(effort.repeats):
            for clients in CLIENTS:
                for server in (ours, floor):
                    figures = _ask(server, headers[server.name], clients=clients, seconds=effort.seconds)
                    runs[server.name][clients].append(figures)
    return _report(runs)


def _ask(server: Served, headers: dict[str, str], *, clients: int, seconds: float) -> Figures:
    """Put a server under load and add what it cost: CPU milliseconds a request, of the server and of PostgreSQL."""
    plan = {
        "host": "127.0.0.1",
        "port": server.port,
        "path": PATHS[server.name],
        "clients": clients,
        "seconds": seconds,
        "tag": f"{server.name}-{next(_tags)}",
        "headers": headers,
    }
    database = embedded.postmaster(embedded.layout_of(settings.VAR_DIR))
    serving, storing = CpuMeter(server.pid), CpuMeter(*([database.pid] if database else []))
    figures: Figures = json.loads(python_module("tests.bench.load", input=json.dumps(plan)).stdout)
    requests = max(figures["n"], 1)
    figures["server_cpu_ms"] = round(serving.taken() * 1000 / requests, 3)
    figures["postgres_cpu_ms"] = round(storing.taken() * 1000 / requests, 3)
    figures["load_average"] = load()[0]
    return figures


def _report(runs: dict[str, dict[int, list[Figures]]]) -> Figures:
    ours, floor = runs[OURS], runs[FLOOR]
    merged = {
        name: {str(clients): over_repeats(repeats) for clients, repeats in by_clients.items()}
        for name, by_clients in runs.items()
    }
    ratios = {str(clients): ratio(ours[clients], floor[clients], "per_second") for clients in CLIENTS}
    tails = {str(clients): ratio(ours[clients], floor[clients], "p99_ms") for clients in CLIENTS}
    return {
        "by_clients": merged,
        "throughput_ours_to_floor": ratios,
        "p99_ours_to_floor": tails,
        "targets": {
            "throughput against the floor, 100 clients": verdict(ratios["100"]["ratio"], least=0.60),
            "p50 at 1 client, ms": verdict(merged[OURS]["1"]["p50_ms"], most=6),
            "p99 at 100 clients, ms": verdict(merged[OURS]["100"]["p99_ms"], most=200),
            "errors": verdict(sum(merged[OURS][str(clients)]["errors"] for clients in CLIENTS), most=0),
        },
    }
