"""The preview picture: tiles of slices, a strip along the study, their style."""
