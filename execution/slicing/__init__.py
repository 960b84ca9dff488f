"""Working an order in slices: plans, curves, prices and states. Pure: no ORM, no clock, no chance but the seed's."""
