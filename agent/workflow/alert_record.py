"""What there is to tell, and what was told to whom: each alert once, and once more when it is over.

A pure record: it knows no clock and no channel. `look` is given what is wrong at a moment, `due`
says what a channel has still to hear, `told` notes that it has heard it. It is kept as JSON, so
that a restart tells nothing twice and forgets nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from agent.errors import StorageError

BEGUN, GOES_ON, OVER = "begun", "goes on", "over"
_GOOD_LOOKS = 2
"""So often it must be good before it is over: what comes and goes is one alert."""


class Wrong(NamedTuple):
    """Something that is wrong now: a sentence, and how long it must be so before it is told."""

    text: str
    patience: float = 0.0


class Told(NamedTuple):
    """Something for a channel to tell; `since` and `over` in seconds since 1970, `over` 0: not."""

    key: str
    what: str
    text: str
    since: float
    over: float


@dataclass(slots=True)
class _Alert:
    text: str
    since: float
    patience: float
    over: float = 0.0
    good: int = 0
    told: dict[str, float] = field(default_factory=dict)


class AlertRecord:
    """The alerts that are open, or were told and are not yet told to be over."""

    def __init__(self) -> None:
        self._alerts: dict[str, _Alert] = {}
        self.number = 0
        """How many were told by syslog, ever."""

    def look(
        self, wrong: Mapping[str, Wrong], moment: float, unknown: Collection[str] = ()
    ) -> None:
        """What is wrong at this moment, by a key that stays the same; of `unknown` keys nobody can
        say whether it still is."""
        for key, each in wrong.items():
            alert = self._alerts.setdefault(key, _Alert(each.text, moment, each.patience))
            alert.text, alert.patience, alert.good, alert.over = each.text, each.patience, 0, 0.0
        for key, alert in list(self._alerts.items()):
            if key in wrong or key in unknown or alert.over:
                continue
            alert.good += 1
            if not alert.told:
                del self._alerts[key]
            elif alert.good >= _GOOD_LOOKS:
                alert.over = moment

    def due(self, channel: str, moment: float, repeat: float) -> list[Told]:
        """What a channel has still to tell; with `repeat`, what goes on again after so long."""
        found = []
        for key, alert in self._alerts.items():
            heard = alert.told.get(channel)
            what = ""
            if alert.over:
                what = OVER if heard is not None else ""
            elif heard is None:
                # A clock that was set back must not make it wait.
                what = BEGUN if abs(moment - alert.since) >= alert.patience else ""
            elif repeat and abs(moment - heard) >= repeat:
                what = GOES_ON
            if what:
                found.append(Told(key, what, alert.text, alert.since, alert.over))
        return found

    def told(self, channel: str, all_of: Sequence[Told], moment: float) -> None:
        """A channel has told them."""
        for each in all_of:
            alert = self._alerts.get(each.key)
            if alert is None:
                continue
            if each.what == OVER:
                alert.told.pop(channel, None)
                if alert.over and not alert.told:
                    del self._alerts[each.key]
            else:
                alert.told[channel] = moment

    def keep_channels(self, channels: Collection[str]) -> None:
        """Forget what was told to channels that there are no more."""
        for key, alert in list(self._alerts.items()):
            alert.told = {each: when for each, when in alert.told.items() if each in channels}
            if alert.over and not alert.told:
                del self._alerts[key]

    def listing(self, moment: float) -> list[dict[str, object]]:
        """Those that are open, as people see them."""
        return [
            {"alert": key, "text": alert.text, "since": alert.since}
            for key, alert in self._alerts.items()
            if not alert.over and abs(moment - alert.since) >= alert.patience
        ]

    def as_text(self) -> str:
        """To be kept."""
        alerts = {key: asdict(alert) for key, alert in self._alerts.items()}
        return json.dumps({"number": self.number, "alerts": alerts})

    def recall(self, text: str) -> None:
        """What was kept; "" is nothing. Raises StorageError for what we have not written."""
        if not text:
            return
        try:
            kept = json.loads(text)
            self.number = int(kept["number"])
            self._alerts = {key: _Alert(**fields) for key, fields in kept["alerts"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError("the record of alerts is damaged: it is begun anew") from error
