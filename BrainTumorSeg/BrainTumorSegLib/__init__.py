"""BrainTumorSeg: brain-tumour segmentation for 3D Slicer, shells and clusters. Not a medical device."""

__version__ = "0.1.0"
