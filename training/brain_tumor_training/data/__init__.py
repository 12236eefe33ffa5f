"""Patients and their slices: sources, folds, cache, what a training slice is."""
