"""One segmentation after another, from Slicer's nodes through the engine's process and back: no Qt, no torch.

Whoever owns an event loop calls ``poll``; everything here returns at once.
"""
