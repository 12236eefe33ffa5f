"""Thresholds, temperature and gate, chosen on held-out patients."""
