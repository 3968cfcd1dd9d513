"""`gantry log-event`: report an event of a procedure, or a substance administered (PS3.4 P)."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from agent.cli.attribute_words import attributes_of
from agent.cli.options import add_peer_options
from agent.cli.requestor import associate
from agent.dataset.attributes import Attributes
from agent.errors import ConfigurationError
from agent.loop import Loop
from agent.network.negotiation import propose
from agent.network.status import Category
from agent.objects.description import Moment
from agent.objects.procedural_note import NOTES, noted
from agent.services.event_logging_table import OTHER_STUDY, status_words
from agent.services.procedural_event import (
    UTC_SYNCHRONIZATION,
    LoggedEvent,
    log_procedural_event,
    procedural_event_need,
)
from agent.services.substance_administration import administration_need, log_administration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_options(parser)
    parser.add_argument(
        "act",
        choices=("procedure", "substance"),
        help="Procedural Event Logging or Substance Administration Logging",
    )
    parser.add_argument(
        "words",
        metavar="KEYWORD=VALUE",
        nargs="*",
        help="attributes, such as StudyInstanceUID=1.2.3 or ProductName=Saline",
    )
    parser.add_argument("--from", dest="file", metavar="FILE", type=Path, help="attributes as JSON")
    parser.add_argument("--at", metavar="DT", help="when it was (default: now), as YYYYMMDDHHMMSS")
    procedure = parser.add_argument_group("an event of a procedure")
    procedure.add_argument("--note", metavar="TEXT", help="what happened, in words")
    procedure.add_argument(
        "--by", choices=tuple(NOTES), default="technician", help="whose note (default %(default)s)"
    )
    procedure.add_argument("--observer", metavar="NAME", help="who writes it, as Family^Given")
    procedure.add_argument(
        "--synchronized", action="store_true", help="this clock is synchronized to UTC"
    )
    substance = parser.add_argument_group("a substance")
    code = "VALUE^SCHEME^MEANING"
    substance.add_argument(
        "--operator",
        metavar=code,
        action="append",
        default=[],
        help="who gave it; may be given again",
    )
    substance.add_argument("--route", metavar=code, help="how it was given")


def run(options: argparse.Namespace) -> int:
    information = attributes_of(options.words, options.file)
    when = options.at or _now()
    if options.act == "procedure":
        _add_note(information, options, when)
    else:
        _add_codes(information, options)
        if not information.has("SubstanceAdministrationDateTime"):
            information.set("SubstanceAdministrationDateTime", when)
    return Loop().run(_log(options, information))


def _now() -> str:
    moment = Moment.at(time.time())
    return moment.date + moment.time + moment.offset


def _add_note(event: Attributes, options: argparse.Namespace, when: str) -> None:
    if options.note:
        if not options.observer:
            raise ConfigurationError(
                "a note has an observer", way_out="Give --observer Family^Given."
            )
        event.update(noted(options.by, options.note, when, options.observer))
    elif not event.has("ContentSequence"):
        raise ConfigurationError(
            "there is no event", way_out="Give --note TEXT, or --from FILE with the content."
        )
    if options.synchronized:
        event.set("SynchronizationFrameOfReferenceUID", UTC_SYNCHRONIZATION)


def _add_codes(administration: Attributes, options: argparse.Namespace) -> None:
    if options.operator:
        administration.set(
            "OperatorIdentificationSequence",
            [
                Attributes.of({"PersonIdentificationCodeSequence": [_code(each)]})
                for each in options.operator
            ],
        )
    if options.route:
        administration.set("AdministrationRouteCodeSequence", [_code(options.route)])


def _code(text: str) -> Attributes:
    value, _, rest = text.partition("^")
    scheme, _, meaning = rest.partition("^")
    if not (value and scheme and meaning):
        raise ConfigurationError(
            f"{text} is no code", value=text, way_out="Write VALUE^SCHEME^MEANING."
        )
    return Attributes(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


async def _log(options: argparse.Namespace, information: Attributes) -> int:
    if options.act == "procedure":
        association = await associate(options, propose([procedural_event_need()])[0])
        logged = await log_procedural_event(association, information)
    else:
        association = await associate(options, propose([administration_need()])[0])
        logged = LoggedEvent(await log_administration(association, information))
    await association.release()
    return _show(options, logged)


def _show(options: argparse.Namespace, logged: LoggedEvent) -> int:
    response = logged.response
    if options.json:
        print(
            json.dumps(
                {
                    "status": f"{response.status:04X}",
                    "meaning": status_words(response.status),
                    "comment": response.comment,
                    "study_instance_uid": logged.study_instance_uid,
                    "patient_id": logged.patient_id,
                }
            )
        )
    else:
        said = [status_words(response.status), response.comment]
        if logged.study_instance_uid:
            where = "go on with" if response.status == OTHER_STUDY else "in"
            said.append(f"{where} study {logged.study_instance_uid}")
        print(f"{options.called}: {', '.join(filter(None, said))}")
    return 0 if response.category in (Category.SUCCESS, Category.WARNING) else 1
