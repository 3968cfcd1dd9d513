"""What the conformance statement says of procedures: worklist, steps, commitment, what is told.

Each section answers what one clause of PS3.4 wants stated: K.6.1.3, F.7.4, J.3.6, R.3.4, P.2.5 and
P.3.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.conformance_sections import section
from agent.services.event_logging_table import STATUSES, status_words
from agent.services.modality_worklist import RETURN_KEYS
from agent.services.performed_procedure_step_table import ROWS, StepRow


def procedures(entity: Entity, configuration: Configuration) -> Iterator[str]:
    """The sections that an entity has reason for, as lines of Markdown."""
    first = bool(configuration.entities) and configuration.entities[0].name == entity.name
    if entity.services_of("worklist", "scp"):
        yield from _worklist_scp()
    if first and configuration.worklist.peer:
        yield from _worklist_scu(configuration)
    if entity.services_of("performed-step", "scp"):
        yield from _steps_scp(entity)
    if first and configuration.steps.peers:
        yield from _steps_scu(configuration)
    if entity.services_of("commitment", "scp"):
        yield from _commitment_scp(entity, configuration)
    if first and any(each.commitment.each != "never" for each in configuration.peers):
        yield from _commitment_scu(configuration)
    if entity.services_of("availability", "scp"):
        yield from _availability_scp()
    if first and configuration.steps.available:
        yield from _availability_scu(configuration)
    if entity.services_of("event-logging", "scp"):
        yield from _events_scp(entity)
        yield from _administrations_scp(entity)
    if entity.services_of("event-logging", "scu"):
        yield from _events_scu()


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _keys() -> str:
    return "; ".join(
        f"{sequence}: {_listed(names)}" if sequence else _listed(names)
        for sequence, names in RETURN_KEYS.items()
    )


def _worklist_scp() -> Iterator[str]:
    yield from section(
        "Modality Worklist as SCP (PS3.4 K.6.1.3.2)",
        (
            ("Matching keys", "every attribute of an entry, at the top and in its sequences"),
            (
                "Types of matching",
                "single value, list of UID, universal, wild card, range, sequence (C.2.2.2)",
            ),
            ("Names (PN)", "without regard to case; fuzzy where it was negotiated (K.5.1.1)"),
            ("Dates with times", "combined"),
            ("Return keys", "every attribute of the entry that is asked for"),
            ("Character sets", "entries are answered in the set of the request where it has them"),
            ("Priority", "not regarded"),
            (
                "Statuses",
                "FF00H match; FF01H match, a key is not supported; 0000H; FE00H cancelled; A900H "
                "identifier does not match; Cxxx unable to process",
            ),
        ),
    )


def _worklist_scu(configuration: Configuration) -> Iterator[str]:
    table = configuration.worklist
    day = (
        "any day"
        if table.any_day
        else f"{table.days_before} days before to {table.days_after} after"
    )
    yield from section(
        "Modality Worklist as SCU (PS3.4 K.6.1.3.1)",
        (
            ("Asked", f"{table.peer}, each {table.every:g} s" if table.every else table.peer),
            (
                "Matching keys",
                f"station {table.station or 'any'}, modality {table.modality or 'any'}, {day}",
            ),
            ("Return keys", _keys()),
            ("Fuzzy semantic matching", "proposed" if table.fuzzy else "not proposed"),
            ("At most", f"{table.most} entries; then the query is cancelled"),
        ),
    )


def _attributes(rows: Iterable[StepRow]) -> str:
    return _listed(" > ".join((*row.path, row.keyword)) for row in rows)


def _steps_scp(entity: Entity) -> Iterator[str]:
    steps = entity.steps
    yield from section(
        "Modality Performed Procedure Step as SCP (PS3.4 F.7.4.2)",
        (
            ("N-CREATE", "any attribute of the IOD; those of type 1 of Table F.7.2-1 are demanded"),
            (
                "N-SET",
                "any attribute but: "
                + _attributes(r for r in ROWS if not r.settable and not r.path),
            ),
            ("IN PROGRESS", "the worklist entry of the step is answered as STARTED"),
            ("COMPLETED, DISCONTINUED", "final; the entry is answered so; later N-SET gets 0110H"),
            ("Attributes coerced", "none"),
            ("Reported in turn to", _listed(steps.forward)),
            ("Notified", _listed(steps.notify)),
            (
                "Kept",
                f"{steps.keep / 86400:g} d after its last change" if steps.keep else "for ever",
            ),
        ),
    )


def _steps_scu(configuration: Configuration) -> Iterator[str]:
    yield from section(
        "Modality Performed Procedure Step as SCU (PS3.4 F.7.4.1)",
        (
            ("Reported to", _listed(configuration.steps.peers)),
            ("N-CREATE", _attributes(row for row in ROWS if row.create in (1, 2))),
            ("N-SET", _attributes(row for row in ROWS if row.settable)),
            ("Created", "when an examination starts"),
            ("COMPLETED", "when it is finished; objects that were rejected are not listed"),
            ("DISCONTINUED", "when it is discontinued, with the reason (CID 9300)"),
            ("Objects of a step", "all that are stored of its series, dose reports among them"),
            ("When the SCP does not answer", "tried again with increasing waits, in order"),
        ),
    )


def _retention(entity: Entity, configuration: Configuration) -> str:
    archive = configuration.archive(entity.archive)
    if archive is None or archive.retention.delete == "never":
        return "until a person deletes them"
    return f"{archive.retention.delete}, once {archive.retention.after}"


def _commitment_scp(entity: Entity, configuration: Configuration) -> Iterator[str]:
    yield from section(
        "Storage Commitment Push Model as SCP (PS3.4 J.3.6.2)",
        (
            ("N-ACTION", "kept on stable storage, then answered 0000H"),
            ("Committed", "objects that are on stable storage when the result is sent"),
            ("Persistence", _retention(entity, configuration)),
            ("Retrieval", "delivery to configured peers"),
            (
                "N-EVENT-REPORT",
                "at once, on the same association while it is open, else on one that is opened to "
                "the peer; again until it is answered",
            ),
            ("Failure reasons", "0112H no such object, 0119H class and instance conflict, 0131H"),
            ("Storage Media File-Set ID and UID", "not supported"),
            ("Retrieve AE Title", "not sent"),
        ),
    )


def _commitment_scu(configuration: Configuration) -> Iterator[str]:
    for peer in configuration.peers:
        table = peer.commitment
        if table.each == "never":
            continue
        failed = "sent again" if table.failure == "deliver" else "held for a person"
        yield from section(
            f"Storage Commitment Push Model as SCU, of {table.peer or peer.name} (PS3.4 J.3.6.1)",
            (
                ("Asked", f"for each {table.each} that was delivered, {table.gather:g} s after it"),
                ("SOP classes", "all that are delivered"),
                (
                    "Transaction UID",
                    f"valid for {table.wait / 3600:g} h; then asked again under a new one",
                ),
                (
                    "Result",
                    "on the same association for so long as it is open, or on one of the SCP",
                ),
                ("Success", "recorded; retention may delete the object"),
                ("Failure", f"the object is {failed}"),
                ("Storage Media File-Set ID and UID", "not sent"),
            ),
        )


def _availability_scp() -> Iterator[str]:
    yield from section(
        "Instance Availability Notification as SCP (PS3.4 R.3.4.2)",
        (
            ("N-CREATE", "checked against Table R.3.2-1 and logged; nothing follows from it"),
            ("Performed procedure steps", "have no bearing on it"),
        ),
    )


def _availability_scu(configuration: Configuration) -> Iterator[str]:
    yield from section(
        "Instance Availability Notification as SCU (PS3.4 R.3.4.1)",
        (
            ("Notified", _listed(configuration.steps.available)),
            ("When", "a step has ended, and its objects are delivered to the Retrieve AE named"),
            ("ONLINE", "the Retrieve AE has confirmed the object"),
            ("Performed procedure steps", "the step is named in each notification"),
        ),
    )


def _statuses(*statuses: int) -> str:
    return "; ".join(map(status_words, statuses))


def _events_scp(entity: Entity) -> Iterator[str]:
    unknown = "logged under the UID given, with the Patient ID given"
    if not entity.events.unknown_studies:
        unknown = (
            "logged in the one current study of this Patient ID and Study ID (B102H), else refused "
            "(C101H)"
        )
    yield from section(
        "Procedural Event Logging as SCP (PS3.4 P.2.5.2)",
        (
            (
                "Study Instance UID",
                "names the study, of archive, examination in progress or worklist; another Patient "
                "ID than the study's is refused (C104H), another Study ID is logged (B104H); the "
                "UID from before a reconciliation stands for the new one (B102H)",
            ),
            ("Study Instance UID that nobody knows", unknown),
            (
                "Patient ID without Study Instance UID",
                "the one study that is examined, or got an object within a day, with the Study ID "
                "given; several or none: C103H",
            ),
            ("Performed Location", "not used for matching"),
            ("Template", "TID 3001 with an observer (TID 1002); what does not match gets C102H"),
            (
                "Procedure Log",
                "a new instance with each request that says something new, of one series of the "
                "study; it has all entries so far, and names the one before as its predecessor",
            ),
            (
                "Observation DateTime",
                "as it came, with our offset from UTC where it has none; our Synchronization Frame "
                "of Reference is UTC, another gets B101H, none no warning",
            ),
            ("Success and warnings", "the log is on stable storage, its deliveries are queued"),
            ("Statuses", _statuses(*(each for each in STATUSES if each < 0xC10E))),
            ("Other failures", "0110H, 0213H: the log cannot be stored; 0112H, 0115H, 0123H"),
        ),
    )


def _administrations_scp(entity: Entity) -> Iterator[str]:
    events = entity.events
    patients = "any" if events.unknown_patients else "those that archive or worklist know (C110H)"
    yield from section(
        "Substance Administration Logging as SCP (PS3.4 P.3.5.2)",
        (
            ("Administrations", "all attributes go into a journal, answered when it is durable"),
            ("Patients", patients),
            ("Operators", f"{_listed(events.operators)} (C10EH)" if events.operators else "any"),
            ("Statuses", _statuses(*(each for each in STATUSES if each >= 0xC10E))),
            ("Other failures", "0115H: an attribute of type 1 has no value; 0112H, 0123H"),
        ),
    )


def _events_scu() -> Iterator[str]:
    yield from section(
        "Application Event Logging as SCU (PS3.4 P.2.5.1, P.3.5.1)",
        (
            ("N-ACTION", "when a person says so (gantry log-event)"),
            ("Identifiers", "those that the person gives"),
            ("Template and codes", "TID 3001; notes of CID 3401 (DCM), or content that is given"),
            ("Synchronization", "UTC where the person says that the clock is; else zero length"),
            ("Status", "shown with its meaning; of B102H the study to go on with"),
        ),
    )
