"""Recipes: settings, how they are read, and the YAML files themselves."""
