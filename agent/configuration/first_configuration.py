"""The first `gantry.toml` of a box, from what its engineer wrote and who it is."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.box_identity import BoxIdentity
from agent.configuration.first_settings import FirstSettings, Station
from agent.configuration.toml_text import value_text

KEY = "box"
TLS_PORT = 2762
"""Registered for DICOM over TLS (PS3.8 9.1.1)."""
TPM_HANDLE = 0x81010010
"""The first persistent handle beyond those that the TCG reserves for makers and platforms."""
_HEAD = """\
# Written when this box started for the first time, from gantry.conf on its boot partition. It is
# never written again: change it here. 'gantry config reference' explains every key, and
# 'gantry config check' says whether all is well; then: systemctl reload gantry
"""


def first_configuration(
    settings: FirstSettings, identity: BoxIdentity, entity: str, tpm: str, name: str
) -> str:
    """The text of the file.

    `entity` is the entity of the profile that gets title and port; `tpm` the device that keeps the
    key, "" where a file does; `name` what the box is called on the network.
    """
    return _HEAD + "\n".join(_lines(settings, identity, entity, tpm, name)) + "\n"


def _lines(
    settings: FirstSettings, identity: BoxIdentity, entity: str, tpm: str, name: str
) -> Iterator[str]:
    yield f"profile = {value_text(settings.profile)}"
    yield from ("", "[node]")
    yield f"name = {value_text(name)}"
    yield f"uid_root = {value_text(settings.uid_root or identity.uid_root)}"
    yield from ("", "[[entity]]")
    yield f"name = {value_text(entity)}"
    yield f"title = {value_text(settings.title or identity.title)}"
    yield f"port = {settings.port}"
    if settings.tls == "beside":
        yield f"tls_port = {TLS_PORT}"
    if settings.callers or settings.networks:
        yield from ("", "[entity.accept]")
        if settings.callers:
            yield f"calling_titles = {value_text(list(settings.callers))}"
        if settings.networks:
            yield f"networks = {value_text(list(settings.networks))}"
    if settings.tls != "no":
        yield from ("", "[entity.tls]", f"key = {value_text(KEY)}")
        yield from ("", "[[key]]", f"name = {value_text(KEY)}")
        yield f"algorithm = {value_text(settings.key_algorithm)}"
        if tpm:
            yield 'store = "tpm"'
            yield f"device = {value_text(tpm)}"
            yield f"handle = 0x{TPM_HANDLE:08x}"
    yield from _peers(settings)


def _peers(settings: FirstSettings) -> Iterator[str]:
    names: dict[Station, str] = {}
    for role in ("archive", "worklist", "steps"):
        station: Station | None = getattr(settings, role)
        if station is None or station in names:
            continue
        names[station] = role
        yield from ("", "[[peer]]", f"name = {value_text(role)}")
        yield f"title = {value_text(station.title)}"
        yield f"addresses = {value_text([str(station.address)])}"
    if settings.archive is not None:
        yield from ("", "[[route]]", 'name = "to-archive"')
        yield f"deliver = {value_text([names[settings.archive]])}"
    if settings.worklist is not None:
        yield from ("", "[worklist]", f"peer = {value_text(names[settings.worklist])}")
    if settings.steps is not None:
        yield from ("", "[steps]", f"peer = {value_text([names[settings.steps]])}")
