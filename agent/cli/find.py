"""`gantry find`: patients, studies, series and instances of a peer (C-FIND, PS3.4 C)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from agent.archive.information_model import MODELS, REPOSITORY
from agent.archive.object_models import OBJECT_MODEL_NAMES
from agent.cli.attribute_words import put_key
from agent.cli.finding import print_line, print_table, said
from agent.cli.finding_objects import find_and_print
from agent.cli.options import add_peer_options
from agent.cli.requestor import associate
from agent.dataset.attributes import Attributes
from agent.errors import ConfigurationError, LocalError, PeerError
from agent.loop import Loop
from agent.network.negotiation import propose
from agent.services.query import (
    MODEL_NAMES,
    Options,
    agreed_options,
    query_extended,
    query_need,
)
from agent.services.query_request import RETURN_KEYS, find, query_identifier
from agent.services.repository_query_request import find_in_pieces

_SWITCHES = {
    "relational": "keys of any level, without one study or series being named",
    "date_time": "a range of dates and one of times are one range",
    "fuzzy": "names that sound alike match",
    "timezone": "times are meant in the timezone of this machine",
    "empty": "Keyword='\"\"' finds what has no value",
    "multiple": "of several values all must be there",
}

COLUMNS: dict[str, tuple[str, ...]] = {
    "PATIENT": ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    "STUDY": (
        "StudyDate",
        "StudyTime",
        "ModalitiesInStudy",
        "AccessionNumber",
        "PatientID",
        "PatientName",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    ),
    "SERIES": (
        "SeriesNumber",
        "Modality",
        "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
        "SeriesInstanceUID",
    ),
    "IMAGE": ("InstanceNumber", "SOPClassUID", "SOPInstanceUID"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_options(parser)
    parser.add_argument(
        "keys",
        metavar="KEYWORD[=VALUE]",
        nargs="*",
        help="what to match, or only to return; within a sequence as SEQUENCE.KEYWORD=VALUE",
    )
    parser.add_argument(
        "--level",
        choices=tuple(RETURN_KEYS),
        type=str.upper,
        default="STUDY",
        help="what is looked for (default %(default)s)",
    )
    parser.add_argument(
        "--model",
        choices=(*MODEL_NAMES, *OBJECT_MODEL_NAMES),
        help="information model (default: study; patient at the PATIENT level); those of objects"
        " without a patient have no levels",
    )
    parser.add_argument("--most", metavar="N", type=int, default=0, help="cancel after so many")
    parser.add_argument(
        "--piece",
        metavar="N",
        type=int,
        default=10_000,
        help="records asked for at a time with --model repository (default %(default)s)",
    )
    for name, meaning in _SWITCHES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=meaning)
    parser.add_argument(
        "--relational-unnegotiated",
        action="store_true",
        help="a relational query although the peer does not negotiate: some answer it",
    )
    parser.add_argument(
        "--unfiltered", action="store_true", help="show also answers that do not match the keys"
    )
    parser.add_argument(
        "--exactly",
        action="store_true",
        help="ask for the keys that are named and unique ones, and for no others",
    )
    parser.add_argument(
        "--character-set",
        metavar="TERM",
        default="ISO_IR 192",
        help="of keys beyond ASCII (default %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    model = options.model or ("patient" if options.level == "PATIENT" else "study")
    keys = Attributes()
    for word in options.keys:
        put_key(keys, word)
    if model in OBJECT_MODEL_NAMES:
        return _run(find_and_print(options, keys))
    for keyword in () if options.exactly else RETURN_KEYS[options.level]:
        # Below the patients of a Patient Root these are keys of a higher level.
        is_above = model not in ("study", "repository") and keyword in RETURN_KEYS["PATIENT"]
        if keyword not in keys and (options.level == "PATIENT" or not is_above):
            keys.set(keyword)
    return _run(_find(options, MODEL_NAMES[model], keys))


def _run(work: Coroutine[Any, Any, int]) -> int:
    try:
        return Loop().run(work)
    except LocalError as error:
        raise ConfigurationError(str(error), way_out=error.way_out) from error


async def _find(options: argparse.Namespace, sop_class: str, keys: Attributes) -> int:
    wanted = Options(**{name: getattr(options, name) for name in _SWITCHES})
    relational = options.relational or options.relational_unnegotiated
    identifier = query_identifier(
        sop_class,
        options.level,
        keys,
        relational=relational,
        character_set=options.character_set,
    )
    extended = query_extended(sop_class, wanted)
    association = await associate(
        options,
        propose([query_need(sop_class)])[0],
        extended=(extended,) if extended is not None else (),
    )
    agreed = agreed_options(association, sop_class)
    if options.relational and not (agreed.relational or options.relational_unnegotiated):
        await association.release()
        raise PeerError(
            "the peer does not agree to relational queries",
            clause="PS3.4 C.6.2.2.1.1",
            way_out="Name one study or series, or try --relational-unnegotiated.",
        )
    for name in _SWITCHES:
        if getattr(wanted, name) and not getattr(agreed, name):
            print(f"{options.called} does not agree to --{name}", file=sys.stderr)
    if agreed.timezone:
        identifier.set("TimezoneOffsetFromUTC", time.strftime("%z"))
    how: dict[str, Any] = {
        "most": options.most,
        "post_filter": not options.unfiltered,
        "on_match": print_line if options.json else None,
    }
    if sop_class == REPOSITORY.find:
        result = await find_in_pieces(association, identifier, options.piece, **how)
    else:
        result = await find(association, sop_class, identifier, **how)
    await association.release()
    if not options.json:
        columns = columns_of(COLUMNS[options.level], keys, sop_class)
        print_table(result.matches, columns)
    return said(options, result)


def columns_of(columns: Sequence[str], keys: Attributes, sop_class: str) -> list[str]:
    """Those of the level, and the keys that were asked for besides."""
    from agent.dataset import tags

    usual = {tags.from_text(each) for level in RETURN_KEYS.values() for each in level}
    usual |= {tags.from_text(each.unique) for each in MODELS[sop_class].levels}
    names = [each for each in columns if each in keys]
    return names + [
        tags.keyword_of(tag) for tag in keys if tag not in usual and keys[tag].vr != "SQ"
    ]
