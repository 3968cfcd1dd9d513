"""Queries that an entity answers, as SCP (PS3.4 C)."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import ApplicationEntityTitle, Choice, ListOf, Text

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
    file_access: str = key(
        Text(1024),
        "URI under which the folder of the archive's files can be read otherwise than by DICOM, "
        "told in repository queries (PS3.4 C.6.4.1.3)",
        default="",
        default_text="not at all",
        example='"https://archive.example/objects/"',
    )
    options: tuple[str, ...] = key(
        ListOf(Choice(*OPTIONS)),
        "what is agreed to by extended negotiation: relational queries, date and time as one "
        "range, fuzzy matching of names, timezones, empty values, several values (PS3.4 C.5.1.1)",
        default=OPTIONS,
    )
