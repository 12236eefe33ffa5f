"""Measuring models on studies: the plan, the outcomes of each patient, summaries, files and pages."""
