"""The configuration: TOML files and profiles, checked and turned into frozen dataclasses.

    from agent.configuration.load import load

    configuration = load(profile="gateway", vocabulary=vocabulary)
    for entity in configuration.entities: ...

Each key is declared once, beside the field that holds its value (`agent.configuration.key`);
checking, documentation and display come from that declaration. All errors are told at once.

Nothing is imported here: the node holds sections, and leaves TOML and the checks to a worker.
"""
