"""Facts about the world: instruments, bars, corporate actions, the calendar, quotes, and the time in the market."""
