"""What is particular to 3D Slicer the application: packages, diagnostics, sample data."""
