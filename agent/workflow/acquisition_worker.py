"""The worker of a capture device: objects when it is asked, frames kept in between."""

from __future__ import annotations

from typing import Any

from agent.loop.calls import Call, Calls
from agent.workflow.camera import Camera
from agent.workflow.capture_settings import CaptureSettings


def serve_capture(calls: Calls, settings: CaptureSettings) -> None:
    """The entry: "expose" an `Exposure` into a descriptor, and signed into a second; "keep" so many
    seconds in so many bytes of a file."""
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
                    call.reply(_done(camera, call, settings))
                except Exception as error:
                    call.fail(error)
    finally:
        camera.close()


def _done(camera: Camera, call: Call, settings: CaptureSettings) -> Any:
    descriptor, *signed = call.descriptors
    if call.name == "keep":
        seconds, most = call.arguments
        return camera.keep(descriptor, seconds, most)
    (exposure,) = call.arguments
    if settings.signing is None:
        return camera.expose(exposure, descriptor)
    # Imported where objects are signed.
    from agent.workflow.capture_signing import creator_of, sign

    # A key that cannot be used is told before anything is captured for nothing.
    creator = creator_of(settings.signing)
    exposed = camera.expose(exposure, descriptor)
    sign(descriptor, signed[0], creator, settings.signing.mac_algorithm)
    return exposed
