"""The worker of a capture device: objects when it is asked, frames kept in between."""

from __future__ import annotations

from typing import Any

from agent.loop.calls import Call, Calls
from agent.workflow.camera import Camera
from agent.workflow.capture_settings import CaptureSettings


def serve_capture(calls: Calls, settings: CaptureSettings) -> None:
    """The entry: "expose" an `Exposure` into a descriptor; "keep" so many seconds in so many bytes
    of a file."""
    camera = Camera(settings)
    try:
        while True:
            while camera.keeps and not calls.wait(camera.descriptor, camera.due_in()):
                camera.attend()
            group = calls.receive(limit=1)
            if not group:
                return
            for call in group:
                try:
                    call.reply(_done(camera, call))
                except Exception as error:
                    call.fail(error)
    finally:
        camera.close()


def _done(camera: Camera, call: Call) -> Any:
    (descriptor,) = call.descriptors
    if call.name == "keep":
        seconds, most = call.arguments
        return camera.keep(descriptor, seconds, most)
    (exposure,) = call.arguments
    return camera.expose(exposure, descriptor)
