"""The table of commands: name, group, one line of help, and the module that carries it out.

A command's module has two functions:

    def add_arguments(parser: argparse.ArgumentParser) -> None
    def run(options: argparse.Namespace) -> int        # the exit status; raises GantryError

It is imported when its command is given, and not before: `gantry echo` pays for what an echo needs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One row: `module` is imported only to run the command or to show its own help."""

    name: str
    group: str
    summary: str
    module: str
    log_level: str = "warning"
    """A node logs what it does; a command that a person types says only what went wrong."""
    passes_on: bool = False
    """Arguments that the command does not know are left in `options.passed_on`, in order."""
    audited: bool = False
    """Whether it shows or changes what is of a patient, or keys, without the node."""


THE_NODE = "the node"
ONE_ACT = "one DICOM act, for set-up and fault-finding"
FILES = "files"
CONFIGURATION = "configuration and checks"

_ROWS = (
    Command("run", THE_NODE, "run the node in the foreground", "agent.cli.run", log_level="info"),
    Command("demo", THE_NODE, "the main job, end to end, on simulated hardware", "agent.cli.demo"),
    Command("status", THE_NODE, "what the running node is doing", "agent.cli.status"),
    Command("queue", THE_NODE, "list, retry, hold and drop jobs", "agent.cli.queue"),
    Command("studies", THE_NODE, "what is in the spool", "agent.cli.studies"),
    Command("exam", THE_NODE, "examinations, from worklist entry to step", "agent.cli.exam"),
    Command("import", THE_NODE, "studies from a medium, reconciled", "agent.cli.import_studies"),
    Command("export", THE_NODE, "studies onto media, verified", "agent.cli.export_studies"),
    Command("fetch", THE_NODE, "studies of a peer into the archive", "agent.cli.fetch"),
    Command("transfer", THE_NODE, "studies from one peer to another", "agent.cli.transfer"),
    Command("search", THE_NODE, "one query of all its peers, merged", "agent.cli.search"),
    Command("capture", THE_NODE, "capture a series from a device", "agent.cli.capture"),
    Command(
        "substances",
        THE_NODE,
        "substances that were reported as administered",
        "agent.cli.substances",
    ),
    Command("audit", THE_NODE, "the audit trail: what waits, what it says", "agent.cli.audit"),
    Command("echo", ONE_ACT, "ask a peer whether it is there (C-ECHO)", "agent.cli.echo"),
    Command(
        "send",
        ONE_ACT,
        "send files and folders to a peer (C-STORE)",
        "agent.cli.send",
        audited=True,
    ),
    Command(
        "listen",
        ONE_ACT,
        "receive objects into a folder",
        "agent.cli.listen",
        log_level="info",
        audited=True,
    ),
    Command(
        "get",
        ONE_ACT,
        "have objects sent to us over one association (C-GET)",
        "agent.cli.get",
        audited=True,
    ),
    Command(
        "move", ONE_ACT, "have objects sent to somebody (C-MOVE)", "agent.cli.move", audited=True
    ),
    Command("worklist", ONE_ACT, "what is scheduled (C-FIND)", "agent.cli.worklist", audited=True),
    Command(
        "find",
        ONE_ACT,
        "patients, studies, series, instances (C-FIND)",
        "agent.cli.find",
        audited=True,
    ),
    Command(
        "mpps",
        ONE_ACT,
        "report a performed procedure step, or read one",
        "agent.cli.mpps",
        audited=True,
    ),
    Command("commit", ONE_ACT, "ask a peer to commit to objects", "agent.cli.commit"),
    Command("inventory", ONE_ACT, "have a peer make an inventory of itself", "agent.cli.inventory"),
    Command(
        "log-event",
        ONE_ACT,
        "report an event of a procedure, or a substance administered",
        "agent.cli.log_event",
    ),
    Command("dump", FILES, "show the elements of a file", "agent.cli.dump", audited=True),
    Command("media", FILES, "file-sets with a DICOMDIR", "agent.cli.media", audited=True),
    Command("convert", FILES, "files into another transfer syntax", "agent.cli.convert"),
    Command(
        "deidentify",
        FILES,
        "files without what identifies a patient",
        "agent.cli.deidentify",
        audited=True,
    ),
    Command("signature", FILES, "digital signatures of objects", "agent.cli.signature"),
    Command("config", CONFIGURATION, "show, check or begin a configuration", "agent.cli.config"),
    Command(
        "access", CONFIGURATION, "try who may do what; passcodes", "agent.cli.access", audited=True
    ),
    Command(
        "keys",
        CONFIGURATION,
        "keys, certificates, and whom we trust",
        "agent.cli.keys",
        audited=True,
    ),
    Command(
        "first-boot",
        CONFIGURATION,
        "set up a fresh box from gantry.conf",
        "agent.cli.first_boot",
    ),
    Command(
        "firewall", CONFIGURATION, "rules for nftables: what we listen on", "agent.cli.firewall"
    ),
    Command("doctor", CONFIGURATION, "check this machine and put it right", "agent.cli.doctor"),
    Command("backup", CONFIGURATION, "all of a box, encrypted, while it runs", "agent.cli.backup"),
    Command("restore", CONFIGURATION, "put a backup in place", "agent.cli.restore"),
    Command(
        "conformance",
        CONFIGURATION,
        "the conformance statement of a profile",
        "agent.cli.conformance",
    ),
    Command(
        "test",
        CONFIGURATION,
        "run the tests of this checkout",
        "agent.cli.test_command",
        passes_on=True,
    ),
)

COMMANDS: dict[str, Command] = {row.name: row for row in _ROWS}
