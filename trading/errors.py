"""What can go wrong with runs and replays."""

from trading.states import StepName


class TradingError(Exception):
    """Base of the errors of this app; `code` is stable, the message is for people."""

    code = "trading_error"


class RunBusyError(TradingError):
    """Somebody else holds the run's lease."""

    code = "run_busy"


class LeaseLostError(TradingError):
    """The lease ran out and somebody else took the run over: nothing more may be written."""

    code = "lease_lost"


class RunFailedError(TradingError):
    """A step failed; the run is stored as failed and may be started again."""

    code = "run_failed"

    def __init__(self, run_id: int, step: StepName, cause: str) -> None:
        super().__init__(f"run {run_id} failed at step {step}: {cause}")
        self.run_id = run_id
        self.step = step


class StaleDataError(TradingError):
    """Too few symbols of the universe have a bar of the as-of session."""

    code = "stale_data"


class OrdersStillOpenError(TradingError):
    """The report has to wait: orders of the run may still fill."""

    code = "orders_still_open"


class ReplayParameterError(TradingError):
    """A parameter of a replay is not allowed; the message names it, its value and what is allowed."""

    code = "replay_parameter"


class EmptyUniverseError(TradingError):
    """There is nothing to trade."""

    code = "empty_universe"


class JobKeyUsedError(TradingError):
    """The idempotency key was used for other work."""

    code = "job_key_used"


class TooManyJobsError(TradingError):
    """The queue is full."""

    code = "too_many_jobs"

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} jobs wait already; ask again when some are done, or cancel those nobody needs")
        self.waiting = waiting


class JobOverError(TradingError):
    """The job is over: there is nothing to cancel."""

    code = "job_over"


class JobNotOverError(TradingError):
    """The job waits or runs: it cannot be asked for again."""

    code = "job_not_over"


class JobLostError(TradingError):
    """Somebody else holds the job now, or it is over: nothing more may be written."""

    code = "job_lost"
