"""What `gantry get` and `gantry move` have in common: what is asked for, and what became of it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.archive.information_model import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT
from agent.archive.object_models import OBJECT_MODEL_NAMES
from agent.cli.attribute_words import attributes_of
from agent.cli.options import add_peer_options
from agent.dataset.attributes import Attributes
from agent.errors import ConfigurationError, GantryError, PeerError
from agent.loop import Event, Signals
from agent.network.association import Association
from agent.network.status import status_text
from agent.services.data_sets import extended_information
from agent.services.instance_listing import Listed, list_instances
from agent.services.retrieval import COMPOSITE_INSTANCE_ROOT, WITHOUT_BULK_DATA
from agent.services.retrieval_user import Counts, Retrieved, Verdict, retrieval_identifier

MODELS = {
    "study": STUDY_ROOT,
    "patient": PATIENT_ROOT,
    "patient-study-only": PATIENT_STUDY_ONLY,
    "instance": COMPOSITE_INSTANCE_ROOT,
    "without-bulk-data": WITHOUT_BULK_DATA,
    **OBJECT_MODEL_NAMES,
}

_LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE", "FRAME")
_IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def add_retrieval_options(parser: argparse.ArgumentParser) -> None:
    """The peer, the keys, and what decides about the rest."""
    add_peer_options(parser)
    parser.add_argument(
        "keys",
        metavar="KEYWORD=VALUE",
        nargs="+",
        help=f"what is wanted, by {', '.join(_IDENTIFIERS)}; a list of UIDs with \\",
    )
    parser.add_argument(
        "--level", choices=_LEVELS, type=str.upper, default="STUDY", help="(default %(default)s)"
    )
    parser.add_argument(
        "--model",
        choices=tuple(MODELS),
        help="information model (default: study; patient at the PATIENT level; instance at the"
        " FRAME level)",
    )
    parser.add_argument(
        "--relational",
        action="store_true",
        help="without the keys of higher levels, where the peer agrees to that",
    )
    parser.add_argument(
        "--priority", choices=("medium", "high", "low"), default="medium", help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="ask first which instances there are (C-FIND), so that what is missing is named",
    )
    parser.add_argument(
        "--retry",
        metavar="N",
        type=int,
        default=0,
        help="ask again, up to N times, for instances that are missing",
    )


def model_name(options: argparse.Namespace) -> str:
    """The model that is meant."""
    of_level = {"PATIENT": "patient", "FRAME": "instance"}
    chosen: str = options.model or of_level.get(options.level, "study")
    if MODELS[chosen].stored:
        if options.check:
            raise ConfigurationError(
                f"--check asks for instances of patients, and {chosen} is no model of these",
                way_out="Leave it out: what is wanted is named by UID, and compared.",
            )
        options.level = "IMAGE"
    return chosen


def identifier_of(options: argparse.Namespace, sop_class_uid: str) -> Attributes:
    """What is asked for. Raises ConfigurationError for what cannot be."""
    keys = attributes_of(options.keys)
    try:
        return retrieval_identifier(
            sop_class_uid, options.level, keys, relational=options.relational
        )
    except GantryError as error:
        raise ConfigurationError(str(error), way_out=error.way_out) from error


@dataclass(slots=True)
class Report:
    """What is known of a retrieval, from the peer's words and from what came."""

    as_json: bool
    received: Callable[[], frozenset[str]] | None = None
    """The UIDs that came; None where objects go elsewhere."""
    listed: dict[str, Listed] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()
    rounds: list[Retrieved] = field(default_factory=list)

    @property
    def came(self) -> frozenset[str]:
        return frozenset() if self.received is None else self.received()

    def tell(self, counts: Counts) -> None:
        """Progress, where a person looks."""
        if not sys.stderr.isatty() or self.as_json:
            return
        done = [each for each in (counts.completed, counts.warning, counts.failed) if each]
        total = sum(done) + (counts.remaining or 0)
        print(f"\r{sum(done)} of {total}, {counts.failed or 0} failed ", end="", file=sys.stderr)

    def missing(self) -> tuple[str, ...]:
        """UIDs that did not come, as far as they are known; elsewhere, those that failed last."""
        last = self.rounds[-1]
        if self.received is None:
            return last.failed
        return last.missing((*self.wanted, *self.listed), self.came)

    def lacking(self) -> int:
        """Objects that the peer says it has sent, and that did not come."""
        if self.received is None or not self.rounds:
            return 0
        sent = sum(
            (each.counts.completed or 0) + (each.counts.warning or 0) for each in self.rounds
        )
        return max(0, sent - len(self.came))

    def exit_status(self) -> int:
        """0 where all is where it should be, warnings or not."""
        last = self.rounds[-1]
        failed = bool(self.missing() or self.lacking() or last.counts.failed)
        return 1 if failed or last.verdict not in (Verdict.ALL, Verdict.SOME) else 0

    def end(self) -> int:
        """Print what became of it; the exit status."""
        last, missing, lacking = self.rounds[-1], self.missing(), self.lacking()
        counts = last.counts
        if self.as_json:
            said = {
                "status": last.response.status,
                "comment": last.response.comment,
                "verdict": last.verdict.name.lower(),
                "completed": counts.completed,
                "failed": counts.failed,
                "warning": counts.warning,
                "remaining": counts.remaining,
                "received": sorted(self.came) if self.received is not None else None,
                "missing": list(missing),
            }
            print(json.dumps(said))
            return self.exit_status()
        if sys.stderr.isatty():
            print("\r", end="", file=sys.stderr)
        for uid in missing:
            print(f"missing: {uid}", file=sys.stderr)
        if lacking and not missing:
            print(f"{lacking} objects that the peer says it sent did not come", file=sys.stderr)
        text = status_text(last.response.status)
        answer = f"{text} {last.response.comment}".rstrip()
        print("; ".join(each for each in (self._sum(counts), answer) if each))
        return self.exit_status()

    def _sum(self, counts: Counts) -> str:
        parts = []
        if self.received is not None:
            parts.append(f"{len(self.came)} received")
        for name in ("completed", "failed", "warning"):
            value = getattr(counts, name)
            if value or (value == 0 and name == "completed" and self.received is None):
                parts.append(f"{value} {name}")
        return ", ".join(parts)


