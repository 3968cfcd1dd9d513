"""The service classes of PS3.4: one module for each, with both roles, SCU and SCP.

A module of this package that has a constant `SERVICE` is a service: `agent.services.catalogue`
finds it, and a profile may name it.
"""
