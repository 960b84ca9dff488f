"""The ledger: what was ordered, what happened, what is held; and the brokers behind one port."""
