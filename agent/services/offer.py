"""What an application entity offers: one pure function for the node and its conformance statement.

The node negotiates with the result, the statement is written from it; so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.entity import Service as ServiceTable
from agent.dataset.sop_classes import (
    NON_PATIENT,
    STORAGE_SERVICE_CLASS,
    storage_sop_classes,
    with_implied,
)
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from agent.network.association import ServiceProvider
from agent.network.negotiation import AcceptorOffer, SyntaxOffer
from agent.services.catalogue import services
from agent.services.service import Service, Support
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_EVERY_TRANSFER_SYNTAX = tuple(uid for uid, row in TRANSFER_SYNTAXES.items() if row.transferable)


def implementation_of(configuration: Configuration) -> tuple[str, str]:
    """Implementation Class UID and Version Name (PS3.7 D.3.3.2): the same everywhere."""
    node = configuration.node
    return (
        node.implementation_class_uid or IMPLEMENTATION_CLASS_UID,
        node.implementation_version_name or IMPLEMENTATION_VERSION_NAME,
    )


def _performed(entity: Entity) -> list[tuple[Service, ServiceTable, tuple[str, ...]]]:
    """Each service for which the entity can be called, with its SOP classes in order."""
    found = []
    for table in entity.services:
        service = services().get(table.service)
        if service is None or not table.enabled:
            continue
        if "scp" in table.roles or ("scu" in table.roles and service.called_as_scu):
            found.append((service, table, _classes_of(service, table)))
    return found


def _roles(service: Service, table: ServiceTable) -> dict[str, bool]:
    """Which roles we would play ourselves on an association that another opens."""
    return {
        "scu": service.called_as_scu and "scu" in table.roles,
        "scp": "scp" in table.roles,
    }


def _classes_of(service: Service, table: ServiceTable) -> tuple[str, ...]:
    classes = tuple(table.sop_classes) or service.default_sop_classes
    return with_implied(classes, scp=True) if service.any_class else classes


def abstract_syntaxes_of(entity: Entity, table: ServiceTable) -> frozenset[str]:
    """The SOP classes that the entity performs by this table of a service."""
    return frozenset(
        uid for _, each, classes in _performed(entity) if each.name == table.name for uid in classes
    )


@dataclass(frozen=True, slots=True)
class ClassServices:
    """By which services an entity serves a SOP class, told apart by the role that it plays.

    `others` are those that serve classes which are not listed.
    """

    listed: Mapping[tuple[str, str], tuple[str, ...]]
    others: Mapping[str, tuple[str, ...]]

    def of(self, sop_class: str, role: str) -> tuple[str, ...]:
        return self.listed.get((sop_class, role)) or self.others[role]


def class_services_of(entity: Entity) -> ClassServices:
    """The same tables as `offer_of`, read the other way."""
    listed: dict[tuple[str, str], tuple[str, ...]] = {}
    others: dict[str, tuple[str, ...]] = {"scp": (), "scu": ()}
    in_return = tuple(each.name for each, _, _ in _performed(entity) if each.stores_in_return)
    if in_return:
        # What is retrieved is stored on contexts of Storage, with us as SCU.
        others["scu"] = (*in_return, "storage")
        for uid in storage_sop_classes(non_patient=True):
            listed[uid, "scu"] = others["scu"]
    for service, table, classes in _performed(entity):
        roles = [role for role, plays in _roles(service, table).items() if plays]
        for role in roles:
            for uid in classes:
                before = listed.get((uid, role), ())
                listed[uid, role] = tuple(dict.fromkeys((*before, service.name)))
        if service.any_class:
            others["scp"] = (service.name,)
    return ClassServices(listed, others)


def offer_of(entity: Entity, configuration: Configuration) -> AcceptorOffer:
    """The offer of an entity as acceptor."""
    syntaxes: dict[str, SyntaxOffer] = {}
    service_classes: dict[str, SyntaxOffer] = {}
    unannounced: SyntaxOffer | None = None
    for service, table, classes in _performed(entity):
        transfer = tuple(table.transfer_syntaxes or entity.transfer_syntaxes)
        transfer = tuple(uid for uid in transfer if uid != "all") or _EVERY_TRANSFER_SYNTAX
        for uid in classes:
            extended = service.extended(entity, uid) if entity.extended_negotiation else None
            syntaxes.setdefault(
                uid, SyntaxOffer(transfer, extended=extended, **_roles(service, table))
            )
        policy = entity.storage.unknown_sop_classes
        if service.any_class and policy != "refuse" and entity.storage.level == 2:
            extended = service.extended(entity, "") if entity.extended_negotiation else None
            unknown = SyntaxOffer(transfer, extended=extended)
            service_classes[STORAGE_SERVICE_CLASS] = unknown
            if policy == "accept":
                unannounced = unknown
    if unannounced is not None:
        for uid in NON_PATIENT:
            # Taken like all others, yet without extended negotiation (PS3.4 GG.2).
            syntaxes.setdefault(uid, SyntaxOffer(unannounced.transfer_syntaxes))
    if any(service.stores_in_return for service, _, _ in _performed(entity)):
        _store_in_return(syntaxes)
        if unannounced is not None:
            unannounced = replace(unannounced, scu=True)
        for uid, found in service_classes.items():
            service_classes[uid] = replace(found, scu=True)
    class_uid, version_name = implementation_of(configuration)
    limits = entity.limits
    return AcceptorOffer(
        syntaxes,
        class_uid,
        version_name,
        maximum_length=entity.maximum_pdu,
        prefer="acceptor" if entity.prefer == "acceptor" else "requestor",
        # The requestor's view: what it may invoke is what we perform (PS3.7 D.3.3.3).
        asynchronous_operations_window=(limits.operations_performed, limits.operations_invoked),
        service_classes=service_classes,
        accept_related_general=bool(service_classes),
        role_selection=entity.role_selection,
        without_extended=NON_PATIENT,  # PS3.4 GG.2
        unannounced=unannounced,
    )


def _store_in_return(syntaxes: dict[str, SyntaxOffer]) -> None:
    """Let the requestor be SCP of every Storage class: what it gets, it gets on these contexts
    (PS3.4 C.5.3). Where we are no SCP of Storage, that is all that it may be."""
    only = SyntaxOffer(_EVERY_TRANSFER_SYNTAX, scu=True, scp=False)
    for uid in storage_sop_classes(non_patient=True):
        found = syntaxes.get(uid)
        syntaxes[uid] = only if found is None else replace(found, scu=True)


def providers_of(entity: Entity, support: Support) -> Mapping[str, ServiceProvider]:
    """The providers by what a context is served as (`AcceptorOffer.find`)."""
    found: dict[str, ServiceProvider] = {}
    for service, _, classes in _performed(entity):
        provider = service.provider(entity, support)
        for uid in (*classes, *(NON_PATIENT if service.any_class else ())):
            found.setdefault(uid, provider)
        if service.any_class:
            found.setdefault(STORAGE_SERVICE_CLASS, provider)
            found.setdefault("", provider)
    return found
