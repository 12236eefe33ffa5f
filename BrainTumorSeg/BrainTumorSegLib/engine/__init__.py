"""The engine: everything a result depends on. No Slicer, no Qt; imports nothing else of this project."""
