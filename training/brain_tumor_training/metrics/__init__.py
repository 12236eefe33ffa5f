"""Figures of quality, from masks and probabilities alone."""
