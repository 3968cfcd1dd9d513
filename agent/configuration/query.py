"""Queries that an entity answers, as SCP (PS3.4 C)."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import ApplicationEntityTitle, Choice, ListOf

OPTIONS = ("relational", "date_time", "fuzzy", "timezone", "empty", "multiple")
"""What may be agreed on by extended negotiation (Table C.5-1)."""


@section
class QueryAnswers:
    """Query/Retrieve: how queries of the archive are answered."""

    retrieve_title: str = key(
        ApplicationEntityTitle(optional=True),
        "Retrieve AE Title (0008,0054): from whom what is found can be retrieved",
        default="",
        default_text="the entity's own",
    )
    options: tuple[str, ...] = key(
        ListOf(Choice(*OPTIONS)),
        "what is agreed to by extended negotiation: relational queries, date and time as one "
        "range, fuzzy matching of names, timezones, empty values, several values (PS3.4 C.5.1.1)",
        default=OPTIONS,
    )
