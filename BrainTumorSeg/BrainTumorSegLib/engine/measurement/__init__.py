"""From a probability to what is measured: mask, lesions, diameters, the result."""
