"""ECG and sound as objects: valid, with the samples that were given."""

import os
import tracemalloc

import numpy
import pydicom
import pytest

from agent.dataset.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from agent.errors import LocalError
from agent.objects.description import InstanceDescription
from agent.objects.references import Code
from agent.objects.waveform_iods import BASIC_VOICE_AUDIO, GENERAL_ECG, TWELVE_LEAD_ECG
from agent.objects.waveforms import Channel, MultiplexGroup, begin_waveform
from tests.objects.examples import MOMENT, device, examination, file_meta_of
from tests.objects.judging import dump, errors_of

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
# The codes of SCP-ECG for the leads (PS3.16 CID 3001).
NUMBERS = [1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8]
CHANNELS = tuple(
    Channel(
        Code(f"5.6.3-9-{number}", "SCPECG", f"Lead {lead}", "1.3"),
        16,
        sensitivity=2.5,
        label=lead,
        low=0.05,
        high=150.0,
    )
    for number, lead in zip(NUMBERS, LEADS, strict=True)
)
ECG = MultiplexGroup(CHANNELS, 500.0, label="RHYTHM")
VOICE = MultiplexGroup(
    (Channel(Code("109111", "DCM", "Operator's narrative"), 8),), 8000.0, interpretation="UB"
)


class WaveformFile:
    def __init__(self, folder, sop_class_uid, identity=None, **options):
        self.path = folder / "waveform.dcm"
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.writer = begin_waveform(
            self.descriptor,
            sop_class_uid,
            identity or examination(),
            device(),
            InstanceDescription("1.2.3.4", 1, MOMENT, MOMENT),
            file_meta=file_meta_of(sop_class_uid, "1.2.3.4", *options.values()),
            **options,
        )

    def finish(self):
        finished = self.writer.finish()
        os.close(self.descriptor)
        return finished


@pytest.mark.peer
@pytest.mark.parametrize("sop_class_uid", [TWELVE_LEAD_ECG, GENERAL_ECG])
@pytest.mark.parametrize("options", [{}, {"transfer_syntax_uid": IMPLICIT_VR_LITTLE_ENDIAN}])
def test_an_ecg_is_valid_and_holds_its_samples(tmp_path, sop_class_uid, options):
    samples = numpy.random.default_rng(3).integers(-32768, 32768, (1000, 12)).astype("<i2")
    file = WaveformFile(tmp_path, sop_class_uid, **options)
    file.writer.begin_group(ECG)
    data = samples.tobytes()
    for start in range(0, len(data), 1111):
        file.writer.write(memoryview(data)[start : start + 1111])
    assert file.writer.end_group() == 1000
    finished = file.finish()
    assert finished.length == file.path.stat().st_size
    assert errors_of(file.path) == []
    read = pydicom.dcmread(file.path)
    assert numpy.array_equal(read.waveform_array(0), samples * 2.5)
    (group,) = read.WaveformSequence
    assert (group.NumberOfWaveformSamples, group.SamplingFrequency) == (1000, 500)
    assert [item.ChannelLabel for item in group.ChannelDefinitionSequence] == LEADS
    assert read.Modality == "ECG" and "WaveformData" in dump(file.path)


@pytest.mark.peer
def test_several_groups_follow_each_other(tmp_path):
    file = WaveformFile(tmp_path, GENERAL_ECG)
    for count, length in ((2, 10), (3, 7)):
        file.writer.begin_group(MultiplexGroup(CHANNELS[:count], 250.0))
        file.writer.write(bytes(2 * count * length))
        file.writer.end_group()
    file.finish()
    assert errors_of(file.path) == []
    groups = pydicom.dcmread(file.path).WaveformSequence
    assert [group.NumberOfWaveformSamples for group in groups] == [10, 7]


@pytest.mark.peer
def test_a_voice_of_odd_length_is_padded(tmp_path):
    sound = bytes(range(256)) * 3 + b"\x80"
    file = WaveformFile(tmp_path, BASIC_VOICE_AUDIO)
    file.writer.begin_group(VOICE)
    file.writer.write(sound)
    assert file.writer.end_group() == len(sound)
    file.finish()
    assert errors_of(file.path) == []
    (group,) = pydicom.dcmread(file.path).WaveformSequence
    assert group.WaveformData == sound + b"\0" and group.WaveformBitsAllocated == 8
    assert group.NumberOfWaveformSamples == len(sound)


@pytest.mark.parametrize(
    ("sop_class_uid", "group"),
    [
        (TWELVE_LEAD_ECG, MultiplexGroup(CHANNELS + CHANNELS[:2], 500.0)),
        (TWELVE_LEAD_ECG, MultiplexGroup(CHANNELS, 100.0)),
        (GENERAL_ECG, VOICE),
        (BASIC_VOICE_AUDIO, ECG),
        (GENERAL_ECG, MultiplexGroup((), 500.0)),
        (GENERAL_ECG, MultiplexGroup((Channel(CHANNELS[0].source, 17),), 500.0)),
    ],
)
def test_groups_that_the_standard_does_not_allow_are_refused(tmp_path, sop_class_uid, group):
    file = WaveformFile(tmp_path, sop_class_uid)
    with pytest.raises(LocalError, match="not allowed"):
        file.writer.begin_group(group)


def test_channels_of_all_groups_count_together(tmp_path):
    file = WaveformFile(tmp_path, TWELVE_LEAD_ECG)
    file.writer.begin_group(ECG)
    file.writer.write(bytes(24))
    file.writer.end_group()
    with pytest.raises(LocalError, match="no more channels"):
        file.writer.begin_group(MultiplexGroup(CHANNELS[:2], 500.0))


def test_calls_that_do_not_fit_are_refused(tmp_path):
    file = WaveformFile(tmp_path, TWELVE_LEAD_ECG)
    for act in (file.writer.end_group, file.writer.finish):
        with pytest.raises(LocalError):
            act()
    with pytest.raises(LocalError):
        file.writer.write(b"12")
    file.writer.begin_group(ECG)
    for act in (file.writer.end_group, file.writer.finish):
        with pytest.raises(LocalError):
            act()
    file.writer.write(bytes(23))
    with pytest.raises(LocalError, match="this many samples"):
        file.writer.end_group()
    file.writer.write(bytes(24 * 16384 + 1))
    with pytest.raises(LocalError, match="this many samples"):
        file.writer.end_group()
    file.writer.discard()
    assert file.path.stat().st_size == 0


def test_big_endian_is_refused(tmp_path):
    with pytest.raises(LocalError, match="transfer syntax"):
        WaveformFile(tmp_path, GENERAL_ECG, transfer_syntax_uid=EXPLICIT_VR_BIG_ENDIAN)


def test_a_long_recording_takes_no_memory(tmp_path):
    file = WaveformFile(tmp_path, GENERAL_ECG)
    file.writer.begin_group(ECG)
    second = bytes(24 * 500)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(1800):
        file.writer.write(second)
    assert file.writer.end_group() == 900_000
    file.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 16_384
