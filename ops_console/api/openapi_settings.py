"""Settings of the OpenAPI document; nothing is imported here, because the settings module reads it."""

from typing import Any

DESCRIPTION = """
The REST API of Portcullis for programs. Send `Authorization: Token KEY`; in a browser the console's session counts too,
and writes then need its CSRF token. Bodies and answers are JSON. Money, prices and quantities are strings, so that no
number passes through binary floating point; JSON numbers are accepted and read digit by digit. Every time is UTC with
its offset. Unknown fields are refused. Lists come in pages: ask again with `cursor` set to `next_cursor`.

Every failure is `application/problem+json` (RFC 9457) with a stable `code`.
"""

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Portcullis API",
    "DESCRIPTION": DESCRIPTION.strip(),
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": False,
    "SORT_OPERATIONS": False,
    "PREPROCESSING_HOOKS": ["ops_console.api.openapi.only_the_api"],
    "ENUM_NAME_OVERRIDES": {
        "ProblemCode": "ops_console.api.codes.ProblemCode",
        "DenialCode": "ops_console.api.openapi.DENIAL_CODES",
        "LimitName": "ops_console.api.openapi.LIMIT_NAMES",
        "OrderStatus": "execution.states.OrderStatus",
        "OrderSide": "risk.types.Side",
        "OrderType": "risk.types.OrderType",
        "TimeInForce": "risk.types.TimeInForce",
        "OrderOrigin": "risk.types.Origin",
        "SwitchLevel": "risk.states.SwitchLevel",
        "BreakerState": "risk.states.BreakerState",
        "RunState": "trading.states.RunState",
        "StepState": "trading.states.StepState",
        "JobState": "trading.states.JobState",
        "BacktestKind": "signals.models.backtests.BacktestKind",
        "BacktestState": "signals.models.backtests.BacktestState",
        "ModelStatus": "signals.states.ModelStatus",
        "ModelAct": "signals.states.ModelAct",
        "ModelApprovalState": "signals.states.ApprovalState",
        "StepName": "trading.states.StepName",
        "Reconciliation": "execution.models.accounts.Account.Reconciliation",
        "TradingMode": "execution.models.accounts.Account.Mode",
        "DecisionOutcome": "risk.states.DecisionOutcome",
        "EventSource": "execution.models.orders.OrderEvent.Source",
        "FeedState": "marketdata.types.FeedState",
        "SlicingAlgo": "execution.slicing.states.Algo",
        "ParentStatus": "execution.slicing.states.ParentStatus",
        "ParentStep": "execution.slicing.states.ParentStep",
        "SliceStatus": "execution.slicing.states.SliceStatus",
    },
}
