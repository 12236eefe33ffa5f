"""Whole runs from files to files, the worker that serves them, and what this machine can run."""
