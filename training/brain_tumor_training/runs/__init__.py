"""A run's folder, its history and curves."""
