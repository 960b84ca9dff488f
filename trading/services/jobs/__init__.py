"""Long work: asked for by people and programs, carried out by the process `jobs`, one child process a job.

`asking` is for whoever wants something, `holding` for whoever does it, `keeping` for what is to be kept.
"""

from trading.services.jobs.asking import ask, ask_again, cancel

__all__ = ["ask", "ask_again", "cancel"]
