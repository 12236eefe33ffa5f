"""Fitting the study refiner: its samples, the logits it corrects, its settings."""
