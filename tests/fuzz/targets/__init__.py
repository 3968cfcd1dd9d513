"""One module a door: the target of its name is `TARGET`."""
