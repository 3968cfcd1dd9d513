"""The lamp that a board has of its own, such as the ACT lamp of a Raspberry Pi.

The kernel makes it blink (ledtrig-timer), so that it goes on when who asked for it has ended. No
function raises, blocks or needs such a lamp to be there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_FOLDER = "sys/class/leds"
# Raspberry Pi (old and new names), then those that boards agree on (leds-class.rst).
_NAMES = ("ACT", "led0", "act", "green:act", "green:status", "blue:heartbeat", "green:heartbeat")
_MILLISECONDS = "120"
_BLINKING = "[timer]"


def blink(root: Path = Path("/")) -> bool:
    """Quickly, until somebody else uses the lamp; whether there is one."""
    lamp = _lamp(root)
    if lamp is None:
        return False
    with suppress(OSError):
        (lamp / "trigger").write_text("timer")
        for name in ("delay_on", "delay_off"):
            (lamp / name).write_text(_MILLISECONDS)
        return True
    return False


def give_back(root: Path = Path("/")) -> None:
    """No longer, if it was `blink` that made it."""
    lamp = _lamp(root)
    if lamp is not None:
        with suppress(OSError):
            if _BLINKING in (lamp / "trigger").read_text():
                (lamp / "trigger").write_text("default-on")


def _lamp(root: Path) -> Path | None:
    return next((each for name in _NAMES if (each := root / _FOLDER / name).is_dir()), None)
