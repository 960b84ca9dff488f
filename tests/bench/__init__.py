"""How fast the platform is, beside what the machine could do: `python -m tests.bench` (see `--help`).

Absolute times belong to one machine in one hour; the ratios within one run are what may be compared. Nothing here is
collected by pytest.
"""
