"""The coded terms of audit messages (PS3.16 CID 400 to 403 and 405, PS3.15 A.5.1.2)."""

from __future__ import annotations

from typing import NamedTuple


class AuditTerm(NamedTuple):
    """A code, who defined it, and what it means."""

    code: str
    scheme: str
    meaning: str


def _dicom(code: int, meaning: str) -> AuditTerm:
    return AuditTerm(str(code), "DCM", meaning)


# Audit Event ID (CID 400).
APPLICATION_ACTIVITY = _dicom(110100, "Application Activity")
AUDIT_LOG_USED = _dicom(110101, "Audit Log Used")
BEGIN_TRANSFERRING = _dicom(110102, "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = _dicom(110103, "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = _dicom(110104, "DICOM Instances Transferred")
STUDY_DELETED = _dicom(110105, "DICOM Study Deleted")
EXPORT = _dicom(110106, "Export")
IMPORT = _dicom(110107, "Import")
NETWORK_ENTRY = _dicom(110108, "Network Entry")
ORDER_RECORD = _dicom(110109, "Order Record")
PATIENT_RECORD = _dicom(110110, "Patient Record")
PROCEDURE_RECORD = _dicom(110111, "Procedure Record")
QUERY = _dicom(110112, "Query")
SECURITY_ALERT = _dicom(110113, "Security Alert")
USER_AUTHENTICATION = _dicom(110114, "User Authentication")

# Audit Event Type Code (CID 401); those of Security Alert are CID 403.
APPLICATION_START = _dicom(110120, "Application Start")
APPLICATION_STOP = _dicom(110121, "Application Stop")
LOGIN = _dicom(110122, "Login")
LOGOUT = _dicom(110123, "Logout")
ATTACH = _dicom(110124, "Attach")
DETACH = _dicom(110125, "Detach")
NODE_AUTHENTICATION = _dicom(110126, "Node Authentication")
EMERGENCY_OVERRIDE_STARTED = _dicom(110127, "Emergency Override Started")
NETWORK_CONFIGURATION = _dicom(110128, "Network Configuration")
SECURITY_CONFIGURATION = _dicom(110129, "Security Configuration")
HARDWARE_CONFIGURATION = _dicom(110130, "Hardware Configuration")
SOFTWARE_CONFIGURATION = _dicom(110131, "Software Configuration")
USE_OF_RESTRICTED_FUNCTION = _dicom(110132, "Use of Restricted Function")
AUDIT_RECORDING_STOPPED = _dicom(110133, "Audit Recording Stopped")
AUDIT_RECORDING_STARTED = _dicom(110134, "Audit Recording Started")
OBJECT_SECURITY_ATTRIBUTES_CHANGED = _dicom(110135, "Object Security Attributes Changed")
SECURITY_ROLES_CHANGED = _dicom(110136, "Security Roles Changed")
USER_SECURITY_ATTRIBUTES_CHANGED = _dicom(110137, "User Security Attributes Changed")
EMERGENCY_OVERRIDE_STOPPED = _dicom(110138, "Emergency Override Stopped")
REMOTE_SERVICE_OPERATION_STARTED = _dicom(110139, "Remote Service Operation Started")
REMOTE_SERVICE_OPERATION_STOPPED = _dicom(110140, "Remote Service Operation Stopped")
LOCAL_SERVICE_OPERATION_STARTED = _dicom(110141, "Local Service Operation Started")
LOCAL_SERVICE_OPERATION_STOPPED = _dicom(110142, "Local Service Operation Stopped")

SECURITY_ALERT_TYPES = frozenset(
    (
        NODE_AUTHENTICATION,
        EMERGENCY_OVERRIDE_STARTED,
        NETWORK_CONFIGURATION,
        SECURITY_CONFIGURATION,
        HARDWARE_CONFIGURATION,
        SOFTWARE_CONFIGURATION,
        USE_OF_RESTRICTED_FUNCTION,
        AUDIT_RECORDING_STOPPED,
        AUDIT_RECORDING_STARTED,
        OBJECT_SECURITY_ATTRIBUTES_CHANGED,
        SECURITY_ROLES_CHANGED,
        USER_SECURITY_ATTRIBUTES_CHANGED,
        EMERGENCY_OVERRIDE_STOPPED,
        REMOTE_SERVICE_OPERATION_STARTED,
        REMOTE_SERVICE_OPERATION_STOPPED,
        LOCAL_SERVICE_OPERATION_STARTED,
        LOCAL_SERVICE_OPERATION_STOPPED,
    )
)

# Audit Active Participant Role ID Code (CID 402).
APPLICATION = _dicom(110150, "Application")
APPLICATION_LAUNCHER = _dicom(110151, "Application Launcher")
DESTINATION = _dicom(110152, "Destination Role ID")
SOURCE = _dicom(110153, "Source Role ID")
DESTINATION_MEDIA = _dicom(110154, "Destination Media")
SOURCE_MEDIA = _dicom(110155, "Source Media")

# Media Type Code (CID 405).
USB_DISK = _dicom(110030, "USB Disk Emulation")
EMAIL = _dicom(110031, "Email")
CD = _dicom(110032, "CD")
DVD = _dicom(110033, "DVD")
URI_MEDIA = _dicom(110037, "URI")

# Participant Object ID Type Code (CID 404, and A.5.1.2.4 for those of RFC 3881).
STUDY_INSTANCE_UID = _dicom(110180, "Study Instance UID")
SOP_CLASS_UID = _dicom(110181, "SOP Class UID")
NODE_ID = _dicom(110182, "Node ID")
PATIENT_NUMBER = AuditTerm("2", "RFC-3881", "Patient Number")
URI = AuditTerm("12", "RFC-3881", "URI")

KNOWN_TERMS = {
    (term.code, term.scheme): term for term in tuple(globals().values()) if type(term) is AuditTerm
}
"""All of them: whoever writes a code may give it another meaning's words."""
