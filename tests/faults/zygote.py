"""The process that forks the children of `tests.faults.killing`: `python -m tests.faults.zygote FILE_DESCRIPTOR`."""

import sys
from multiprocessing.connection import Connection

import tests.conftest  # noqa: F401 - makes a process of tests of this one
from tests.faults import kill_cases, task_cases  # noqa: F401 - what children work with, imported once
from tests.faults.killing import serve

if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
