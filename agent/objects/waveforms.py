"""Writes waveforms group by group, sample by sample, in memory that does not grow with them.

`begin_waveform` writes the head; each multiplex group (C.10.9.1.1) is begun with its channels,
takes its samples as they come and is ended; `finish` closes the object. A sample of every channel
follows another of the same moment, as the device multiplexed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.dataset.element_encoding import (
    encode_header,
    item_delimitation,
    item_header,
    sequence_delimitation,
)
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.errors import LocalError, StorageError
from agent.objects.composite import FinishedObject
from agent.objects.description import DeviceIdentity, ExaminationIdentity, InstanceDescription
from agent.objects.element import Element, Item
from agent.objects.head import Head, encode
from agent.objects.head_only import elements_of_object
from agent.objects.output import Bytes, OutputFile
from agent.objects.references import Code
from agent.objects.waveform_iods import RULES, WaveformRule

_WAVEFORM_SEQUENCE, _WAVEFORM_DATA = 0x54000100, 0x54001010
_NUMBER_OF_WAVEFORM_SAMPLES = 0x003A0010
_LONGEST = 0xFFFFFFFE

MICROVOLT = Code("uV", "UCUM", "microvolt", "1.4")

# C.10.9.1.5: bytes of a sample; the others are signed or unsigned words, mu-law and A-law bytes.
_SAMPLE_LENGTHS = {"SB": 1, "UB": 1, "MB": 1, "AB": 1, "SS": 2, "US": 2}


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: where it comes from, and what a sample of it measures.

    `source` is of CID 3001 for an ECG, of CID 3000 for sound. `sensitivity` units are one step of
    a sample; None where the samples are not calibrated. `low` and `high` are the filter's edges
    in hertz.
    """

    source: Code
    bits_stored: int
    sensitivity: float | None = None
    units: Code = MICROVOLT
    label: str = ""
    baseline: float = 0.0
    low: float | None = None
    high: float | None = None

    def item(self) -> Item:
        """As Channel Definition Sequence (003A,0200) holds it."""
        item = {0x003A0208: self.source.sequence(), 0x003A021A: Element("US", self.bits_stored)}
        if self.label:
            item[0x003A0203] = Element("SH", self.label)
        if self.sensitivity is not None:
            item[0x003A0210] = Element("DS", self.sensitivity)
            item[0x003A0211] = self.units.sequence()
            item[0x003A0212] = Element("DS", 1.0)
            item[0x003A0213] = Element("DS", self.baseline)
        # C.10.9.1.4.2: the samples of a group are simultaneous.
        item[0x003A0215] = Element("DS", 0.0)
        for tag, edge in ((0x003A0220, self.low), (0x003A0221, self.high)):
            if edge is not None:
                item[tag] = Element("DS", edge)
        return item


@dataclass(frozen=True, slots=True)
class MultiplexGroup:
    """Channels that are sampled together. `sampling_frequency` is in hertz."""

    channels: tuple[Channel, ...]
    sampling_frequency: float
    interpretation: str = "SS"
    label: str = ""
    originality: str = "ORIGINAL"

    @property
    def row_length(self) -> int:
        """Bytes of one sample of each channel."""
        return len(self.channels) * _SAMPLE_LENGTHS[self.interpretation]

    def check(self, rule: WaveformRule) -> None:
        """Raises LocalError for what the IOD does not allow."""
        least, most = rule.channels
        lowest, highest = rule.frequency
        if (
            not least <= len(self.channels) <= most
            or not lowest <= self.sampling_frequency <= highest
            or self.interpretation not in rule.interpretations
            or any(
                not 1 <= channel.bits_stored <= 8 * _SAMPLE_LENGTHS[self.interpretation]
                for channel in self.channels
            )
        ):
            raise LocalError(
                "The multiplex group is not allowed in this kind of object.",
                clause=f"PS3.3 {rule.clause}",
                value=self,
                limit=rule,
            )


