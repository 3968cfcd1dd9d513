"""Log events and metrics: what the node says about itself.

An event is a name and named values on one line, for a person or as JSON. A metric is a family of
values told apart by labels, rendered in the Prometheus text format (version 0.0.4). Neither holds
patient data above the debug level. Both are plain calls without locks: the node has one thread.

What a field shows above that level is decided here, for all events. A number is shown. An error and
a `Sentence` are, without what is marked in them as the words of others (`quoting`). A text of
another type is shown in the fields of `_OURS` only, which never hold what came with an object, from
a peer's answer, or as the name of a file. So a new field is silent until somebody thought about it.
Where something was left out, and the log shows debug, a line of that level has it in full.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from agent.quoting import LEFT_OUT, Quoted, quoted, without_quotes

if TYPE_CHECKING:
    from agent.standard_error import StandardError


class Level(IntEnum):
    """Severity, with the numbers of syslog (RFC 5424 6.2.1) that journald reads as a prefix."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


Watcher = Callable[[str, Mapping[str, object]], None]
"""Is told of every event, whatever the level that is shown: its name and its fields."""
Format = Callable[[Level, str, Mapping[str, object]], str]

# Fields whose texts are ours, by what they hold.
_NAMES = """
archive device entity folder group key kind media name peer profile repository rule to user

address association by called calling cipher destination identity info job log object operation
question signature signer sop_class sop_classes sop_instance_uid step study subject uid
examination export fetch version

act after again action ballast bus event events how keys level see state status task until
verdict was where which way_out
"""
_OURS = frozenset(_NAMES.split())

# What could start a new line, colour a terminal or fake a field is shown, not obeyed.
_UNSAFE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value).translate(_UNSAFE)
    if not text or " " in text or '"' in text or "=" in text:
        return json.dumps(text, ensure_ascii=False)
    return text


def _shown(name: str, value: object) -> object:
    """What a line above the level debug shows of a value."""
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, (Quoted, BaseException)) or hasattr(value, "in_log"):
        return without_quotes(quoted(value).marked)
    return value if name in _OURS or not str(value) else LEFT_OUT


def _as_text(level: Level, event: str, fields: Mapping[str, object]) -> str:
    known = (f"{name}={_plain(value)}" for name, value in fields.items() if value is not None)
    return " ".join([event, *known])


def _as_json(level: Level, event: str, fields: Mapping[str, object]) -> str:
    line: dict[str, object] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "level": level.name.lower(),
        "event": event,
    }
    for name, value in fields.items():
        line[name] = value if isinstance(value, (int, float, bool, type(None))) else str(value)
    return json.dumps(line, ensure_ascii=False)


FORMATS: dict[str, Format] = {
    "text": _as_text,
    "json": _as_json,
}


class Log:
    """Where events go: one line each, written whole."""

    def __init__(self) -> None:
        self.level = Level.INFO
        self.watcher: Watcher | None = None
        self.is_audited = False
        """Whether the watcher wants to hear of occasions too."""
        self._format: Format = _as_text
        self._prefix = False
        self._write: Callable[[str], object] = _write_to_standard_error
        self._standard_error: StandardError | None = None

    def configure(
        self,
        *,
        level: Level = Level.INFO,
        style: str = "text",
        write: Callable[[str], object] | None = None,
    ) -> None:
        """Set the least severe level that is shown, the form (`text`, `json`) and the sink.

        Under systemd (JOURNAL_STREAM is set) text lines carry the `<n>` priority prefix.
        """
        self.level = level
        self._format = FORMATS[style]
        self._prefix = style == "text" and write is None and "JOURNAL_STREAM" in os.environ
        if write is None:
            own = self._standard_error
            write = own.write if own is not None else _write_to_standard_error
        self._write = write

    @property
    def settings(self) -> tuple[Level, str]:
        """Level and style, for the log of a process that works for this one."""
        return self.level, next(name for name, each in FORMATS.items() if each is self._format)

    def wait_for_nobody(self) -> None:
        """From now on, here and in processes that are forked from this one: lines for a reader who
        stands still are lost in the end, for the loop must go on. Call `flush` now and then."""
        from agent.standard_error import StandardError

        own = StandardError(lambda lines: self._line(Level.WARNING, "log lost", {"lines": lines}))
        self._standard_error, self._write = own, own.write

    def flush(self) -> None:
        """Write what the reader had no room for, if he has some now."""
        if self._standard_error is not None and self._standard_error.is_behind:
            self._standard_error.flush()

    def end(self, patience: float = 1.0) -> None:
        """At the end of the process: give the reader so many seconds for what he has not read."""
        if self._standard_error is not None:
            self._standard_error.end(patience)

    def emit(self, level: Level, event: str, fields: Mapping[str, object]) -> None:
        if self.watcher is not None:
            self.watcher(event, fields)
        if level > self.level:
            return
        if level < Level.DEBUG:
            in_full, fields = fields, {name: _shown(name, fields[name]) for name in fields}
            self._put(level, event, fields)
            if self.level is not Level.DEBUG or all(
                str(fields[name]) == str(in_full[name]) for name in fields
            ):
                return
            fields = in_full
        self._put(Level.DEBUG, event, fields)

    def _put(self, level: Level, event: str, fields: Mapping[str, object]) -> None:
        self._write(self._line(level, event, fields))

    def _line(self, level: Level, event: str, fields: Mapping[str, object]) -> str:
        line = self._format(level, event, fields)
        return f"<{int(level)}>{line}\n" if self._prefix else f"{line}\n"


