"""How the names of image files end."""

from __future__ import annotations

NIFTI_ENDINGS = (".nii.gz", ".nii")
NRRD_ENDINGS = (".nrrd", ".nhdr")
META_ENDINGS = (".mha", ".mhd")
IMAGE_ENDINGS = (*NIFTI_ENDINGS, *NRRD_ENDINGS, *META_ENDINGS)
"""Of every kind of file that holds a volume by itself; the longer of two that both fit comes first."""
