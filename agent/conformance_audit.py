"""What the conformance statement says of audit and secure use (PS3.15 A.1, A.5 to A.7)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.audit import AUDIT_EVENTS
from agent.configuration.configuration import Configuration

_OCCASIONS = {
    "application": "the node starts and stops",
    "audit-log-used": "somebody reads the queue with `gantry audit`",
    "begin-transferring": "the first object of a study goes to a peer",
    "export": "an export to media, a file or by mail is over, or failed",
    "import": "an import from media is over",
    "accessed": "objects are made by an examination (C), given another identity (U), or deleted "
    "while others of their study stay (D); a person looks at the objects of a study, has them sent "
    "again, or holds, hurries or drops their jobs (R)",
    "transferred": "objects came (C; R for what was here, U for other bytes under the same UID), "
    "or went out by delivery, C-MOVE or C-GET (R): one message for an association and study. What "
    "we refused of an association is one failure, with the answers and their numbers; study and "
    "patient are unknown then, for it was not kept",
    "deleted": "the last objects of a study are deleted, by retention or a person",
    "network-entry": "the node begins and ends to take associations",
    "query": "a C-FIND is asked of us, or by us: patients, studies, worklist, and all others; a "
    "person at this machine is shown such a list",
    "security-alert": "a connection, association or service is refused for what the caller is; a "
    "host, AE title or user is shut out after failures; a person stops delivery to a peer, lets it "
    "go on, or asks for what it may not; the "
    "configuration is read anew; the audit trail begins, ends, or loses messages. The same alert "
    "within a minute is counted, and told once more with its number",
    "user-authentication": "a user identity is verified (PS3.7 D.3.3.7)",
    "order-record": "an examination reads its worklist entry",
    "patient-record": "an examination is begun for a patient without an order",
    "procedure-record": "a performed procedure step begins or changes, ours or one that is "
    "reported to us; a person looks at it",
}
_TRANSPORTS = {
    "tls": "SYSLOG-TLS (A.6, RFC 5425)",
    "udp": "SYSLOG-UDP (A.7, RFC 5426)",
    "journal": "the journal of this machine",
}


def audit(configuration: Configuration) -> Iterator[str]:
    """What PS3.15 A.5 (c to e), A.6 and A.7 want stated, of a configuration with an audit trail."""
    table = configuration.audit
    if not table.repositories:
        return
    yield ""
    yield "## Audit trail (PS3.15 A.5 to A.7)"
    yield ""
    yield "| message | made when |"
    yield "|---|---|"
    for name in AUDIT_EVENTS:
        said = "not made: left out by the configuration" if name in table.left_out else ""
        yield f"| {name} | {said or _OCCASIONS[name]} |"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    for item, value in _items(configuration):
        yield f"| {item} | {value} |"


def _items(configuration: Configuration) -> Iterator[tuple[str, str]]:
    table = configuration.audit
    for each in table.repositories:
        yield (
            f"Repository {each.name}",
            f"{_TRANSPORTS[each.transport]}, {each.address or each.socket}, facility "
            f"{each.facility}, messages of at most {each.largest or 'any'} bytes",
        )
    yield "Processing of received messages", "none are received"
    yield "Configuration", "`[audit]`: messages, repositories, names, gathering, the queue"
    yield "User ID", "of this node the process ID, as in its log; of others the AE title"
    yield (
        "Persons at this machine",
        "who asked for it by the control socket is the requestor: the account as User ID, its "
        "number as Alternative User ID; what shows the same is told once a minute",
    )
    yield (
        "Commands beside the node",
        "`gantry send`, get, move, find, worklist, mpps, listen, dump, deidentify, media create "
        "and update, keys and access tell this audit trail, or the journal where they may not",
    )
    yield "Alternative User ID", "the AE titles that took part"
    yield "Audit Source ID", table.source or configuration.node.name
    yield "Extensions of schema or messages", "none"
    yield "RFC 5424 header", "APP-NAME gantry, PROCID the process ID, MSGID DICOM+RFC3881"
    yield (
        "STRUCTURED-DATA",
        "meta sequenceId: the number of the message; one that is sent again bears the same",
    )
    yield "Severity", "5 for success, 4 for all else"
    yield (
        "Largest message",
        "identifiers of queries are cut at 32 KiB; all else stays below 8 KiB for one study",
    )
    yield (
        "When a repository is away",
        f"messages wait on disk, at most {table.size} bytes; then "
        + {
            "oldest": "the oldest are lost",
            "newest": "the newest are lost",
            "refuse": "new associations are refused",
        }[table.when_full],
    )


def secure_use(configuration: Configuration) -> Iterator[str]:
    """What PS3.15 A.1 wants stated."""
    if not configuration.secure_use.enabled:
        return
    peers = ", ".join(each.name for each in configuration.peers if each.secure_use) or "none"
    yield ""
    yield "## Online Electronic Storage Secure Use (PS3.15 A.1)"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    yield f"| Peers that follow the profile | {peers}; others get and give NS |"
    yield "| Copies to them | AC where the stored object is AO or AC, else NS |"
    takes = ", ".join(each.name for each in configuration.peers if each.takes_originals)
    yield (
        "| Originals (A.1.1 c) | are never deleted here, but for images that are rejected in their "
        "review |"
    )
    yield (
        f"| Transfer of originals (A.1.1 d) | to {takes or 'nobody'}"
        + ("; when it has committed to one, ours is AC (it was AO) or NS |" if takes else " |")
    )
    yield (
        "| Originals from peers that follow the profile | go to nobody until the peer was told, by "
        "storage commitment, that they are kept |"
    )
    made = "OR, with the moment and certification" if configuration.secure_use.originals else ""
    yield f"| Images captured here (A.1.1 a) | {made or 'without SOP Instance Status'} |"
    yield "| Change of OR to AO here (A.1.1 b) | none |"
    yield "| Remote access is restricted by | TLS with certificates of both sides, AE title, host |"
