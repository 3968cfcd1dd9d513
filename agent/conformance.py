"""The conformance statement of a profile, from the tables that the node negotiates with (PS3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent import __version__
from agent.codecs.registry import is_available
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.conformance_access import access
from agent.conformance_audit import audit, secure_use
from agent.conformance_confidentiality import confidentiality
from agent.conformance_fetching import fetching
from agent.conformance_media import media, media_storage
from agent.conformance_objects import objects
from agent.conformance_procedures import procedures
from agent.conformance_query import queries
from agent.conformance_retrieval import retrieval
from agent.conformance_signatures import signatures
from agent.conformance_transport import secure_transport, transport
from agent.dataset.sop_classes import NON_PATIENT, name_of
from agent.dataset.transfer_syntaxes import name_of as syntax_name
from agent.network.negotiation import AcceptorOffer
from agent.services.offer import implementation_of, offer_of
from agent.services.storage_negotiation import NATIVE


def statement(configuration: Configuration) -> str:
    """The statement as Markdown."""
    return "\n".join(_lines(configuration)) + "\n"


def _lines(configuration: Configuration) -> Iterator[str]:
    class_uid, version_name = implementation_of(configuration)
    yield f"# DICOM conformance statement: Gantry {__version__}, profile {configuration.profile}"
    yield ""
    yield configuration.description or "A gateway beside an imaging modality."
    yield ""
    yield "## Implementation identifying information"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    yield "| Application Context Name | 1.2.840.10008.3.1.1.1 |"
    yield f"| Implementation Class UID | {class_uid} |"
    yield f"| Implementation Version Name | {version_name} |"
    for entity in configuration.entities:
        yield from _entity(entity, offer_of(entity, configuration), configuration)
    yield from secure_transport(configuration)
    yield from media_storage(configuration)
    yield from confidentiality(configuration)
    yield from signatures(configuration)
    yield from secure_use(configuration)
    yield from audit(configuration)


def _entity(entity: Entity, offer: AcceptorOffer, configuration: Configuration) -> Iterator[str]:
    limits, timers = entity.limits, entity.timers
    yield ""
    yield f"## Application entity {entity.title}"
    yield ""
    yield "### Association policies"
    yield ""
    yield "| policy | value |"
    yield "|---|---|"
    yield f"| Port | {transport(entity)} |"
    yield f"| Maximum PDU received | {entity.maximum_pdu or 'unlimited'} |"
    yield f"| Associations accepted at once | {limits.associations or 'as the node allows'} |"
    yield f"| Operations performed at once | {limits.operations_performed or 'unlimited'} |"
    yield f"| Called AE title checked | {'yes' if entity.accept.called_title else 'no'} |"
    yield f"| Calling AE title | {entity.accept.calling} |"
    yield f"| Transfer syntax chosen by | the {entity.prefer}'s order |"
    yield f"| ARTIM and association timer | {timers.association:g} s |"
    yield f"| Idle time | {timers.idle:g} s |"
    yield from access(entity, configuration)
    yield ""
    yield "### Presentation contexts accepted (role SCP)"
    yield ""
    yield "| SOP class | UID | transfer syntaxes | extended negotiation |"
    yield "|---|---|---|---|"
    groups: dict[tuple[str, ...], str] = {}
    for uid, offered in offer.syntaxes.items():
        if not offered.scp and offered.scu:
            # Only the other way round, for what is retrieved.
            continue
        group = groups.setdefault(offered.transfer_syntaxes, f"set {len(groups) + 1}")
        extended = "yes" if offered.extended else "none"
        yield f"| {name_of(uid)} | {uid} | {group} | {extended} |"
    for syntaxes, group in groups.items():
        yield ""
        yield f"Transfer syntaxes of {group}, in order of preference:"
        yield ""
        for uid in syntaxes:
            yield f"- {syntax_name(uid)} ({uid})"
    if entity.services_of("storage", "scp"):
        yield from _storage_scp(entity, configuration, NON_PATIENT.intersection(offer.syntaxes))
    if entity.services_of("storage", "scu"):
        yield from _storage_scu(entity, configuration)
    yield from queries(entity)
    yield from objects(entity)
    yield from retrieval(entity, configuration)
    yield from fetching(entity, configuration)
    yield from procedures(entity, configuration)
    yield from media(entity, configuration)


def _storage_scp(
    entity: Entity, configuration: Configuration, non_patient: frozenset[str]
) -> Iterator[str]:
    """What PS3.4 B.4.3.2 wants stated."""
    behaviour = entity.storage
    yield ""
    yield "### Storage as SCP (PS3.4 B.4.3.2)"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    yield f"| Level of Storage Support | {behaviour.level} |"
    yield f"| Level of Digital Signature Support | {behaviour.negotiated_signature_level} |"
    yield f"| Extended Negotiation | {_EXTENDED[entity.extended_negotiation]} |"
    yield "| Optional attributes discarded | none |"
    policy = behaviour.unknown_sop_classes if behaviour.level == 2 else "refuse"
    yield f"| SOP classes not listed | {_UNKNOWN[policy]} |"
    coerced = "by the routes of the configuration, answered B000H" if behaviour.coercion else "none"
    yield f"| Coercion of attributes (Table B.4-1) | {coerced} |"
    yield "| Lossy Image Compression (0028,2110) | as received |"
    yield f"| Compression on receipt | {_compression(entity, configuration)} |"
    yield "| Access to a stored instance | delivery to configured peers |"
    yield f"| Duration of storage | {_duration(entity, configuration)} |"
    yield ""
    yield "| response | meaning | recovery |"
    yield "|---|---|---|"
    yield "| 0000H | on stable storage, indexed, its deliveries are queued | none needed |"
    for status, reasons in _refusals(entity).items():
        meanings, recoveries = zip(*reasons, strict=True)
        yield f"| {status:04X}H | {'; or '.join(meanings)} | {_each_once(recoveries)} |"
    if behaviour.coercion:
        yield "| B000H | stored; attributes of Table B.4-1 were coerced | see Offending Element |"
    yield f"| {_never(behaviour.coercion)} | not answered | |"
    if non_patient:
        yield ""
        yield "Classes of Annex GG are never coerced; 0000H, A700H, A900H, C000H are all answers."


_EXTENDED = {True: "supported", False: "not supported"}
_UNKNOWN = {
    "refuse": "refused",
    "announced": "accepted where Common Extended Negotiation announces them as Storage",
    "accept": "accepted as Storage",
}
_LATER, _CORRECT = "send again later", "correct the object or the request"


def _never(coercion: int) -> str:
    return "B006H, B007H" if coercion else "B000H, B006H, B007H"


def _each_once(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _refusals(entity: Entity) -> dict[int, list[tuple[str, str]]]:
    """Each failure status with what it may mean, and what to do about it."""
    status = entity.status
    rows = [
        (status.disk_full, "the disk or the quota is full", _LATER),
        (status.out_of_resources, "a limit is reached, or the storage failed", _LATER),
        (status.mismatch, "the data set is not of the SOP class or instance named", _CORRECT),
        (status.unparsable, "the data set cannot be understood", _CORRECT),
        (status.volume_away, "the volume of the archive is away", _LATER),
    ]
    if entity.accept.solicited:
        rows.append((status.unsolicited, "the object was not asked for", "none"))
    if entity.storage.signatures in ("refuse", "require"):
        rows.append((status.signature, "a digital signature is not as we want it", _CORRECT))
    if entity.storage.onward:
        rows.append((status.onward_silent, "the server behind us does not answer", _LATER))
        rows.append((status.onward_refused, "the server behind us refuses us", "tell its keeper"))
    found: dict[int, list[tuple[str, str]]] = {}
    for each, meaning, recovery in sorted(rows, key=lambda row: row[0]):
        found.setdefault(each, []).append((meaning, recovery))
    return found


def _compression(entity: Entity, configuration: Configuration) -> str:
    rules = [
        each
        for each in configuration.compressions
        if not each.entities or entity.name in each.entities
    ]
    syntaxes = dict.fromkeys(syntax_name(uid) for rule in rules for uid in rule.to)
    return f"by rule, without loss, into {', '.join(syntaxes)}" if rules else "none"


def _proposed(configuration: Configuration) -> str:
    if not any(peer.convert for peer in configuration.peers):
        return "that of the object"
    made = {
        uid
        for peer in configuration.peers
        for uid in peer.transfer_syntaxes
        if peer.convert and is_available(uid) and uid not in NATIVE
    }
    text = "that of the object, and the native ones where it can be decoded"
    return text + (f"; of images also {', '.join(sorted(map(syntax_name, made)))}" if made else "")


def _lossy(configuration: Configuration) -> str:
    names = [peer.name for peer in configuration.peers if peer.lossy.allowed]
    if not names:
        return "none of its own"
    return f"for {', '.join(names)}: derived images with SOP Instance UIDs of their own"


def _duration(entity: Entity, configuration: Configuration) -> str:
    archive = configuration.archive(entity.archive)
    if archive is None or archive.retention.delete == "never":
        return "until a person deletes it"
    retention = archive.retention
    when = f"once {retention.after}, and not before {_time(retention.keep)}"
    if retention.delete == "by-age":
        return f"{_time(retention.age)}, then deleted {when}; sooner when space is needed"
    return f"until space is needed; then deleted {when}, the {retention.order} first"


def _time(seconds: float) -> str:
    return f"{seconds / 86400:g} d" if seconds >= 86400 else f"{seconds / 3600:g} h"


def _storage_scu(entity: Entity, configuration: Configuration) -> Iterator[str]:
    """What PS3.4 B.4.3.1 wants stated."""
    delivery = configuration.delivery
    done = delivery.on_warning == "done"
    yield ""
    yield "### Storage as SCU (PS3.4 B.4.3.1)"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    yield f"| Extended Negotiation | {_EXTENDED[entity.extended_negotiation]} |"
    yield "| Related general classes (B.4.2.1) | proposed besides; the SOP Instance UID is kept |"
    yield "| Optional elements, functional groups | those of the object as it was received |"
    yield f"| Transfer syntaxes proposed | {_proposed(configuration)} |"
    yield f"| Lossy compression | {_lossy(configuration)} |"
    yield "| Referenced pixel data (JPIP) | sent as received; the reference is the sender's |"
    yield ""
    yield "| response | behaviour |"
    yield "|---|---|"
    yield "| Success (0000) | the delivery is done |"
    yield f"| Warning (Bxxx) | {'delivered' if done else 'held for a person'}, with the warning |"
    yield "| Refused (A7xx, 0110, 0213) | tried again with increasing waits |"
    again = "; tried again after a reload" if delivery.retry_after_reload else ""
    yield f"| Refused (0122) | held for a person{again} |"
    yield "| Error (A9xx, Cxxx, others) | held for a person, with the peer's own words |"
    yield "| no answer, abort | tried again with increasing waits |"
