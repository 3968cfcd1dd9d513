"""What `gantry find` prints of matches, whatever the information model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from agent.dataset.attributes import Attributes
from agent.dataset.json_model import to_json
from agent.network.status import SUCCESS, status_text
from agent.services.filtered_find import QueryResult


def print_line(match: Attributes) -> None:
    """A match as one line of JSON."""
    print(json.dumps(to_json(match), ensure_ascii=False))


def print_table(
    matches: Sequence[Attributes], names: Sequence[str], sources: Sequence[str] = ()
) -> None:
    """Matches as a table with these columns; with `sources`, of each where it can be had."""
    if not matches:
        return
    rows = [tuple(names)]
    rows += [tuple("\\".join(each.texts(name)) or "-" for name in names) for each in matches]
    if sources:
        rows = [(*row, each) for row, each in zip(rows, ("From", *sources), strict=True)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def said(options: argparse.Namespace, result: QueryResult) -> int:
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
