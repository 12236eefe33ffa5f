"""Published systems reproduced: protocols, results, the report."""
