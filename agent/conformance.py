"""The conformance statement of a profile, from the tables that the node negotiates with (PS3.2)."""

from __future__ import annotations

from collections.abc import Iterator

from agent import __version__
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.dataset.sop_classes import name_of
from agent.dataset.transfer_syntaxes import name_of as syntax_name
from agent.network.negotiation import AcceptorOffer
from agent.services.offer import implementation_of, offer_of


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
        yield from _entity(entity, offer_of(entity, configuration))


def _entity(entity: Entity, offer: AcceptorOffer) -> Iterator[str]:
    limits, timers = entity.limits, entity.timers
    yield ""
    yield f"## Application entity {entity.title}"
    yield ""
    yield "### Association policies"
    yield ""
    yield "| policy | value |"
    yield "|---|---|"
    yield f"| Port | {entity.port or 'opens associations only'} |"
    yield f"| Transport | {'TLS' if entity.tls else 'TCP'} |"
    yield f"| Maximum PDU received | {entity.maximum_pdu or 'unlimited'} |"
    yield f"| Associations accepted at once | {limits.associations or 'as the node allows'} |"
    yield f"| Operations performed at once | {limits.operations_performed or 'unlimited'} |"
    yield f"| Called AE title checked | {'yes' if entity.accept.called_title else 'no'} |"
    yield f"| Calling AE title | {entity.accept.calling} |"
    yield f"| Transfer syntax chosen by | the {entity.prefer}'s order |"
    yield f"| ARTIM and association timer | {timers.association:g} s |"
    yield f"| Idle time | {timers.idle:g} s |"
    yield ""
    yield "### Presentation contexts accepted (role SCP)"
    yield ""
    yield "| SOP class | UID | transfer syntaxes | extended negotiation |"
    yield "|---|---|---|---|"
    groups: dict[tuple[str, ...], str] = {}
    for uid, offered in offer.syntaxes.items():
        group = groups.setdefault(offered.transfer_syntaxes, f"set {len(groups) + 1}")
        extended = "yes" if offered.extended else "none"
        yield f"| {name_of(uid)} | {uid} | {group} | {extended} |"
    for syntaxes, group in groups.items():
        yield ""
        yield f"Transfer syntaxes of {group}, in order of preference:"
        yield ""
        for uid in syntaxes:
            yield f"- {syntax_name(uid)} ({uid})"
    yield from _storage(entity)


def _storage(entity: Entity) -> Iterator[str]:
    """What PS3.4 B.4.3.2 wants stated."""
    behaviour, status = entity.storage, entity.status
    yield ""
    yield "### Storage as SCP (PS3.4 B.4.3.2)"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    yield f"| Level of Storage Support | {behaviour.level} |"
    yield f"| Level of Digital Signature Support | {behaviour.signature_level} |"
    yield "| Optional attributes discarded | none |"
    unknown = {
        "refuse": "refused",
        "announced": "accepted where Common Extended Negotiation announces them as Storage",
        "accept": "accepted as Storage",
    }[behaviour.unknown_sop_classes]
    yield f"| SOP classes not listed | {unknown} |"
    coerced = "by the routes of the configuration, answered B000H" if behaviour.coercion else "none"
    yield f"| Coercion of attributes (Table B.4-1) | {coerced} |"
    yield "| Lossy Image Compression (0028,2110) | as received |"
    yield "| Access to a stored instance | delivery to configured peers |"
    yield "| Duration of storage | as the retention of the archive says |"
    yield "| 0000H | the instance is on stable storage, indexed, and its deliveries are queued |"
    yield f"| {status.disk_full:04X}H | no room; send again later |"
    yield f"| {status.mismatch:04X}H | the data set is not of the SOP class of the request |"
    yield f"| {status.unparsable:04X}H | the data set cannot be understood |"
    yield f"| {status.volume_away:04X}H | the volume of the archive is away; send again later |"
    yield "| B000H | stored; attributes of Table B.4-1 were coerced |"
    yield ""
    yield "### Storage as SCU (PS3.4 B.4.3.1)"
    yield ""
    yield "| response | behaviour |"
    yield "|---|---|"
    yield "| Success | the delivery is done |"
    yield "| Warning (Bxxx) | delivered, with the warning recorded; or held, as configured |"
    yield "| Refused (A7xx) | tried again with increasing waits |"
    yield "| Error (A9xx, Cxxx, others) | held for a person, with the peer's own words |"
    yield "| no answer, abort | tried again with increasing waits |"
