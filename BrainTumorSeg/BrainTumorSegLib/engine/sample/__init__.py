"""The synthetic study to try things on."""
