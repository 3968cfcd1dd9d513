"""The configuration: TOML files and profiles, checked and turned into frozen dataclasses.

    configuration = load(profile="gateway", vocabulary=vocabulary)
    for entity in configuration.entities: ...

Each key is declared once, beside the field that holds its value (`agent.configuration.key`);
checking, documentation and display come from that declaration. All errors are told at once.
"""
