"""Programs that others wrote, started and ended by tests, and scripted peers that we wrote.

Nothing here imports `agent.network`: a test must not check the code against itself.
"""
