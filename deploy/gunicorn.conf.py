"""Gunicorn for the API's own processes: two synchronous workers serve more requests a second than threads do."""

import os

bind = f"127.0.0.1:{int(os.environ.get('PORT', '8000')) + 1}"
worker_class = "sync"
workers = int(os.environ.get("API_WORKERS", "2"))
timeout = 30
graceful_timeout = 10
max_requests = 100_000
max_requests_jitter = 10_000
backlog = 512
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 -- heartbeats, no data
control_socket_disable = True
errorlog = "-"
loglevel = "warning"
