"""Devices that capture frames: the interface in `base`, one module per driver, the simulator."""
