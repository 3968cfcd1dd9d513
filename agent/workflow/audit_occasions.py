"""Which occasion of the node makes which audit message: one table, by the name of the occasion.

Some are events of the log, others are noted for the audit trail alone (`observation.occasion`):
they name patients. Objects that come and go are in `audit_objects`. Each function here turns the
fields of one occasion into messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from agent.dataset.attributes import Attributes
from agent.security import audit_terms as terms
from agent.security.audit_message import (
    MINOR_FAILURE,
    SERIOUS_FAILURE,
    SUCCESS,
    AuditMessage,
    AuditObject,
    ObjectKind,
    Participant,
)
from agent.security.audit_terms import AuditTerm
from agent.workflow.audit_participants import Us, patient_object, peer, study_object

Fields = Mapping[str, Any]
_LONGEST_QUERY = 1 << 15
_TRANSIENT, _NO_ROOM = "rejected-transient", "limit"
_ABOUT_USERS = ("identity", "not-verified")
# What is wrong with who calls, by the reason of the refusal; other reasons are about what is asked.
_CALLERS = {
    "called": "called-AE-title-not-recognized",
    "calling": "calling-AE-title-not-recognized",
    "network": "not from a network that may call",
    "certificate": "not with a certificate that may call",
    "locked-out": "locked out after failures",
    "rate": "too many connections",
}


def application(us: Us, kind: AuditTerm) -> AuditMessage:
    """The node starts or stops (A.5.3.1)."""
    return AuditMessage(
        terms.APPLICATION_ACTIVITY,
        "E",
        time.time(),
        (us.participant(terms.APPLICATION),),
        types=(kind,),
    )


def network_entry(us: Us, kind: AuditTerm) -> AuditMessage:
    """The node begins or ends to take associations (A.5.3.9)."""
    participant = us.participant(terms.APPLICATION)
    return AuditMessage(terms.NETWORK_ENTRY, "E", time.time(), (participant,), types=(kind,))


def security_alert(
    us: Us,
    kind: AuditTerm,
    outcome: int,
    text: str,
    *,
    node: str = "",
    resource: str = "",
    participant: Participant | None = None,
) -> AuditMessage:
    """A.5.3.11: about a node by its address, or a resource by its URI."""
    about = ObjectKind.NODE if node or not resource else ObjectKind.RESOURCE
    subject = AuditObject(
        about,
        node or resource or us.address,
        node or resource or us.address,
        details=(("Alert Description", text.encode("utf-8", "replace")),),
    )
    return AuditMessage(
        terms.SECURITY_ALERT,
        "E",
        time.time(),
        (us.participant(), *((participant,) if participant else ())),
        (subject,),
        (kind,),
        outcome,
        text,
    )


def audit_log_used(us: Us, uri: str) -> AuditMessage:
    """Somebody read the queue (A.5.3.2)."""
    log = AuditObject(ObjectKind.AUDIT_LOG, uri, "Security Audit Log")
    participants = (us.participant(requestor=True),)
    return AuditMessage(terms.AUDIT_LOG_USED, "R", time.time(), participants, (log,))


# One function for each occasion.


def _draining(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    yield network_entry(us, terms.DETACH)


def _reloaded(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    text = "The configuration was read anew"
    yield security_alert(us, terms.SOFTWARE_CONFIGURATION, SUCCESS, text)


def _not_reloaded(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    text = f"A configuration was refused: {fields.get('error')}"
    yield security_alert(us, terms.SOFTWARE_CONFIGURATION, MINOR_FAILURE, text)


def _rejected(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    reason = str(fields.get("reason"))
    if reason.startswith(_TRANSIENT):
        return  # There was no room: nothing that anybody did.
    calling, address = str(fields.get("calling", "")).strip(), str(fields.get("address", ""))
    text = f"Association of {calling} with {str(fields.get('called', '')).strip()}: {reason}"
    who = peer(calling, address)
    kind = terms.NODE_AUTHENTICATION
    yield security_alert(us, kind, MINOR_FAILURE, text, node=address, participant=who)


def _connection_failed(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    error = fields.get("error")
    if not str(getattr(error, "clause", "")).startswith("PS3.15 B"):
        return
    address = str(fields.get("address", ""))
    text = f"No secure connection: {getattr(error, 'message', error)}"
    yield security_alert(us, terms.NODE_AUTHENTICATION, SERIOUS_FAILURE, text, node=address)


def refused(us: Us, event: str, fields: Fields) -> Iterator[AuditMessage]:
    """What the rules of access and secure transport say no to: events `access.*`, `tls.*`; and
    users, `user.*`, be they who they say or not (A.5.3.12)."""
    address = str(fields.get("address") or "")
    calling = str(fields.get("calling") or "").strip()
    user = str(fields.get("user") or fields.get("who") or "")
    reason = str(fields.get("reason") or fields.get("why") or fields.get("error") or event)
    if event == "access.locked_out":
        yield _locked_out(us, str(fields["kind"]), user, fields["seconds"])
        return
    if reason == _NO_ROOM:
        return  # Nothing that anybody did.
    if reason == "question":
        # Who asked is a person at this machine, and stands in the message as such.
        text = f"User {user} may not ask for {fields['question']!r}"
        yield security_alert(us, terms.USE_OF_RESTRICTED_FUNCTION, MINOR_FAILURE, text)
        return
    if event.startswith("user.") or reason.startswith(_ABOUT_USERS):
        succeeded = event == "user.authenticated"
        person = peer(calling, address, requestor=True, user=user)
        yield AuditMessage(
            terms.USER_AUTHENTICATION,
            "E",
            time.time(),
            (person, us.participant()),
            types=(terms.LOGIN,),
            outcome=SUCCESS if succeeded else MINOR_FAILURE,
            description="" if succeeded else reason,
        )
        return
    secure = event.startswith("tls.")
    whom = f"{calling} with {str(fields.get('called') or '').strip()}"
    yield security_alert(
        us,
        terms.NODE_AUTHENTICATION
        if secure or reason in _CALLERS
        else terms.USE_OF_RESTRICTED_FUNCTION,
        SERIOUS_FAILURE if secure else MINOR_FAILURE,
        f"No secure connection: {reason}"
        if secure
        else f"Association of {whom}: {_CALLERS.get(reason, f'{reason} refused')}",
        node=address,
        participant=peer(calling, address, user=user),
    )


def _locked_out(us: Us, kind: str, who: str, seconds: float) -> AuditMessage:
    """A host, an AE title or a user is shut out after failures."""
    host, title, user = (who if kind == each else "" for each in ("host", "title", "user"))
    return security_alert(
        us,
        terms.NODE_AUTHENTICATION,
        SERIOUS_FAILURE,
        f"The {kind} {who} is shut out for {seconds:g} s after failures",
        node=host,
        participant=peer(title, host, user=user),
    )


def _query(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    """A.5.3.10; a longer identifier than 32 KiB is cut, so that the message can be sent."""
    association = fields["association"]
    asked_by_us = bool(fields["asked_by_us"])
    calling, called = association.calling_ae_title, association.called_ae_title
    source, destination = terms.SOURCE, terms.DESTINATION
    if asked_by_us:
        mine = us.participant(source, titles=(calling,), requestor=True)
        participants = (mine, peer(called, association.address, destination))
    else:
        other = peer(calling, association.address, source, requestor=True)
        participants = (other, us.participant(destination, titles=(called,)))
    context = fields["context"]
    query = AuditObject(
        ObjectKind.QUERY,
        context.abstract_syntax,
        query=bytes(fields["identifier"])[:_LONGEST_QUERY],
        details=(("TransferSyntax", context.transfer_syntax.encode()),),
    )
    yield AuditMessage(terms.QUERY, "E", time.time(), participants, (query,))


def _step(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    """Somebody reports a performed procedure step to us (A.5.3.15)."""
    step: Attributes = fields["step"]
    who = peer(fields["calling"], "", requestor=True)
    studies = _scheduled(step.items_of("ScheduledStepAttributesSequence"))
    yield _record(
        terms.PROCEDURE_RECORD,
        fields["action"],
        (who, us.participant()),
        step.text("PatientID"),
        step.text("PatientName"),
        studies,
    )


def _examination_begun(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    record = fields["record"]
    who = _workers(us, record.operator)
    patient = record.about("PatientID"), record.about("PatientName")
    # What was ordered is read; who was not ordered for is a patient that we make up.
    event, action = (terms.ORDER_RECORD, "R") if record.entries else (terms.PATIENT_RECORD, "C")
    yield _record(event, action, who, *patient)
    yield _record(terms.PROCEDURE_RECORD, "C", who, *patient, (record.study_instance_uid,))


def _examination_over(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    record = fields["record"]
    who = _workers(us, record.operator)
    patient = record.about("PatientID"), record.about("PatientName")
    yield _record(terms.PROCEDURE_RECORD, "U", who, *patient, (record.study_instance_uid,))
    classes: dict[str, int] = {}
    for each in fields["made"]:
        classes[each.sop_class_uid] = classes.get(each.sop_class_uid, 0) + 1
    if classes:
        study = study_object(
            record.study_instance_uid,
            record.about("AccessionNumber"),
            tuple(classes.items()),
            steps=(record.step.uid,),
        )
        objects = (study, patient_object(*patient))
        yield AuditMessage(terms.INSTANCES_ACCESSED, "C", time.time(), who, objects)


def _imported(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    """A.5.3.5: the medium is the folder at which it is mounted."""
    record, made = fields["record"], fields["made"]
    examination = record.examination
    classes: dict[str, int] = {}
    for each in made:
        classes[each.sop_class_uid] = classes.get(each.sop_class_uid, 0) + 1
    medium = Participant(f"file://{record.root}", (terms.SOURCE_MEDIA,), media=terms.URI_MEDIA)
    who = _workers(us, examination.operator, terms.DESTINATION)
    study = study_object(
        examination.study_instance_uid,
        examination.about("AccessionNumber"),
        tuple(classes.items()),
    )
    patient = patient_object(examination.about("PatientID"), examination.about("PatientName"))
    yield AuditMessage(
        terms.IMPORT,
        "C",
        time.time(),
        (*who, medium),
        (study, patient),
        outcome=MINOR_FAILURE if record.failed else SUCCESS,
        description=f"{record.failed} files could not be imported" if record.failed else "",
    )


_MEDIA_TYPES = {"mail": terms.EMAIL, "disc": terms.CD, "folder": terms.USB_DISK}


def _exported(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    """A.5.3.4, once an export is over; of one that failed before anything was written, too."""
    record = fields["record"]
    target, plan = record.target, record.plan
    where = target.path if ":" in target.path else f"file://{target.path}"
    medium = Participant(
        where,
        (terms.DESTINATION_MEDIA,),
        address=where.removeprefix("mailto:") if target.kind == "mail" else "",
        media=_MEDIA_TYPES.get(target.kind, terms.URI_MEDIA)
        if plan.mount or target.kind != "folder"
        else terms.URI_MEDIA,
    )
    who = _workers(us, record.operator, terms.SOURCE)
    patients = plan.patients or (("", ""),)
    objects = (
        *(study_object(uid) for uid in plan.studies),
        *(patient_object(number, name) for number, name in patients),
    )
    yield AuditMessage(
        terms.EXPORT,
        "R",
        time.time(),
        (*who, medium),
        objects,
        outcome=SERIOUS_FAILURE if record.reason else SUCCESS,
        description=record.reason,
    )


def _deleted(us: Us, fields: Fields) -> Iterator[AuditMessage]:
    """A.5.3.8 where a study is gone, A.5.3.6 where some of its objects are."""
    left = {each.study_instance_uid: each for each in fields["left"]}
    for study in fields["before"]:
        rest = left.get(study.study_instance_uid)
        kept = dict(rest.sop_classes) if rest is not None else {}
        gone = tuple(
            (uid, count - kept.get(uid, 0))
            for uid, count in study.sop_classes
            if count > kept.get(uid, 0)
        )
        if not gone:
            continue
        whole = rest is None and study.asked >= study.instances
        objects = (
            study_object(study.study_instance_uid, study.accession_number, gone),
            patient_object(study.patient_id, study.patient_name),
        )
        event = terms.STUDY_DELETED if whole else terms.INSTANCES_ACCESSED
        who = (us.participant(requestor=True),)
        yield AuditMessage(event, "D", time.time(), who, objects)


def _workers(us: Us, operator: str, *roles: AuditTerm) -> tuple[Participant, ...]:
    """Our process, and the person where one is known."""
    if not operator:
        return (us.participant(*roles, requestor=True),)
    return (us.participant(*roles), Participant(operator, roles, True, name=operator))


def _scheduled(items: Iterable[Attributes]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (each.text("StudyInstanceUID") for each in items))))


def _record(
    event: AuditTerm,
    action: str,
    participants: tuple[Participant, ...],
    patient_id: str,
    patient_name: str,
    studies: tuple[str, ...] = (),
) -> AuditMessage:
    objects = (
        *(study_object(uid) for uid in studies),
        patient_object(patient_id, patient_name),
    )
    return AuditMessage(event, action, time.time(), participants, objects)


Handler = Callable[[Us, Fields], Iterator[AuditMessage]]

OCCASIONS: Mapping[str, Handler] = {
    "draining": _draining,
    "configuration reloaded": _reloaded,
    "configuration refused": _not_reloaded,
    "association rejected": _rejected,
    "connection failed": _connection_failed,
    "query": _query,
    "step": _step,
    "examination begun for": _examination_begun,
    "examination over for": _examination_over,
    "imported": _imported,
    "exported": _exported,
    "objects deleted": _deleted,
}
"""By the name of the occasion; `access.*`, `tls.*` and `user.*` are `refused`'s."""
