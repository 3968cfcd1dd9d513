"""`gantry find --model` of a model of non-patient objects (PS3.4 U, X, BB, HH, II, JJ)."""

from __future__ import annotations

import argparse
import sys
import time

from agent.archive.object_keys import object_keys
from agent.archive.object_models import OBJECT_MODEL_NAMES
from agent.cli.finding import print_line, print_table, said
from agent.cli.requestor import associate
from agent.dataset.attributes import Attributes
from agent.network.negotiation import propose
from agent.services.object_query import agreed_on, object_extended
from agent.services.object_query_request import find_objects, object_identifier
from agent.services.query import query_need

_SHOWN = 5
"""Keys of the model that are shown besides the UID, where no others are asked for."""


async def find_and_print(options: argparse.Namespace, keys: Attributes) -> int:
    """Ask and print what was found; the exit status."""
    model = OBJECT_MODEL_NAMES[options.model]
    asked = [keys[tag].vr != "SQ" for tag in keys]
    identifier = object_identifier(
        model.find, keys, character_set=options.character_set, everything=not any(asked)
    )
    extended = object_extended(model.find, fuzzy=options.fuzzy, timezone=options.timezone)
    association = await associate(
        options,
        propose([query_need(model.find)])[0],
        extended=(extended,) if extended is not None else (),
    )
    fuzzy, timezone = agreed_on(association, model.find)
    for name, wanted, agreed in (
        ("fuzzy", options.fuzzy, fuzzy),
        ("timezone", options.timezone, timezone),
    ):
        if wanted and not agreed:
            print(f"{options.called} does not agree to --{name}", file=sys.stderr)
    if timezone:
        identifier.set("TimezoneOffsetFromUTC", time.strftime("%z"))
    result = await find_objects(
        association,
        model.find,
        identifier,
        most=options.most,
        post_filter=not options.unfiltered,
        on_match=print_line if options.json else None,
    )
    await association.release()
    if not options.json:
        rows = object_keys(model)
        plain = [
            row.keyword
            for tag, row in rows.items()
            if identifier.get(tag) is not None
            and identifier[tag].vr != "SQ"
            and row.keyword not in ("SOPClassUID", "SOPInstanceUID")
        ]
        names = plain if any(asked) else plain[:_SHOWN]
        print_table(result.matches, [*names, "SOPInstanceUID"])
    return said(options, result)