def begin_waveform(
    descriptor: int,
    sop_class_uid: str,
    identity: ExaminationIdentity,
    device: DeviceIdentity,
    instance: InstanceDescription,
    *,
    file_meta: bytes = b"",
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> WaveformWriter:
    """Write the head of a waveform object and be ready for its first group.

    `descriptor` and `file_meta` as of `composite.begin`. Raises LocalError for a SOP class that is
    no waveform and where something mandatory is missing, StorageError when writing fails.
    """
    syntax = encoding_of(transfer_syntax_uid)
    if sop_class_uid not in RULES or not syntax.little_endian:
        raise LocalError(
            "Waveforms of this kind or in this transfer syntax are not created here.",
            clause="PS3.3 A.34",
            value=(sop_class_uid, transfer_syntax_uid),
        )
    elements = elements_of_object(sop_class_uid, identity, device, instance, {}, syntax)
    head = encode(elements, syntax)
    return WaveformWriter(
        descriptor, sop_class_uid, instance.sop_instance_uid, head, file_meta, transfer_syntax_uid
    )


class WaveformWriter:
    """A waveform object that is being written; made by `begin_waveform`."""

    def __init__(
        self,
        descriptor: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        head: Head,
        file_meta: bytes,
        transfer_syntax_uid: str,
    ) -> None:
        self._rule = RULES[sop_class_uid]
        self._uids = (sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        self._syntax = encoding_of(transfer_syntax_uid)
        self._character_set = head.character_set
        self._file = OutputFile(descriptor)
        self._data_set_offset = self._file.started_at + len(file_meta)
        self._groups: list[MultiplexGroup] = []
        self._in_group = False
        self._samples_at = self._value_at = 0
        self._open = True
        sequence = encode_header(_WAVEFORM_SEQUENCE, "SQ", UNDEFINED_LENGTH, self._syntax)
        try:
            self._file.append([file_meta, head.data, sequence])
        except StorageError:
            self.discard()
            raise

    def begin_group(self, group: MultiplexGroup) -> None:
        """A multiplex group starts.

        Raises LocalError for one that the IOD does not allow, and for a label that the object's
        character set has no code for.
        """
        self._expect(in_group=False)
        group.check(self._rule)
        groups = [*self._groups, group]
        channels = sum(len(each.channels) for each in groups)
        if len(groups) > self._rule.groups or channels > self._rule.all_channels:
            raise LocalError(
                "The object can take no more channels.",
                clause=f"PS3.3 {self._rule.clause}",
                value=(len(groups), channels),
                limit=(self._rule.groups, self._rule.all_channels),
            )
        elements = _elements_of_group(group)
        known = {t: e for t, e in elements.items() if t <= _NUMBER_OF_WAVEFORM_SAMPLES}
        rest = {t: e for t, e in elements.items() if t > _NUMBER_OF_WAVEFORM_SAMPLES}
        # All of it is encoded before any is written: what cannot be leaves the object as it was.
        before, after = self._encoded(known), self._encoded(rest)
        self._file.append([item_header(UNDEFINED_LENGTH, True), before])
        # The number is the last value so far; it is filled in when it is known.
        self._samples_at = self._file.position - 4
        wide = _SAMPLE_LENGTHS[group.interpretation] > 1 or not self._syntax.explicit_vr
        header = encode_header(_WAVEFORM_DATA, "OW" if wide else "OB", 0, self._syntax)
        self._file.append([after, header])
        self._value_at = self._file.position
        self._groups = groups
        self._in_group = True

    def write(self, data: Bytes) -> None:
        """The next samples, words in little endian; StorageError as of `composite`."""
        self._expect(in_group=True)
        self._file.append([data])

    def end_group(self) -> int:
        """The group is complete; how many samples each channel has.

        Raises LocalError when there are none, too many, or not as many of each channel.
        """
        self._expect(in_group=True)
        length = self._file.position - self._value_at
        samples, left = divmod(length, self._groups[-1].row_length)
        if left or not 1 <= samples <= self._rule.samples or length > _LONGEST:
            raise LocalError(
                "A multiplex group cannot have this many samples.",
                clause=f"PS3.3 {self._rule.clause}",
                value=length,
                limit=self._rule.samples,
            )
        if length % 2:
            self._file.append([b"\0"])
        self._file.append([item_delimitation(True)])
        self._file.patch(samples.to_bytes(4, "little"), self._samples_at)
        self._file.patch((length + length % 2).to_bytes(4, "little"), self._value_at - 4)
        self._in_group = False
        return samples

    def finish(self) -> FinishedObject:
        """Complete the object. Raises LocalError when it has no group, or one is not ended."""
        self._expect(in_group=False)
        if not self._groups:
            raise LocalError("A waveform object has a waveform.", clause="PS3.3 C.10.9")
        self._file.append([sequence_delimitation(True)])
        self._file.seek_end()
        self._open = False
        sop_class, instance, syntax = self._uids
        return FinishedObject(
            sop_class, instance, syntax, 0, self._data_set_offset, None, self._file.position
        )

    def discard(self) -> None:
        """Take back all that was written; no error twice."""
        if self._open:
            self._open = False
            self._file.take_back()

    def _encoded(self, elements: Mapping[int, Element]) -> bytes:
        return encode(elements, self._syntax, self._character_set).data

    def _expect(self, *, in_group: bool) -> None:
        if not self._open or self._in_group is not in_group:
            raise LocalError("The call does not fit where the writer is.", clause="PS3.3 C.10.9")


def _elements_of_group(group: MultiplexGroup) -> dict[int, Element]:
    items = tuple(channel.item() for channel in group.channels)
    elements = {
        0x003A0004: Element("CS", group.originality),
        0x003A0005: Element("US", len(group.channels)),
        _NUMBER_OF_WAVEFORM_SAMPLES: Element("UL", 0),
        0x003A001A: Element("DS", group.sampling_frequency),
        0x003A0200: Element("SQ", items),
        0x54001004: Element("US", 8 * _SAMPLE_LENGTHS[group.interpretation]),
        0x54001006: Element("CS", group.interpretation),
    }
    if group.label:
        elements[0x003A0020] = Element("SH", group.label)
    return elements
