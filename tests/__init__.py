"""The tests; folders mirror the floors of the house."""
