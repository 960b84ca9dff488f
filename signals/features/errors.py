"""What makes bars unfit for features."""


class UnusableBars(ValueError):
    """Bars from which no features are computed; the text names column, symbol, date and what is allowed."""
