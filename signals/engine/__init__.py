"""Where heavy work is done: in this process, in several, or on a Dask cluster. One port, the same numbers."""

from signals.engine.base import Engine, EngineError, EngineLost, PartFailed
from signals.engine.choice import Choice, configured, engine_for

__all__ = ["Choice", "Engine", "EngineError", "EngineLost", "PartFailed", "configured", "engine_for"]
