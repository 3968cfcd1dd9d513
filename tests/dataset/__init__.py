"""Tests of `agent/dataset`."""
