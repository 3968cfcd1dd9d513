"""The V4L2 driver without a device: structures held against the kernel's headers, and its errors.

What it captures is proven on a real kernel: tests/machine.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hal.capture import v4l2_kernel as kernel
from hal.capture.base import (
    CaptureError,
    CaptureFormat,
    DeviceGone,
    FrameRate,
    WrongState,
    open_driver,
)
from hal.capture.v4l2_enumeration import video_devices

_SIZES = {
    "v4l2_capability": kernel.CAPABILITY,
    "v4l2_fmtdesc": kernel.FMTDESC,
    "v4l2_format": kernel.FORMAT,
    "v4l2_requestbuffers": kernel.REQUESTBUFFERS,
    "v4l2_buffer": kernel.BUFFER,
    "v4l2_streamparm": kernel.STREAMPARM,
    "v4l2_input": kernel.INPUT,
    "v4l2_standard": kernel.STANDARD,
    "v4l2_frmsizeenum": kernel.FRAMESIZE,
    "v4l2_frmivalenum": kernel.FRAMEINTERVAL,
    "v4l2_dv_timings": kernel.DV_TIMINGS,
    "v4l2_event": kernel.EVENT,
    "v4l2_event_subscription": kernel.EVENT_SUBSCRIPTION,
    "v4l2_queryctrl": kernel.QUERYCTRL,
    "v4l2_control": kernel.CONTROL,
    "v4l2_querymenu": kernel.QUERYMENU,
}
_NUMBERS = {
    "VIDIOC_QUERYCAP": kernel.QUERYCAP,
    "VIDIOC_ENUM_FMT": kernel.ENUM_FMT,
    "VIDIOC_G_FMT": kernel.G_FMT,
    "VIDIOC_S_FMT": kernel.S_FMT,
    "VIDIOC_REQBUFS": kernel.REQBUFS,
    "VIDIOC_QUERYBUF": kernel.QUERYBUF,
    "VIDIOC_QBUF": kernel.QBUF,
    "VIDIOC_DQBUF": kernel.DQBUF,
    "VIDIOC_STREAMON": kernel.STREAMON,
    "VIDIOC_STREAMOFF": kernel.STREAMOFF,
    "VIDIOC_G_PARM": kernel.G_PARM,
    "VIDIOC_S_PARM": kernel.S_PARM,
    "VIDIOC_G_STD": kernel.G_STD,
    "VIDIOC_S_STD": kernel.S_STD,
    "VIDIOC_ENUMSTD": kernel.ENUMSTD,
    "VIDIOC_ENUMINPUT": kernel.ENUMINPUT,
    "VIDIOC_G_CTRL": kernel.G_CTRL,
    "VIDIOC_S_CTRL": kernel.S_CTRL,
    "VIDIOC_QUERYCTRL": kernel.QUERYCTRL_NUMBER,
    "VIDIOC_QUERYMENU": kernel.QUERYMENU_NUMBER,
    "VIDIOC_G_INPUT": kernel.G_INPUT,
    "VIDIOC_S_INPUT": kernel.S_INPUT,
    "VIDIOC_QUERYSTD": kernel.QUERYSTD,
    "VIDIOC_ENUM_FRAMESIZES": kernel.ENUM_FRAMESIZES,
    "VIDIOC_ENUM_FRAMEINTERVALS": kernel.ENUM_FRAMEINTERVALS,
    "VIDIOC_S_DV_TIMINGS": kernel.S_DV_TIMINGS,
    "VIDIOC_G_DV_TIMINGS": kernel.G_DV_TIMINGS,
    "VIDIOC_DQEVENT": kernel.DQEVENT,
    "VIDIOC_SUBSCRIBE_EVENT": kernel.SUBSCRIBE_EVENT,
    "VIDIOC_QUERY_DV_TIMINGS": kernel.QUERY_DV_TIMINGS,
    "V4L2_STD_PAL": kernel.STANDARDS["PAL"],
    "V4L2_STD_NTSC": kernel.STANDARDS["NTSC"],
    "V4L2_STD_SECAM": kernel.STANDARDS["SECAM"],
    "V4L2_BUF_FLAG_ERROR": kernel.BUF_FLAG_ERROR,
    "V4L2_CAP_TIMEPERFRAME": kernel.CAP_TIMEPERFRAME,
    "V4L2_IN_CAP_DV_TIMINGS": kernel.IN_CAP_DV_TIMINGS,
    "V4L2_IN_CAP_STD": kernel.IN_CAP_STD,
}
_OFFSETS = {
    "struct v4l2_buffer, timestamp": 24,
    "struct v4l2_buffer, sequence": 56,
    "struct v4l2_buffer, m": 64,
    "struct v4l2_buffer, length": 72,
    "struct v4l2_input, status": 56,
    "struct v4l2_input, std": 48,
    "struct v4l2_format, fmt": 8,
}


@pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/usr/include/linux/videodev2.h").exists(),
    reason="needs a C compiler and the kernel's headers",
)
def test_structures_and_numbers_are_those_of_the_kernel(tmp_path: Path) -> None:
    lines = [f'printf("%llu\\n", (unsigned long long)sizeof(struct {name}));' for name in _SIZES]
    lines += [f'printf("%llu\\n", (unsigned long long)({name}));' for name in _NUMBERS]
    lines += [f'printf("%llu\\n", (unsigned long long)offsetof({name}));' for name in _OFFSETS]
    source = tmp_path / "sizes.c"
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <linux/videodev2.h>\n"
        f"int main(void) {{ {' '.join(lines)} }}\n"
    )
    subprocess.run(["cc", "-o", str(tmp_path / "sizes"), str(source)], check=True)
    said = subprocess.run([str(tmp_path / "sizes")], capture_output=True, text=True, check=True)
    found = [int(each) for each in said.stdout.split()]
    expected = [each.size for each in _SIZES.values()] + [*_NUMBERS.values(), *_OFFSETS.values()]
    names = [*_SIZES, *_NUMBERS, *_OFFSETS]
    wrong = {
        name: (is_, should)
        for name, is_, should in zip(names, expected, found, strict=True)
        if is_ != should
    }
    assert wrong == {}


def test_what_is_packed_is_unpacked() -> None:
    form = kernel.PixFormat(640, 480, kernel.fourcc("YUYV"), 1, 1280, 614400, 1, quantization=2)
    assert kernel.unpack_format(kernel.pack_format(form)) == form
    assert kernel.unpack_buffer(kernel.pack_buffer(3)).number == 3
    assert kernel.fourcc_text(kernel.fourcc("NV12")) == "NV12"


def test_a_device_that_is_not_there_is_gone(tmp_path: Path) -> None:
    device = open_driver("v4l2", device=str(tmp_path / "video0"))
    with pytest.raises(DeviceGone):
        device.open()
    with pytest.raises(DeviceGone):
        device.describe()
    with pytest.raises(WrongState):
        device.configure(CaptureFormat("YUYV", 640, 480, FrameRate(25)))
    with pytest.raises(WrongState):
        device.start()
    assert device.deadline() is None
    assert device.descriptor is None
    device.stop()
    device.close()


def test_a_file_is_no_camera(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    path.write_bytes(b"")
    device = open_driver("v4l2", device=str(path))
    with pytest.raises(DeviceGone, match="does not capture"):
        device.open()
    assert device.descriptor is None


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(CaptureError, match="PAL"):
        open_driver("v4l2", standard="PAL-9")
    with pytest.raises(CaptureError, match="two buffers"):
        open_driver("v4l2", buffers=1)


def test_without_a_device_none_is_found() -> None:
    if not video_devices():
        with pytest.raises(DeviceGone, match="no video device"):
            open_driver("v4l2").open()
