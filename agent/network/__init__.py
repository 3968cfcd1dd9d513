"""Floor 3, the network: PS3.8 (upper layer) and PS3.7 (DIMSE) as objects of bytes and events.

Nothing here knows a socket or a clock, but for the streams, the associations on the loop, and
`transport`, the only place where an association is opened or accepted.
"""
