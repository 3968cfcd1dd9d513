"""dciodvfy and dcentvfy of dicom3tools (David Clunie): the judges of composite objects."""

from __future__ import annotations

from pathlib import Path

from tests.peers.programs import program, run


def dciodvfy(file: Path, *options: str) -> tuple[str, ...]:
    """The lines that say `Error`, of one object held against its IOD; empty when it is valid.

    Not each of them is right (it asks for Laterality where it has no meaning): a test names the
    lines that it does not accept, or those that it knows to be wrong.
    """
    output = run([program("dicom3tools", "dciodvfy"), *options, file]).output
    return tuple(line for line in output.splitlines() if line.startswith("Error"))


def dcentvfy(*files: Path) -> tuple[str, ...]:
    """The lines that say `Error`, of objects that shall agree on patient, study and series."""
    output = run([program("dicom3tools", "dcentvfy"), *files]).output
    return tuple(line for line in output.splitlines() if line.startswith("Error"))
