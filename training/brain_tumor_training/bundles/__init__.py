"""MONAI bundles: what is in one, how it is written, described and exported from a run."""
