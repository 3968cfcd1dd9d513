"""The GPIO panel at a chip of the machine; the only job of the guest, which has no pytest.

It prints one line of JSON. QEMU presses the button when it reads `press`.
"""

from __future__ import annotations

import json
import select
import time
from pathlib import Path
from typing import Any

from hal.panel.base import PanelGone, Pattern
from hal.panel.gpio import GpioPanel
from hal.panel.gpio_chips import gpio_chips

# The machine's own button hangs at line 3.
BUTTON, LAMP, DARK_LAMP = 3, 0, 1
LINES = Path("/sys/kernel/debug/gpio")


def lines() -> list[str]:
    """How the kernel shows the lines in use."""
    found = [each.split("|")[-1] for each in LINES.read_text().splitlines() if "|" in each]
    return [" ".join(each.split()) for each in found]


def pressed(panel: GpioPanel) -> list[str]:
    """The events until the button is up again."""
    found: list[str] = []
    end = time.monotonic() + 30
    while len(found) < 2 and time.monotonic() < end:
        assert panel.descriptor is not None
        select.select([panel.descriptor], [], [], 0.5)
        found += [type(each).__name__ for each in panel.events()]
    return found


def checks() -> dict[str, Any]:
    """What there is to know, by name."""
    found: dict[str, Any] = {"chips": [each._asdict() for each in gpio_chips()]}
    panel = GpioPanel(lamps={"ready": LAMP, "failed": DARK_LAMP}, buttons={"start": BUTTON})
    panel.open()
    panel.show("ready", Pattern.ON)
    found["lit"] = lines()
    try:
        GpioPanel(lamps={"other": LAMP}).open()
    except PanelGone as error:
        found["busy"] = str(error)
    print("press", flush=True)
    found["events"] = pressed(panel)
    panel.show("ready", Pattern.OFF)
    found["dark"] = lines()
    panel.close()
    found["closed"] = lines()
    return found


if __name__ == "__main__":
    print(json.dumps({"checks": checks()}), flush=True)
