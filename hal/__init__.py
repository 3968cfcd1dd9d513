"""The hardware abstraction layer: one folder per kind of device; nothing here imports `agent`."""
