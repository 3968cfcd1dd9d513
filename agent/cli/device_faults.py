"""What a configuration says of devices that cannot be meant, looked at before they are used.

Drivers are made and not opened: that a device is there at all is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from agent.configuration.configuration import Configuration
from agent.configuration.problems import Problem
from agent.errors import ConfigurationError


def device_faults(configuration: Configuration) -> list[Problem]:
    """Settings that a driver does not take, and templates that no object could be made with."""
    faults = [*_captures(configuration), *_serials(configuration), *_panel(configuration)]
    return [Problem("", 0, key, problem) for key, problem in faults]


def _captures(configuration: Configuration) -> Iterator[tuple[str, str]]:
    tables = [each for each in configuration.captures if each.enabled]
    if not tables:
        return
    from agent.objects.template_problems import template_problems
    from agent.workflow.acquisition import settings_of
    from agent.workflow.capture_frames import form_of
    from agent.workflow.capture_settings import FORM
    from hal.capture.base import CaptureError, open_driver

    for table in tables:
        settings = settings_of(table, configuration)
        place = f"capture.{table.name}"
        make = partial(open_driver, settings.kind, **settings.driver)
        yield from _tried(f"{place}.settings", make, CaptureError)
        form = partial(form_of, {**FORM, **settings.form})
        yield from _tried(f"{place}.settings", form, ConfigurationError)
        for key, problem in template_problems(table.template):
            yield f"{place}.template.{key}", problem


def _serials(configuration: Configuration) -> Iterator[tuple[str, str]]:
    tables = [each for each in configuration.serials if each.enabled]
    if not tables:
        return
    from hal.serial.base import SerialError, open_driver

    for table in tables:
        make = partial(open_driver, table.kind, **table.settings)
        yield from _tried(f"serial.{table.name}.settings", make, SerialError)


def _panel(configuration: Configuration) -> Iterator[tuple[str, str]]:
    table = configuration.panel
    if not table.kind:
        return
    from hal.panel.base import PanelError, open_driver

    make = partial(open_driver, table.kind, **table.settings)
    yield from _tried("panel.settings", make, PanelError)


def _tried(
    key: str, make: Callable[[], object], refused: type[Exception]
) -> Iterator[tuple[str, str]]:
    try:
        make()
    except refused as error:
        yield key, str(error)
