"""Facts about the world: instruments, bars, corporate actions, the calendar, quotes, and what time it is in the market."""
