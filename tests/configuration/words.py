"""A vocabulary out of the real registries, and short ways to load texts and collect problems."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from agent.configuration.configuration import Configuration
from agent.configuration.load import load
from agent.configuration.problems import ConfigurationErrors, Problem
from agent.configuration.vocabulary import ServiceTerm, Vocabulary, names_of
from agent.dataset.sop_classes import SOP_CLASSES, VERIFICATION, storage_sop_classes
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES, UNCOMPRESSED

KEYWORDS = {"PatientID": 0x0010_0020, "OperatorsName": 0x0008_1070}

VOCABULARY = Vocabulary(
    services={
        "verification": ServiceTerm(
            "verification",
            ("scp", "scu"),
            sop_classes=frozenset([VERIFICATION]),
            default_sop_classes=(VERIFICATION,),
        ),
        "storage": ServiceTerm(
            "storage",
            ("scp", "scu"),
            sop_classes=frozenset(storage_sop_classes()),
            default_sop_classes=storage_sop_classes(),
            open=True,
        ),
        **{
            name: ServiceTerm(name, ("scp", "scu"))
            for name in (
                "query",
                "move",
                "get",
                "instance-move",
                "instance-get",
                "get-without-bulk-data",
                "non-patient-object-storage",
                "non-patient-query",
                "non-patient-move",
                "non-patient-get",
                "repository-query",
                "inventory-creation",
                "commitment",
                "worklist",
                "mpps",
                "print",
            )
        },
        "relevant-patient": ServiceTerm("relevant-patient", ("scu",)),
    },
    sop_classes=names_of(SOP_CLASSES, lambda row: row.keyword),
    sop_class_groups={"storage-all": storage_sop_classes()},
    transfer_syntaxes=names_of(
        TRANSFER_SYNTAXES, lambda row: row.keyword, lambda row: row.short_name
    ),
    transfer_syntax_groups={
        "all": tuple(uid for uid, row in TRANSFER_SYNTAXES.items() if row.transferable),
        "uncompressed": UNCOMPRESSED,
    },
    attribute=KEYWORDS.get,
    attribute_keywords=lambda: KEYWORDS,
    capture_kinds=("simulator",),
    tls_profiles=("BCP 195 RFC 8996, 9325",),
)


def load_text(
    folder: Path,
    text: str,
    *overrides: str,
    vocabulary: Vocabulary = VOCABULARY,
    profile: str | None = None,
) -> Configuration:
    """Load a text as the one file there is."""
    path = folder / "gantry.toml"
    path.write_text(dedent(text), "utf-8")
    return load(profile, files=[path], overrides=overrides, vocabulary=vocabulary)


def problems_of(
    folder: Path, text: str, *overrides: str, vocabulary: Vocabulary = VOCABULARY
) -> dict[str, Problem]:
    """The problems of a text by their keys; none is an empty mapping."""
    try:
        load_text(folder, text, *overrides, vocabulary=vocabulary)
    except ConfigurationErrors as errors:
        return {problem.key: problem for problem in errors.problems}
    return {}
