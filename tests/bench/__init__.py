"""Measurements against programs of others. Nothing here is timed by pytest."""
