"""From data to released bundles: cross-validation and release in one go."""
