"""A matching engine without a clock, a calendar or a database: orders and market events in, outcomes out.

`events` is what the market says, `orders` what works against it, `engine` brings both together. `admission` judges an
order on entry, `pricing`, `slippage` and `commission` say what an execution costs. The same input gives the same
output, to the last digit; the paper exchange stores what comes out (`execution.brokers.paper`).
"""
