"""`gantry find`: patients, studies, series and instances of a peer (C-FIND, PS3.4 C)."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from agent.archive.information_model import MODELS
from agent.cli.attribute_words import put_key
from agent.cli.options import add_peer_options
from agent.cli.requestor import associate
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import to_json
from agent.errors import ConfigurationError, LocalError, PeerError
from agent.loop import Loop
from agent.network.negotiation import propose
from agent.network.status import SUCCESS, status_text
from agent.services.query import (
    MODEL_NAMES,
    Options,
    agreed_options,
    query_extended,
    query_need,
)
from agent.services.query_request import RETURN_KEYS, QueryResult, find, query_identifier

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
        choices=tuple(MODEL_NAMES),
        help="information model (default: study; patient at the PATIENT level)",
    )
    parser.add_argument("--most", metavar="N", type=int, default=0, help="cancel after so many")
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
    for keyword in RETURN_KEYS[options.level]:
        # Below the patients of a Patient Root these are keys of a higher level.
        is_above = model != "study" and keyword in RETURN_KEYS["PATIENT"]
        if keyword not in keys and (options.level == "PATIENT" or not is_above):
            keys.set(keyword)
    try:
        return Loop().run(_find(options, MODEL_NAMES[model], keys))
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
    result = await find(
        association,
        sop_class,
        identifier,
        most=options.most,
        post_filter=not options.unfiltered,
        on_match=_print_line if options.json else None,
    )
    await association.release()
    if not options.json:
        print_table(result.matches, COLUMNS[options.level], keys, sop_class)
    return _said(options, result)


def _print_line(match: Attributes) -> None:
    print(json.dumps(to_json(match), ensure_ascii=False))


def print_table(
    matches: Sequence[Attributes],
    columns: Sequence[str],
    keys: Attributes,
    sop_class: str,
    sources: Sequence[str] = (),
) -> None:
    """The columns of the level, and the keys that were asked for besides; with `sources`, of each
    match where it can be had."""
    from agent.dataset import tags

    if not matches:
        return
    usual = {tags.from_text(each) for level in RETURN_KEYS.values() for each in level}
    usual |= {tags.from_text(each.unique) for each in MODELS[sop_class].levels}
    names = [each for each in columns if each in keys]
    names += [tags.keyword_of(tag) for tag in keys if tag not in usual and keys[tag].vr != "SQ"]
    rows = [tuple(names)]
    rows += [tuple("\\".join(each.texts(name)) or "-" for name in names) for each in matches]
    if sources:
        rows = [(*row, each) for row, each in zip(rows, ("From", *sources), strict=True)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def _said(options: argparse.Namespace, result: QueryResult) -> int:
    """What is to be known besides the matches, on the other stream; the exit status."""
    remarks = []
    if result.dropped:
        remarks.append(f"{result.dropped} answers did not match and were left out")
    if result.uncertain:
        remarks.append(f"{result.uncertain} answers cannot be compared: their character set")
    if result.optional_keys_ignored:
        remarks.append(f"{options.called} does not support all of these keys")
    if result.truncated:
        remarks.append(f"stopped after {options.most}; there is more")
    for each in remarks:
        print(each, file=sys.stderr)
    if not result.truncated and result.response.status != SUCCESS:
        said = f"{status_text(result.response.status)} {result.response.comment}".rstrip()
        print(f"{options.called}: {said}", file=sys.stderr)
        return 1
    return 0
