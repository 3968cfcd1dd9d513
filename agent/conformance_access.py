"""What the conformance statement says of user identities and of who may do what (PS3.2 N.8)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.access import AccessRule
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.conformance_sections import section

_SUPPORT = {
    "ignored": "not supported: the sub-item is ignored, and there is no response",
    "optional": "supported; an identity that is given must be good",
    "required": "supported, and required",
}


def access(entity: Entity, configuration: Configuration) -> Iterator[str]:
    """Who may call an entity, and what they may use."""
    yield from section(
        "User identity negotiation (PS3.7 D.3.3.7)", _identity(entity, configuration)
    )
    yield from section("Access control", _control(entity, configuration))
    rules = [
        each
        for each in configuration.access.rules
        if not each.entities or entity.name in each.entities
    ]
    if not rules:
        return
    yield ""
    yield "Rules in order; the first that fits decides. Refused contexts are answered with result 1"
    yield "(user-rejection), refused operations with status 0124H:"
    yield ""
    yield "| rule | callers | what |"
    yield "|---|---|---|"
    for rule in rules:
        verb = "may use" if rule.allow else "may not use"
        yield f"| {rule.name} | {_callers(rule)} | {verb} {_what(rule)} |"
    verb = "refused" if configuration.access.otherwise == "refuse" else "allowed"
    yield f"| otherwise | all others | {verb} |"


def _identity(entity: Entity, configuration: Configuration) -> Iterator[tuple[str, str]]:
    accepted = entity.accept.identity
    yield "As acceptor", _SUPPORT[accepted.wanted]
    if accepted.wanted != "ignored":
        identity = configuration.identity
        kinds = [
            kind
            for kind in accepted.kinds
            if (identity.verifier and kind in identity.verifier.kinds)
            or (identity.passcodes and kind.startswith("username"))
        ]
        yield "Types accepted", ", ".join(kinds)
        yield "Positive response", "when asked for" if accepted.respond else "never"
        yield "Identity refused", "rejected-permanent, service-provider (ACSE), no-reason-given"
        yield "Identity that could not be verified", "rejected-transient, the same source"
    presented = [each for each in configuration.peers if each.identity]
    told = [f"{each.name}: {each.identity.kind}" for each in presented]
    yield "As requestor", ", ".join(told) or "none is presented"


def _control(entity: Entity, configuration: Configuration) -> Iterator[tuple[str, str]]:
    accept, lock_out = entity.accept, configuration.access.lock_out
    yield "Calling AE titles", f"{accept.calling}{_also(accept.calling_titles)}"
    yield "Networks", ", ".join(accept.networks) or "any"
    yield "Certificates", "as the transport says" if entity.tls else "none: plain TCP"
    most = configuration.limits.connections_per_second_per_host
    yield "Connections a second of one host", str(most or "any number")
    counts = ", ".join(
        f"{getattr(lock_out, kind)} of a {kind}"
        for kind in ("host", "title", "user")
        if getattr(lock_out, kind)
    )
    when = f"after failures within {lock_out.window:g} s: {counts}; for {lock_out.duration:g} s"
    yield "Lock-out", when if counts else "none"


def _also(titles: tuple[str, ...]) -> str:
    return f", and {', '.join(titles)}" if titles else ""


def _callers(rule: AccessRule) -> str:
    found = [
        f"{name} {' or '.join(values)}"
        for name, values in (
            ("called", rule.called),
            ("calling", rule.calling),
            ("network", rule.networks),
            ("subject", rule.subjects),
            ("issuer", rule.issuers),
            ("fingerprint", rule.fingerprints),
            ("user", rule.users),
            ("identity", rule.identities),
        )
        if values
    ]
    return "; ".join(found) or "all"


def _what(rule: AccessRule) -> str:
    found = [
        f"{name} {', '.join(values)}"
        for name, values in (
            ("service", rule.services),
            ("role", rule.roles),
            ("SOP class", getattr(rule.sop_classes, "written", rule.sop_classes)),
            ("operation", rule.operations),
        )
        if values
    ]
    return "; ".join(found) or "everything"
