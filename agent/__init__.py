"""The Gantry agent: the floors above the hardware, from the loop up to the commands."""

__version__ = "0.1.0"
