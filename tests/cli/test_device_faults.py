"""Devices that cannot be meant: what `config check` and `doctor` say before they are used."""

from __future__ import annotations

from pathlib import Path

from tests.cli_of import gantry

BAD = """
[[capture]]
name = "us"
kind = "simulator"
[capture.settings]
width = "wide"
heigth = 480
[capture.template]
manufacterer = "ACME"
[capture.template.attributes]
KVP = "much"
[[serial]]
name = "pedal"
kind = "foot-switch"
[serial.settings]
prt = "/dev/ttyUSB0"
[panel]
kind = "gpio"
[panel.settings]
chips = "/dev/gpiochip0"
"""
SAID = (
    "capture.us.settings: the driver simulator: there is no setting heigth",
    "capture.us.settings: width, height, rate or input is no number",
    "capture.us.template.manufacterer: ",
    "capture.us.template.attributes.KVP: 'much' is no value of DS",
    "serial.pedal.settings: the driver foot-switch: ",
    "panel.settings: the driver gpio: ",
)


def configuration(folder: Path, more: str) -> Path:
    file = folder / "gantry.toml"
    head = f'profile = "capture-station"\n[node]\nstate = "{folder}/state"\n'
    file.write_text(head + more)
    return file


def test_all_of_them_are_told_at_once(tmp_path: Path) -> None:
    file = configuration(tmp_path, BAD)
    checked = gantry("config", "check", "--config", file)
    assert checked.returncode != 0
    doctor = gantry("doctor", "--offline", "--config", file)
    for text in SAID:
        assert f"  {text}" in checked.output, checked.output
        assert f"!!  {text}" in doctor.output, doctor.output


def test_devices_that_can_be_meant_are_not_told_of(tmp_path: Path) -> None:
    good = BAD.replace("heigth", "height").replace('"wide"', "640").replace("prt", "port")
    good = good.replace("[panel]", 'lines = { left = "cts" }\n[panel]')
    good = good.replace("manufacterer", "manufacturer").replace('"much"', "70")
    good = good.replace("chips", "chip")
    gantry("config", "check", "--config", configuration(tmp_path, good)).check()
