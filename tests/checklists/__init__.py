"""Lines of the conformance checklists, proven over the wire against a running node."""
