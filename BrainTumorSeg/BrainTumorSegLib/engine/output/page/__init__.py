"""A result as one page for people: HTML or PDF."""
