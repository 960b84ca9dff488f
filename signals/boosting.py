"""LightGBM as this process uses it, imported where it is first needed: a second that the others need not pay."""

import os
from types import ModuleType


def lightgbm_library() -> ModuleType:
    """Return LightGBM, with threads that sleep while they wait for each other.

    By default they spin. On a machine with other work that burned ten times the processor time and took fifteen times
    as long: one thread waits for another that does not get its turn. The policy is read when the library is loaded, so
    a choice of the environment counts, and one made later does not.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import lightgbm

    library: ModuleType = lightgbm
    return library
