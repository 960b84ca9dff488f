"""Habits that a reviewer would otherwise have to look for."""

import ast

from tests.architecture.source import sources

# A worker's outermost loop logs whatever happens and goes on; nothing else may swallow what it does not know.
OUTERMOST_LOOPS = {
    "trading/management/worker.py": "the rounds of the worker processes",
    "trading/services/duty_rounds.py": "the clock's duties, each a loop of its own",
    "execution/services/slices/working.py": "the parents of one task, one by one; the last failure is raised",
    "execution/brokers/alpaca/frames.py": "the hearing of a broker's stream, frame by frame",
    "execution/brokers/alpaca/trade_updates.py": "the cross-check by REST beside it, round by round",
    "ops_console/hub.py": "the looks that feed all open pages",
    "signals/engine/worker.py": "a part's failure crosses to another process, where it is raised again",
}
# Where time enters: interfaces take it from the clock and pass it on. `marketdata/clock.py` is that clock.
CLOCKS = {
    "marketdata/clock.py": "the clock",
    "marketdata/calendar.py": "how many years its table reaches; no answer about a date depends on it",
    "trading/supervisor.py": "when a child entered its state, for the state file",
}
READERS = {"now", "utcnow", "today", "localtime", "localdate", "time"}
INTERFACE_PARTS = ("/management/", "/views", "/api/", "/consumers", "/tasks.py", "/admin", "/middleware", "/health")
WALL_INTERFACES = ("trading/preparation.py", "ops_console/")
DEFAULTED = {"marketdata/selectors.py": "prices for display, where no market time is given"}


def test_no_print():
    wrong = [
        source.at(node)
        for source in sources()
        for node in source.nodes(ast.Call)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert wrong == []


def swallows_everything(node: ast.ExceptHandler) -> bool:
    """Say whether a handler takes any error and does not raise one at its end."""
    if isinstance(node.body[-1], ast.Raise):
        return False
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in BLANKET) for kind in caught)


BLANKET = {"Exception", "BaseException"}


def test_only_outermost_loops_swallow_everything():
    wrong = [
        source.at(node)
        for source in sources()
        if source.path not in OUTERMOST_LOOPS
        for node in source.nodes(ast.ExceptHandler)
        if isinstance(node, ast.ExceptHandler) and swallows_everything(node)
    ]
    assert wrong == []


def reads_time(node: ast.AST) -> bool:
    """Say whether a call asks the machine for the time, such as `timezone.now()`, `date.today()` or `time.time()`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in READERS:
        return False
    owner = node.func.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name in {"datetime", "date", "timezone", "time"}


def test_the_clock_alone_reads_the_machine():
    wrong = [
        source.at(node)
        for source in sources()
        if source.path not in CLOCKS
        for node in source.nodes(ast.Call)
        if reads_time(node)
    ]
    assert wrong == []


def test_only_interfaces_ask_the_clock():
    """Services, selectors and pure modules are told the time."""
    wrong = [
        source.at(node)
        for source in sources()
        if not source.path.startswith(WALL_INTERFACES)
        and not any(part in f"/{source.path}" for part in INTERFACE_PARTS)
        and source.path not in CLOCKS | DEFAULTED
        for node in source.nodes(ast.Call)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "wall_now"
    ]
    assert wrong == []


def test_commands_print_through_their_own_streams():
    wrong = [
        source.at(node)
        for source in sources()
        if "/management/commands/" in source.path
        for node in source.nodes(ast.Attribute)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.attr == "write"
        and node.value.attr in {"stdout", "stderr"}
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id == "sys"
    ]
    assert wrong == []
