"""`gantry capture`: the running node captures a series from one of its devices."""

from __future__ import annotations

import argparse
import json

from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.cli.wanted import add_wanted_options, wanted_of
from agent.control import ask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_control_option(parser)
    add_json_option(parser)
    parser.add_argument("device", nargs="?", default="", help="its name (default: the first)")
    add_wanted_options(parser)
    for name, what in (
        ("patient-id", "Patient ID"),
        ("patient-name", "Patient's Name, as DICOM writes it: Family^Given"),
        ("birth-date", "as YYYYMMDD"),
        ("sex", "M, F or O"),
        ("accession-number", "Accession Number"),
        ("study-instance-uid", "of a study that exists (default: a new one)"),
        ("study-description", "Study Description"),
        ("series-description", "Series Description"),
    ):
        parser.add_argument(f"--{name}", default="", help=what)


def run(options: argparse.Namespace) -> int:
    given = vars(options)
    made = ask(
        options.control,
        "capture",
        **wanted_of(options),
        **{
            name: given[name]
            for name in (
                "device",
                "patient_id",
                "patient_name",
                "birth_date",
                "sex",
                "accession_number",
                "study_instance_uid",
                "study_description",
                "series_description",
            )
        },
    )
    if options.json:
        print(json.dumps(made))
        return 0
    for each in made:
        dropped = f", {each['dropped']} dropped" if each["dropped"] else ""
        print(f"{each['sop_instance_uid']}  {each['frames']} frames{dropped}")
    return 0
