"""Routing and delivery."""
