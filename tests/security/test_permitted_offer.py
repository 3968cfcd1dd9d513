"""An offer cut to what a caller may use: roles, storage in return, classes that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.configuration.load import load
from agent.network.negotiation import STORAGE_SERVICE_CLASS_UID, answer
from agent.network.pdu import DICOM_APPLICATION_CONTEXT_NAME, AssociateAccept, AssociateRequest
from agent.network.presentation_context import PresentationContextProposal
from agent.network.user_information import (
    CommonExtendedNegotiation,
    RoleSelection,
    UserInformation,
)
from agent.security.access_rules import AccessRules
from agent.security.applicant import Applicant
from agent.security.permitted_offer import GuardedProvider, PermittedOffer, permitted_offer
from agent.services.offer import class_services_of, offer_of
from agent.vocabulary import vocabulary

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
GET, COMMITMENT = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.1.20.1"
PRIVATE = "1.2.826.0.1.3680043.2.999.1"
IMPLICIT = "1.2.840.10008.1.2"
SERVICES = (
    '[[entity]]\nname = "GANTRY"\n[[entity.service]]\nname = "get"\n'
    '[[entity.service]]\nname = "commitment"\nroles = ["scp", "scu"]\n'
)


def permitted(tmp_path: Path, rules: str, *classes: str) -> PermittedOffer:
    file = tmp_path / "gantry.toml"
    file.write_text(f'profile = "gateway"\n{SERVICES}{rules}')
    configuration = load(files=[file], vocabulary=vocabulary())
    entity = configuration.entities[0]
    grants = AccessRules(configuration.access).grants(
        "GANTRY", Applicant("GANTRY", "CT1", "192.0.2.7")
    )
    announced = {PRIVATE: CommonExtendedNegotiation(PRIVATE, STORAGE_SERVICE_CLASS_UID)}
    return permitted_offer(
        offer_of(entity, configuration), classes, announced, grants, class_services_of(entity)
    )


def negotiated(
    found: PermittedOffer, *classes: str, as_scp: tuple[str, ...] = ()
) -> dict[str, tuple[int, bool]]:
    """For each class the result, and whether the requestor may be SCP."""
    request = AssociateRequest(
        "GANTRY",
        "CT1",
        DICOM_APPLICATION_CONTEXT_NAME,
        tuple(
            PresentationContextProposal(2 * index + 1, uid, (IMPLICIT,))
            for index, uid in enumerate(classes)
        ),
        UserInformation(
            16384,
            "1.2.3",
            roles=tuple(RoleSelection(uid, scu=True, scp=True) for uid in as_scp),
            common_extended=(CommonExtendedNegotiation(PRIVATE, STORAGE_SERVICE_CLASS_UID),),
        ),
    )
    said = answer(request, found.offer)
    assert isinstance(said, AssociateAccept)
    scp = {each.sop_class_uid: each.scp for each in said.user_information.roles}
    return {
        uid: (result.result, scp.get(uid, False))
        for uid, result in zip(classes, said.presentation_contexts, strict=True)
    }


def rule(more: str) -> str:
    return f'[[access.rule]]\nname = "rule-{abs(hash(more))}"\n{more}\n'


def test_who_may_retrieve_is_stored_to_and_may_not_store(tmp_path: Path) -> None:
    found = permitted(tmp_path, rule('service = "get"'), GET, CT, MR)
    assert negotiated(found, GET, CT, MR, as_scp=(CT,)) == {
        GET: (0, False),
        CT: (0, True),
        MR: (1, False),
    }


def test_what_is_retrieved_may_be_limited_by_class(tmp_path: Path) -> None:
    rules = rule(f'allow = false\nrole = "scu"\nsop_class = "{MR}"') + rule('service = "get"')
    found = permitted(tmp_path, rules, GET, CT, MR)
    assert negotiated(found, CT, MR, as_scp=(CT, MR)) == {CT: (0, True), MR: (1, False)}
    assert found.refused == (MR,)


def test_a_private_class_that_is_announced_goes_by_its_own_uid(tmp_path: Path) -> None:
    provider: Any = object()
    providers = {STORAGE_SERVICE_CLASS_UID: provider, CT: provider}
    alone = rule(f'service = "storage"\nrole = "scp"\nsop_class = "{PRIVATE}"')
    one = permitted(tmp_path, alone, PRIVATE, CT)
    assert negotiated(one, PRIVATE, CT) == {PRIVATE: (0, False), CT: (1, False)}
    assert one.providers(providers)[PRIVATE] is provider
    none = permitted(tmp_path, rule(f'service = "storage"\nsop_class = "{CT}"'), PRIVATE, CT)
    assert negotiated(none, PRIVATE, CT) == {PRIVATE: (1, False), CT: (0, False)}


def test_a_report_to_the_scu_is_no_request_of_the_scp(tmp_path: Path) -> None:
    provider: Any = object()
    reports = permitted(
        tmp_path, rule('service = "commitment"\noperation = "N-EVENT-REPORT"'), COMMITMENT
    )
    assert negotiated(reports, COMMITMENT, as_scp=(COMMITMENT,)) == {COMMITMENT: (0, True)}
    assert negotiated(reports, COMMITMENT) == {COMMITMENT: (1, False)}
    guarded = reports.providers({COMMITMENT: provider})[COMMITMENT]
    assert isinstance(guarded, GuardedProvider)
    assert guarded._allowed == {"N-EVENT-REPORT"}
    whole = permitted(tmp_path, rule('service = "commitment"'), COMMITMENT)
    assert whole.providers({COMMITMENT: provider})[COMMITMENT] is provider
