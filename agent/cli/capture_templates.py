"""The templates of capture devices, looked at before anything is captured."""

from __future__ import annotations

from agent.configuration.configuration import Configuration
from agent.configuration.problems import Problem


def template_faults(configuration: Configuration) -> list[Problem]:
    """What no object could be made with."""
    if not any(each.template for each in configuration.captures):
        return []
    from agent.objects.template_problems import template_problems

    return [
        Problem("", 0, f"capture.{each.name}.template.{key}", problem)
        for each in configuration.captures
        for key, problem in template_problems(each.template)
    ]
