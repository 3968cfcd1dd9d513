"""`gantry substances`: what was reported to the running node as administered (PS3.4 P.3)."""

from __future__ import annotations

import argparse
import json

from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.control import ask
from agent.dataset.json_model import from_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_control_option(parser)
    add_json_option(parser)
    parser.add_argument("--patient", metavar="ID", help="those of this Patient ID only")
    parser.add_argument("--limit", type=int, default=100, help="at most so many rows")


def run(options: argparse.Namespace) -> int:
    found = ask(
        options.control,
        "administrations",
        limit=options.limit,
        **({"patient_id": options.patient} if options.patient else {}),
    )["items"]
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    for each in found:
        told = from_json(each["administration"])
        patient = told.text("PatientID") or f"admission {told.text('AdmissionID')}"
        product = told.text("ProductName") or told.text("ProductPackageIdentifier")
        operators = ", ".join(
            code.text("CodeMeaning")
            for operator in told.items_of("OperatorIdentificationSequence")
            for code in operator.items_of("PersonIdentificationCodeSequence")
        )
        at = told.text("SubstanceAdministrationDateTime")
        print(f"{at}  {patient}  {product}  by {operators}, told by {each['calling']}")
    if not found:
        print("no administrations")
    return 0
