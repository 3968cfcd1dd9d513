"""Tests of agent.security."""
