"""The engine's process seen from outside. Only the standard library and Slicer's own Python."""
