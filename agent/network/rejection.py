"""The rejections of Table 9-21 (PS3.8 9.3.4) by name, and their texts."""

from __future__ import annotations

from agent.network.pdu import AssociateReject

PERMANENT = 1
TRANSIENT = 2

SERVICE_USER = 1
SERVICE_PROVIDER_ACSE = 2
SERVICE_PROVIDER_PRESENTATION = 3

NO_REASON_GIVEN = AssociateReject(PERMANENT, SERVICE_USER, 1)
APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = AssociateReject(PERMANENT, SERVICE_USER, 2)
CALLING_AE_TITLE_NOT_RECOGNIZED = AssociateReject(PERMANENT, SERVICE_USER, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED = AssociateReject(PERMANENT, SERVICE_USER, 7)
PROVIDER_NO_REASON_GIVEN = AssociateReject(PERMANENT, SERVICE_PROVIDER_ACSE, 1)
PROTOCOL_VERSION_NOT_SUPPORTED = AssociateReject(PERMANENT, SERVICE_PROVIDER_ACSE, 2)
TEMPORARY_CONGESTION = AssociateReject(TRANSIENT, SERVICE_PROVIDER_PRESENTATION, 1)
LOCAL_LIMIT_EXCEEDED = AssociateReject(TRANSIENT, SERVICE_PROVIDER_PRESENTATION, 2)
# PS3.7 D.3.3.7: a user identity that is not authorized is refused by the ACSE provider.
USER_IDENTITY_NOT_AUTHORIZED = PROVIDER_NO_REASON_GIVEN
# Nobody could say whether it is authorized: another time perhaps.
IDENTITY_NOT_VERIFIED = AssociateReject(TRANSIENT, SERVICE_PROVIDER_ACSE, 1)

RESULT_TEXTS = {PERMANENT: "rejected-permanent", TRANSIENT: "rejected-transient"}
SOURCE_TEXTS = {
    SERVICE_USER: "service-user",
    SERVICE_PROVIDER_ACSE: "service-provider (ACSE related function)",
    SERVICE_PROVIDER_PRESENTATION: "service-provider (Presentation related function)",
}
REASON_TEXTS = {
    (SERVICE_USER, 1): "no-reason-given",
    (SERVICE_USER, 2): "application-context-name-not-supported",
    (SERVICE_USER, 3): "calling-AE-title-not-recognized",
    (SERVICE_USER, 7): "called-AE-title-not-recognized",
    (SERVICE_PROVIDER_ACSE, 1): "no-reason-given",
    (SERVICE_PROVIDER_ACSE, 2): "protocol-version-not-supported",
    (SERVICE_PROVIDER_PRESENTATION, 1): "temporary-congestion",
    (SERVICE_PROVIDER_PRESENTATION, 2): "local-limit-exceeded",
}


def reject_text(reject: AssociateReject) -> str:
    """A rejection in the standard's words, for a person."""
    result = RESULT_TEXTS.get(reject.result, f"result {reject.result}")
    source = SOURCE_TEXTS.get(reject.source, f"source {reject.source}")
    reason = REASON_TEXTS.get((reject.source, reject.reason), f"reason {reject.reason}")
    return f"{result}, {source}, {reason}"