def _write_to_standard_error(line: str) -> None:
    # A closed or full standard error must never stop the node.
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


log = Log()


def error(event: str, /, **fields: object) -> None:
    """Something was lost or cannot go on without a person."""
    log.emit(Level.ERROR, event, fields)


def warning(event: str, /, **fields: object) -> None:
    """Something went wrong and is being dealt with."""
    log.emit(Level.WARNING, event, fields)


def notice(event: str, /, **fields: object) -> None:
    """Something that happens rarely and that an engineer wants to see: start, stop, reload."""
    log.emit(Level.NOTICE, event, fields)


def info(event: str, /, **fields: object) -> None:
    """The ordinary course of work: one line per association and per job."""
    log.emit(Level.INFO, event, fields)


def debug(event: str, /, **fields: object) -> None:
    """Detail for fault-finding; the only level that has the words of others, and patient data."""
    log.emit(Level.DEBUG, event, fields)


def unforeseen(error: BaseException) -> dict[str, object]:
    """Fields for an error that nobody raised on purpose: its class, and where it came from. Such
    an error quotes what it stumbled over."""
    frames = []
    at = error.__traceback__
    while at is not None:
        frames.append(f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}")
        at = at.tb_next
    if hasattr(error, "in_log"):
        return {"error": error}
    where = " < ".join(reversed(frames[-3:]))
    return {"error": quoted(repr(error), type(error).__name__), "where": where or None}


def occasion(event: str, /, **fields: object) -> None:
    """Something that the audit trail tells of, whose fields may name patients: it is never logged.

    On a hot path, ask `log.is_audited` first.
    """
    if log.is_audited and log.watcher is not None:
        log.watcher(event, fields)


class Metric:
    """One value of a family: a counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def add(self, amount: float = 1) -> None:
        self.value += amount

    def set(self, value: float) -> None:
        self.value = value


class Family:
    """A metric name with its help text and the values of each combination of labels."""

    def __init__(self, name: str, kind: str, meaning: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.kind = kind
        self.meaning = meaning
        self.labels = labels
        self._values: dict[tuple[str, ...], Metric] = {}

    def of(self, *label_values: str) -> Metric:
        """The value for these labels, in the order of `labels`; keep it when on a hot path."""
        found = self._values.get(label_values)
        if found is None:
            if len(label_values) != len(self.labels):
                raise ValueError(f"{self.name} takes the labels {self.labels}")
            found = self._values[label_values] = Metric()
        return found

    def forget(self, *label_values: str) -> None:
        """Drop the value of a thing that is gone (a peer removed by a reload)."""
        self._values.pop(label_values, None)

    def values(self) -> Mapping[tuple[str, ...], float]:
        """The values by their labels."""
        return {labels: metric.value for labels, metric in self._values.items()}

    def lines(self) -> Iterable[str]:
        yield f"# HELP {self.name} {self.meaning}"
        yield f"# TYPE {self.name} {self.kind}"
        for label_values, metric in self._values.items():
            pairs = ",".join(
                f'{label}="{_escape(value)}"'
                for label, value in zip(self.labels, label_values, strict=True)
            )
            yield (
                f"{self.name}{{{pairs}}} {metric.value:.10g}"
                if pairs
                else (f"{self.name} {metric.value:.10g}")
            )


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Metrics:
    """All families of the process; names start with `gantry_`."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def counter(self, name: str, meaning: str, *labels: str) -> Family:
        return self._family(name, "counter", meaning, labels)

    def gauge(self, name: str, meaning: str, *labels: str) -> Family:
        return self._family(name, "gauge", meaning, labels)

    def _family(self, name: str, kind: str, meaning: str, labels: tuple[str, ...]) -> Family:
        found = self._families.get(name)
        if found is None:
            found = self._families[name] = Family(name, kind, meaning, labels)
        return found

    def render(self) -> str:
        """The Prometheus text of all families, in the order in which they were made."""
        return "".join(f"{line}\n" for family in self._families.values() for line in family.lines())


metrics = Metrics()
