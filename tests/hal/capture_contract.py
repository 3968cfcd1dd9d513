"""What every capture driver owes its owner: subclassed per driver, with the hand at the cable.

The subclass makes the device and does what a hand at the cable would do. `wait` lets time pass
until the device is ready: a driver on a stopped clock moves the clock, one on hardware waits for
its descriptor.
"""

import pytest

from hal.capture.base import (
    CaptureDevice,
    CaptureFormat,
    DeviceGone,
    DeviceRemoved,
    FormatRefused,
    Frame,
    FrameHeld,
    SignalLost,
    SignalReturned,
    SignalState,
    WrongState,
)
from hal.capture.pixel_formats import PIXEL_FORMATS


class CaptureContract:
    buffers = 3
    gives_frames_after_it_is_pulled = True
    """A kernel takes those that were not fetched with the device."""

    def make(self) -> CaptureDevice:
        raise NotImplementedError

    def wanted(self) -> CaptureFormat:
        raise NotImplementedError

    def refused(self) -> CaptureFormat:
        raise NotImplementedError

    def wait(self, device: CaptureDevice) -> None:
        raise NotImplementedError

    def let_frames_pass(self, device: CaptureDevice, count: int) -> None:
        raise NotImplementedError

    def pull_signal(self, device: CaptureDevice) -> None:
        raise NotImplementedError

    def return_signal(self, device: CaptureDevice) -> None:
        raise NotImplementedError

    def pull_device(self, device: CaptureDevice) -> None:
        raise NotImplementedError

    def streaming(self) -> CaptureDevice:
        device = self.make()
        device.open()
        device.configure(self.wanted())
        device.start()
        return device

    def next_frame(self, device: CaptureDevice) -> Frame:
        for _ in range(100):
            frame = device.dequeue()
            if frame is not None:
                return frame
            self.wait(device)
        raise AssertionError("no frame came")

    def test_description_offers_the_wanted_format_and_only_known_pixel_formats(self):
        device = self.make()
        described = device.describe()
        wanted = self.wanted()
        assert described.name and described.driver and described.address
        assert described.inputs and described.modes
        assert {mode.pixel_format for mode in described.modes} <= set(PIXEL_FORMATS)
        assert any(
            (mode.pixel_format, mode.width, mode.height)
            == (wanted.pixel_format, wanted.width, wanted.height)
            and wanted.rate in mode.rates
            for mode in described.modes
        )

    def test_configure_answers_with_the_same_format_and_a_stride_that_holds_a_row(self):
        device = self.make()
        device.open()
        wanted = self.wanted()
        given = device.configure(wanted)
        assert (given.pixel_format, given.width, given.height, given.rate, given.input) == (
            wanted.pixel_format,
            wanted.width,
            wanted.height,
            wanted.rate,
            wanted.input,
        )
        assert given.stride >= PIXEL_FORMATS[given.pixel_format].row_length(given.width)
        device.close()

    def test_a_format_that_the_device_has_not_is_refused_and_another_can_be_asked(self):
        device = self.make()
        device.open()
        with pytest.raises(FormatRefused):
            device.configure(self.refused())
        device.configure(self.wanted())
        device.close()

    def test_frames_come_in_order_with_rising_times_and_whole_views(self):
        device = self.streaming()
        given = self.wanted()
        sequences, times = [], []
        for _ in range(7):
            with self.next_frame(device) as frame:
                sequences.append(frame.sequence)
                times.append(frame.timestamp)
                assert (frame.width, frame.height) == (given.width, given.height)
                assert frame.pixel_format == given.pixel_format
                assert frame.view.readonly
                assert len(frame.view) == PIXEL_FORMATS[frame.pixel_format].frame_length(
                    frame.width, frame.height, frame.stride
                )
        assert sequences == sorted(set(sequences))
        assert times == sorted(set(times))
        device.close()

    def test_dequeue_never_waits(self):
        device = self.streaming()
        for _ in range(100):
            # On a slow machine the next frame may be there already, but not each time.
            if (frame := device.dequeue()) is None:
                break
            frame.requeue()
        else:
            pytest.fail("there is a frame each time: it waits")
        assert device.descriptor is not None or device.deadline() is not None
        device.close()

    def test_a_frame_given_back_can_no_longer_be_read(self):
        device = self.streaming()
        frame = self.next_frame(device)
        frame.requeue()
        with pytest.raises(ValueError, match="released"):
            frame.view[0]
        frame.requeue()
        device.close()

    def test_a_frame_that_is_looked_into_cannot_be_given_back_and_stays_valid(self):
        device = self.streaming()
        frame = self.next_frame(device)
        before = bytes(frame.view)
        piece = frame.view[10:20]
        with pytest.raises(FrameHeld):
            frame.requeue()
        assert bytes(frame.view) == before and bytes(piece) == before[10:20]
        piece.release()
        frame.requeue()
        import numpy

        frame = self.next_frame(device)
        array = numpy.frombuffer(frame.view, dtype=numpy.uint8)
        with pytest.raises(FrameHeld):
            frame.requeue()
        del array
        frame.requeue()
        device.close()

    def test_an_error_while_a_frame_is_lent_is_not_hidden_by_its_return(self):
        device = self.streaming()
        frame = self.next_frame(device)
        with pytest.raises(ZeroDivisionError):
            with frame:
                piece = frame.view[:1]
                assert piece[0] // 0
        piece.release()
        frame.requeue()
        device.close()

    def test_a_held_frame_does_not_change_while_others_are_captured(self):
        device = self.streaming()
        held = self.next_frame(device)
        before = bytes(held.view)
        for _ in range(2 * self.buffers):
            self.next_frame(device).requeue()
        assert bytes(held.view) == before
        held.requeue()
        device.close()

    def test_when_all_buffers_are_held_frames_are_dropped_and_counted(self):
        device = self.streaming()
        held = [self.next_frame(device) for _ in range(self.buffers)]
        self.let_frames_pass(device, 5)
        assert device.dequeue() is None
        for frame in held:
            frame.requeue()
        after = self.next_frame(device)
        assert after.dropped >= 4
        assert after.sequence == held[-1].sequence + 1 + after.dropped
        assert device.dropped >= after.dropped
        after.requeue()
        device.close()

    def test_an_owner_that_comes_late_gets_the_oldest_frames_of_the_ring(self):
        device = self.streaming()
        first = self.next_frame(device)
        first.requeue()
        self.let_frames_pass(device, 10 * self.buffers)
        waiting = []
        while (frame := device.dequeue()) is not None:
            waiting.append(frame)
        assert 1 <= len(waiting) <= self.buffers
        assert waiting[0].sequence == first.sequence + 1
        for frame in waiting:
            frame.requeue()
        # A kernel tells of what was lost with the next frame.
        late = self.next_frame(device)
        assert device.dropped >= 8 * self.buffers
        late.requeue()
        device.close()

    def test_sequence_starts_again_with_start(self):
        device = self.streaming()
        for _ in range(3):
            self.next_frame(device).requeue()
        device.stop()
        device.start()
        frame = self.next_frame(device)
        assert frame.sequence == 0
        frame.requeue()
        device.close()

    def test_signal_lost_and_back_are_events_between_frames(self):
        device = self.streaming()
        self.next_frame(device).requeue()
        assert device.signal is SignalState.PRESENT
        self.pull_signal(device)
        waiting = []
        while (frame := device.dequeue()) is not None:
            waiting.append(frame.sequence)
            frame.requeue()
        assert device.signal is SignalState.LOST
        (lost,) = device.events()
        assert type(lost) is SignalLost
        assert all(sequence < lost.sequence for sequence in waiting)
        self.return_signal(device)
        frame = self.next_frame(device)
        (returned,) = device.events()
        assert type(returned) is SignalReturned
        assert returned.at >= lost.at and frame.sequence >= returned.sequence
        assert device.signal is SignalState.PRESENT
        frame.requeue()
        device.close()

    def test_a_pulled_device_gives_what_it_captured_then_raises(self):
        device = self.streaming()
        self.next_frame(device).requeue()
        self.let_frames_pass(device, 2)
        self.pull_device(device)
        frames = 0
        with pytest.raises(DeviceGone):
            while (frame := device.dequeue()) is not None:
                frame.requeue()
                frames += 1
        assert frames >= 1 or not self.gives_frames_after_it_is_pulled
        assert [type(event) for event in device.events()] == [DeviceRemoved]
        device.stop()
        device.close()
        with pytest.raises(DeviceGone):
            device.open()

    def test_calls_in_the_wrong_state_are_told_and_close_is_always_right(self):
        device = self.make()
        device.close()
        device.stop()
        assert device.events() == [] and device.signal is SignalState.UNKNOWN
        with pytest.raises(WrongState):
            device.configure(self.wanted())
        with pytest.raises(WrongState):
            device.start()
        with pytest.raises(WrongState):
            device.dequeue()
        device.open()
        with pytest.raises(WrongState):
            device.start()
        device.configure(self.wanted())
        device.start()
        with pytest.raises(WrongState):
            device.configure(self.wanted())
        device.close()
        device.close()
        device.open()
        device.close()

    def test_close_with_frames_lent_releases_them(self):
        device = self.streaming()
        frame = self.next_frame(device)
        device.close()
        with pytest.raises(ValueError, match="released"):
            frame.view[0]
        frame.requeue()
