"""Fitting a network to slices: the stream, losses, optimisation, validation."""
