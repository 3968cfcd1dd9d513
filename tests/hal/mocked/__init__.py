"""Checks that run in a process of their own, among devices that umockdev makes up."""
