"""Tests of agent.media."""
