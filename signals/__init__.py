"""Predictions: strategies, scores and target weights. What is held is not known here."""
