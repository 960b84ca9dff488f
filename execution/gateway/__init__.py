"""The way of an order through the gate: lock, one read, pure checks, one write.

The only place that talks SQL past the ORM, because this is the one path whose round trips under the account's lock
decide how many orders a second the platform can take.
"""