async def listing(association: Association, keys: Attributes) -> dict[str, Listed]:
    """The instances there are, for `--check`."""
    return await list_instances(association, keys)


def again(
    report: Report, identifier: Attributes, association: Association, sop_class_uid: str
) -> list[Attributes]:
    """Identifiers at IMAGE level for what is missing; none where its places are not known."""
    missing = report.missing()
    made: list[Attributes] = []
    if identifier.text("QueryRetrieveLevel", "IMAGE") == "IMAGE":
        each = identifier.copy()
        each.set("SOPInstanceUID", missing)
        return [each] if missing else []
    if extended_information(association, sop_class_uid)[:1] == b"\1":
        made = [Attributes(QueryRetrieveLevel="IMAGE", SOPInstanceUID=missing)]
        return made if missing else []
    places: dict[tuple[str, str], list[str]] = {}
    for uid in missing:
        place = report.listed.get(uid)
        if place is not None:
            places.setdefault((place.study, place.series), []).append(uid)
    for (study, series), uids in places.items():
        each = Attributes(
            QueryRetrieveLevel="IMAGE",
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            SOPInstanceUID=uids,
        )
        if identifier.has("PatientID"):
            each.put(0x0010_0020, identifier["PatientID"])
        made.append(each)
    return made


async def cancel_on_interrupt(cancel: Event) -> None:
    """The first Ctrl-C cancels the retrieval; the second ends the command."""
    async with Signals(signal.SIGINT) as signals:
        await signals.receive()
        cancel.set()
        print("\ncancelling; once more to leave", file=sys.stderr)
        await signals.receive()
        raise PeerError("left before the peer had confirmed the cancel")


def classes_of(listed: Iterable[Listed]) -> tuple[str, ...]:
    """The SOP classes of what was listed."""
    return tuple(dict.fromkeys(each.sop_class_uid for each in listed if each.sop_class_uid))


PRIORITIES = {"medium": 0, "high": 1, "low": 2}
