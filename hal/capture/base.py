"""The interface of a device that captures frames: a grabber, a camera, a simulator.

A driver has no thread and no loop. Its owner waits for `descriptor` to be readable, or for the
clock to reach `deadline()`, whichever the driver gives, and then calls `dequeue()` until it gives
None, and `events()`. `open`, `configure`, `start`, `stop` and `close` may block in the kernel for
as long as a USB transfer takes: the owner calls them where blocking is allowed (a capture worker).

The life of a device::

    closed --open--> open --configure--> configured --start--> streaming
       ^                ^-------configure----'  ^------stop-------'
       '---- close, from any state ----

Errors, all of them `CaptureError`:

    CaptureError
    ├── DeviceGone       example: the USB grabber was pulled while streaming, or before open
    ├── DeviceBusy       example: another program streams from /dev/video0
    ├── FormatRefused    example: 1920x1080 GREY asked of a PAL grabber
    ├── NoSignal         example: start() on an HDMI input whose cable is out, where the hardware
    │                    cannot even start without a signal
    ├── FrameHeld        example: a frame is given back while a numpy array still looks into it
    └── WrongState       example: dequeue() before start()

The drivers are named in `DRIVERS`; importing this module imports none of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from hal.drivers import made_by_driver

DRIVERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "simulator": ("hal.capture.simulator", "SimulatedCapture"),
        "v4l2": ("hal.capture.v4l2", "V4l2Capture"),
    }
)
"""Driver name to (module, class); the class is made with the keyword options of the driver."""


class CaptureError(Exception):
    """The root of what a capture device can raise; never raised itself."""


class DeviceGone(CaptureError):
    """The device is not there (any more). Only `close()` is of use after it.

    Example: the USB grabber was pulled. Frames captured before are still given by `dequeue()`
    where the driver has them (a kernel takes those that were not fetched with the device); the
    call after the last of them raises this.
    """


class DeviceBusy(CaptureError):
    """The device is there but somebody else holds it. Example: a second program streams from it."""


class FormatRefused(CaptureError):
    """The device cannot deliver the format asked for.

    Example: RGB24 asked of a device that only has YUYV. The message says what it can.
    """


class NoSignal(CaptureError):
    """The input has no signal and the device cannot start without one.

    A signal that goes while streaming is no error but an event (`SignalLost`).
    """


class FrameHeld(CaptureError):
    """A frame was given back while something still refers to its pixels.

    Example: a numpy array over `frame.view` is still alive. Drop it, then requeue again: the
    frame stays valid until that succeeds, so that nobody ever sees the pixels change.
    """


class WrongSettings(CaptureError):
    """No driver of that name, or one that does not know these options. Example: `port` misspelt."""


class WrongState(CaptureError):
    """The call does not fit the state. Example: `dequeue()` before `start()`."""


class FrameRate(NamedTuple):
    """Frames a second as a fraction: 25 is (25, 1), NTSC is (30000, 1001)."""

    numerator: int
    denominator: int = 1

    @property
    def period(self) -> float:
        """Seconds from one frame to the next."""
        return self.denominator / self.numerator

    def __str__(self) -> str:
        return f"{self.numerator / self.denominator:g}"


class CaptureInput(NamedTuple):
    """A socket of the device: composite, S-Video, HDMI, or the sensor of a camera."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class CaptureMode:
    """A pixel format at a size, with the rates that the device offers for it."""

    pixel_format: str
    width: int
    height: int
    rates: tuple[FrameRate, ...]


@dataclass(frozen=True, slots=True)
class CaptureDescription:
    """What a device is and can do. `address` tells it from its likes (`/dev/video0`)."""

    driver: str
    name: str
    address: str
    inputs: tuple[CaptureInput, ...]
    modes: tuple[CaptureMode, ...]


@dataclass(frozen=True, slots=True)
class CaptureFormat:
    """What to deliver: asked for by the owner, and answered by the device.

    `stride` 0 in the request leaves the distance of rows in bytes to the device; the answer has
    it. `full_range` counts in the answer only: False where luma is 16 to 235 and chroma 16 to
    240, as video is by custom (BT.601). All else is delivered as asked or refused, never silently
    changed.
    """

    pixel_format: str
    width: int
    height: int
    rate: FrameRate
    input: int = 0
    stride: int = 0
    full_range: bool = True


class SignalState(Enum):
    UNKNOWN = "unknown"
    """Not streaming, or hardware that cannot tell."""
    PRESENT = "present"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class CaptureEvent:
    """Something other than a frame. `at` is in seconds of the clock, `sequence` that of the next
    frame: the event lies before it and after all frames with a smaller number."""

    at: float
    sequence: int


class SignalLost(CaptureEvent):
    """The input's signal went; frames stop."""


class SignalReturned(CaptureEvent):
    """The signal is back in the configured format; frames go on."""


