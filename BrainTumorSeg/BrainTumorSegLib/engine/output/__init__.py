"""A result as files: segmentation, probability, report, preview."""
