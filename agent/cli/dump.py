"""`gantry dump`: the elements of a Part 10 file, one to a line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agent import observation
from agent.cli.options import add_json_option
from agent.dataset.byte_source import FileBytes
from agent.dataset.dump import as_json, as_text, dump
from agent.dataset.file_meta import read_file_meta
from agent.dataset.transfer_syntaxes import name_of
from agent.errors import StorageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="FILE", type=Path, help="a DICOM file")
    parser.add_argument("--width", type=int, default=80, help="of a value (default %(default)s)")
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    try:
        descriptor = os.open(options.path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"{options.path} cannot be read: {error.strerror}") from error
    observation.occasion("file", act="shown", file=descriptor)
    try:
        meta = read_file_meta(descriptor)
        for remark in meta.remarks:
            print(f"{options.path}: {remark}", file=sys.stderr)
        show = as_json if options.json else as_text
        if not options.json:
            syntax = meta.transfer_syntax_uid
            print(f"# {options.path}: {name_of(syntax)} ({syntax})")
        source = FileBytes(descriptor, meta.data_set_offset)
        for line in dump(source, meta.encoding, width=options.width):
            print(show(line))
    finally:
        os.close(descriptor)
    return 0