class SignalChanged(CaptureEvent):
    """The signal is there in another size or rate: stop, configure and start again."""


class DeviceRemoved(CaptureEvent):
    """The device is gone; `dequeue()` raises DeviceGone after the frames that were captured."""


class Frame:
    """One captured frame, lent by the device until it is given back with `requeue()`.

    `view` covers exactly the frame's bytes (rows `stride` apart, or the compressed stream), and
    is read-only. After `requeue()` it is released: any access to it raises ValueError, because
    the device writes the next frame there.

    `sequence` counts the device's frames since `start()`, from 0, lost ones included; `dropped`
    is how many were lost between the frame before and this one (no buffer was free). `timestamp`
    is the moment of capture, in seconds of the monotonic clock.
    """

    __slots__ = (
        "_buffer",
        "_device",
        "dropped",
        "height",
        "pixel_format",
        "sequence",
        "stride",
        "timestamp",
        "view",
        "width",
    )

    def __init__(
        self,
        device: CaptureDevice,
        buffer: int,
        view: memoryview,
        *,
        pixel_format: str,
        width: int,
        height: int,
        stride: int,
        sequence: int,
        timestamp: float,
        dropped: int,
    ) -> None:
        self._device = device
        self._buffer = buffer
        self.view = view
        self.pixel_format = pixel_format
        self.width = width
        self.height = height
        self.stride = stride
        self.sequence = sequence
        self.timestamp = timestamp
        self.dropped = dropped

    @property
    def buffer(self) -> int:
        """The number of the buffer, for the driver."""
        return self._buffer

    def requeue(self) -> None:
        """Give the buffer back to the device. Raises FrameHeld while the pixels are referred to."""
        self._device.requeue(self)

    def __enter__(self) -> Frame:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.requeue()
        except FrameHeld:
            # What went wrong in the block may still hold the pixels, and says more than this;
            # the buffer is then out of the ring until `close()`.
            if kind is None:
                raise


class CaptureDevice(ABC):
    """A device that captures frames into a fixed ring of buffers.

    Memory: `buffers` times the frame length, allocated by `configure`, freed by `close`; nothing
    else grows. When the owner holds all buffers, or does not call, frames are dropped and counted.
    """

    @abstractmethod
    def describe(self) -> CaptureDescription:
        """What the device is; callable in every state but may block. Raises DeviceGone."""

    @abstractmethod
    def open(self) -> None:
        """Take hold of the device. Blocks. Raises DeviceGone, DeviceBusy."""

    @abstractmethod
    def configure(self, wanted: CaptureFormat) -> CaptureFormat:
        """Set input, format, size and rate, and make the buffers. Blocks.

        Returns what will be delivered: the same, with the stride. Raises FormatRefused,
        DeviceGone, WrongState (while streaming or closed).
        """

    @abstractmethod
    def start(self) -> None:
        """Begin streaming; sequence numbers start at 0. Blocks. Raises NoSignal, DeviceGone."""

    @abstractmethod
    def stop(self) -> None:
        """End streaming; frames not dequeued are discarded. Blocks. No error when not streaming.

        Frames that the owner still holds stay valid until requeued.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the device from any state. Never raises; a closed device can be opened again.

        Frames that the owner still holds are released; those that are referred to live on as
        long as the reference.
        """

    @property
    @abstractmethod
    def descriptor(self) -> int | None:
        """Readable when a frame or an event waits; None for a device that has only deadlines."""

    @abstractmethod
    def deadline(self) -> float | None:
        """When to call `dequeue()` and `events()` even if the descriptor is silent; None: never.

        In seconds of the clock. Changes with every call of the device: ask again each time.
        """

    @abstractmethod
    def dequeue(self) -> Frame | None:
        """The oldest frame that waits, or None. Never blocks. Raises DeviceGone, WrongState."""

    @abstractmethod
    def requeue(self, frame: Frame) -> None:
        """Give a frame back. Never blocks; giving it back twice is no error. Raises FrameHeld."""

    @abstractmethod
    def events(self) -> list[CaptureEvent]:
        """What happened since the last call, oldest first. Never blocks, never raises."""

    @property
    @abstractmethod
    def signal(self) -> SignalState:
        """The state of the input's signal, as far as calls have seen it."""

    @property
    @abstractmethod
    def dropped(self) -> int:
        """Frames lost since `start()` because no buffer was free."""


def open_driver(name: str, **options: Any) -> CaptureDevice:
    """Make the device of a driver by name; imports the driver's module now.

    Raises WrongSettings for a name that is not in DRIVERS and for options that it does not know
    or cannot use; what the options are says each driver.
    """
    misuse = (TypeError, ValueError, LookupError, AttributeError)
    made = made_by_driver(DRIVERS, name, options, "capture driver", WrongSettings, misuse)
    assert isinstance(made, CaptureDevice)
    return made
