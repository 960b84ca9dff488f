"""Alpha158 beside Qlib's own values: `make parity`."""
