"""The configuration: TOML files and profiles, checked and turned into frozen dataclasses.

    configuration = load(profile="gateway", vocabulary=vocabulary)
    for entity in configuration.entities: ...

Each key is declared once, beside the field that holds its value (`agent.configuration.key`);
checking, documentation and display come from that declaration. All errors are told at once.
"""

from agent.configuration.addresses import Address
from agent.configuration.archive import Archive, Retention
from agent.configuration.configuration import Configuration, Origin
from agent.configuration.connection import Retry, Socket, Timers, Tls
from agent.configuration.delivery import Delivery
from agent.configuration.difference import Changes, Differences, differences
from agent.configuration.entity import (
    Accept,
    Entity,
    EntityLimits,
    Service,
    Statuses,
    StorageBehaviour,
)
from agent.configuration.intake import Capture, Folder
from agent.configuration.load import load
from agent.configuration.names import Names
from agent.configuration.node import Clock, Limits, Log, LoopBudget, Metrics, Node, Workers
from agent.configuration.peer import Peer, Quirks, Window
from agent.configuration.problems import ConfigurationErrors, Problem
from agent.configuration.profiles import find_profile, profile_names
from agent.configuration.rendering import render
from agent.configuration.route import Change, Condition, Match, Route
from agent.configuration.secrets import Secret
from agent.configuration.vocabulary import ServiceTerm, Vocabulary, names_of

__all__ = [
    "Accept",
    "Address",
    "Archive",
    "Capture",
    "Change",
    "Changes",
    "Clock",
    "Condition",
    "Configuration",
    "ConfigurationErrors",
    "Delivery",
    "Differences",
    "Entity",
    "EntityLimits",
    "Folder",
    "Limits",
    "Log",
    "LoopBudget",
    "Match",
    "Metrics",
    "Names",
    "Node",
    "Origin",
    "Peer",
    "Problem",
    "Quirks",
    "Retention",
    "Retry",
    "Route",
    "Secret",
    "Service",
    "ServiceTerm",
    "Socket",
    "Statuses",
    "StorageBehaviour",
    "Timers",
    "Tls",
    "Vocabulary",
    "Window",
    "Workers",
    "differences",
    "find_profile",
    "load",
    "names_of",
    "profile_names",
    "render",
]
