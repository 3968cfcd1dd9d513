"""What a person types: one module per command, found by name when it is needed."""
