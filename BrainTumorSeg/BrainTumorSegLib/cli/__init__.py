"""The command line: one file per command; errors are rendered in one place (rendering.py)."""
