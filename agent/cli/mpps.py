"""`gantry mpps`: report a performed procedure step, or read one (PS3.4 F.7, F.8)."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from agent import observation
from agent.cli.attribute_words import attributes_of, print_attributes, print_json
from agent.cli.options import add_peer_options
from agent.cli.requestor import associate
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.uid import new_uid
from agent.errors import ConfigurationError
from agent.loop import Loop
from agent.network.association import Response
from agent.network.negotiation import ContextNeed, propose
from agent.network.status import Category, status_text
from agent.services.data_sets import MESSAGE_SYNTAXES
from agent.services.performed_procedure_step import (
    FINAL,
    IN_PROGRESS,
    STATUS,
    STEP_RETRIEVE,
    STEP_ROLE,
    create_step,
    get_step,
    set_step,
    step_need,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_options(parser)
    parser.add_argument("act", choices=("create", "set", "get"), help="N-CREATE, N-SET or N-GET")
    parser.add_argument(
        "words",
        metavar="KEYWORD=VALUE",
        nargs="*",
        help="attributes; for set and get, the UID of the step goes first",
    )
    parser.add_argument("--from", dest="file", metavar="FILE", type=Path, help="attributes as JSON")


def run(options: argparse.Namespace) -> int:
    return Loop().run(_act(options))


async def _act(options: argparse.Namespace) -> int:
    words = list(options.words)
    uid = new_uid()
    if options.act != "create":
        if not words or "=" in words[0]:
            raise ConfigurationError(
                "the SOP Instance UID of the step is missing",
                way_out=f"Write 'gantry mpps HOST:PORT {options.act} UID ...'.",
            )
        uid = words.pop(0)
    need = ContextNeed(STEP_RETRIEVE, MESSAGE_SYNTAXES) if options.act == "get" else step_need()
    association = await associate(
        options, propose([need])[0], roles=() if options.act == "get" else (STEP_ROLE,)
    )
    response: Response
    if options.act == "get":
        response, about = await get_step(association, uid, words)
        await association.release()
        if options.json:
            print_json([about])
        else:
            print_attributes(about)
    elif options.act == "create":
        about = _begun(attributes_of(words, options.file), options.calling)
        response = await create_step(association, uid, with_character_set(about))
        await association.release()
    else:
        about = _ended(attributes_of(words, options.file))
        response = await set_step(association, uid, with_character_set(about))
        await association.release()
    done = response.category in (Category.SUCCESS, Category.WARNING)
    action = {"get": "R", "create": "C", "set": "U"}[options.act]
    observation.occasion("step here", step=about, action=action, failed=not done)
    said = " ".join(each for each in (status_text(response.status), response.comment) if each)
    if not options.json:
        print(f"{options.called}: {said}, {uid}")
    return 0 if done else 1


def _begun(step: Attributes, calling: str) -> Attributes:
    """What a person need not type: the state, the time, who we are."""
    now = time.localtime()
    for keyword, value in (
        (STATUS, IN_PROGRESS),
        ("PerformedProcedureStepStartDate", time.strftime("%Y%m%d", now)),
        ("PerformedProcedureStepStartTime", time.strftime("%H%M%S", now)),
        ("PerformedStationAETitle", calling),
        ("PerformedProcedureStepID", time.strftime("%Y%m%d%H%M%S", now)),
        ("Modality", "OT"),
    ):
        if not step.has(keyword):
            step.set(keyword, value)
    if not step.items_of("ScheduledStepAttributesSequence"):
        step.set("ScheduledStepAttributesSequence", [Attributes(StudyInstanceUID=new_uid())])
    return step


def _ended(modification: Attributes) -> Attributes:
    if modification.text(STATUS) in FINAL:
        now = time.localtime()
        for keyword, form in (
            ("PerformedProcedureStepEndDate", "%Y%m%d"),
            ("PerformedProcedureStepEndTime", "%H%M%S"),
        ):
            if not modification.has(keyword):
                modification.set(keyword, time.strftime(form, now))
    return modification
