"""A judge: receives the case, decides."""
