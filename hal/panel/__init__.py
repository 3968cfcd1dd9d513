"""Lamps and buttons on the box itself."""
