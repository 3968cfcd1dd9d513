"""`gantry inventory`: have a peer make an inventory of what it has, and follow it (PS3.4 KK.2)."""

from __future__ import annotations

import argparse
import json
import sys
import time

from agent.archive.matching import EMPTY_VALUE
from agent.cli.attribute_words import put_key
from agent.cli.options import add_peer_options, seconds
from agent.cli.options import port as port_number
from agent.cli.requestor import associate
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.json_model import to_json
from agent.dataset.sop_classes import INVENTORY_CREATION
from agent.dataset.tags import keyword_of
from agent.dataset.uid import is_valid_uid, new_uid
from agent.errors import ConfigurationError
from agent.loop import Event, Loop, TaskGroup, TimedOut, timeout
from agent.network.association import Response
from agent.network.negotiation import AcceptorOffer, SyntaxOffer, propose
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.status import Category, status_text
from agent.network.transport import Admission, Caller, Listener
from agent.services.data_sets import MESSAGE_SYNTAXES
from agent.services.inventory_creation import (
    ACTIONS,
    CANCEL,
    EVENTS,
    INITIATE,
    INVENTORY_STATUS,
    LEVELS,
    TERMINATED_WITHOUT_INSTANCES,
    InventoryEventProvider,
    act,
    inventory_need,
)
from agent.services.inventory_scope import (
    EMPTY,
    GENERAL,
    MATCHING_LEVELS,
    MECHANISMS,
    RANGE,
    RELATIONAL,
    TIMEZONE,
    TIMEZONE_ADJUST,
    UIDS,
)
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_TIMES = frozenset(("DA", "DT", "TM"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_options(parser)
    parser.add_argument("action", choices=tuple(ACTIONS), help="what the peer is to do")
    parser.add_argument(
        "keys",
        metavar="KEYWORD=VALUE",
        nargs="*",
        help="with initiate: the studies that are meant (default: all)",
    )
    parser.add_argument(
        "--transaction", metavar="UID", help="which inventory; needed for all but initiate"
    )
    parser.add_argument(
        "--level", choices=LEVELS, type=str.upper, default="INSTANCE", help="(default %(default)s)"
    )
    parser.add_argument(
        "--mechanism",
        metavar="TERM",
        action="append",
        type=str.upper,
        default=[],
        help="a value of Extended Matching Mechanisms, such as RELATIONAL or TIMEZONE_ADJUST; may"
        " be given several times (needed for Keyword='\"\"', which finds what has no value)",
    )
    parser.add_argument(
        "--matching-level",
        choices=MATCHING_LEVELS,
        type=str.upper,
        help="with RELATIONAL: the lowest level that keys are of",
    )
    parser.add_argument("--purpose", metavar="TEXT", default="", help="what it is for")
    parser.add_argument(
        "--interval", metavar="MINUTES", type=int, help="how often the peer is to tell of it"
    )
    parser.add_argument(
        "--discard",
        action="store_true",
        help="with cancel: what was gathered may go (default: it is kept as an inventory)",
    )
    parser.add_argument(
        "--port",
        metavar="P",
        type=port_number,
        help="listen here for what the peer tells, until the inventory has ended",
    )
    parser.add_argument(
        "--wait", metavar="SECONDS", type=seconds, default=3600.0, help="how long (default 3600)"
    )


def run(options: argparse.Namespace) -> int:
    return Loop().run(_Following(options).run())


class _Following:
    """One transaction of ours, and what the peer says of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._action = ACTIONS[options.action]
        self._transaction = options.transaction or ""
        if self._action == INITIATE:
            self._transaction = self._transaction or new_uid()
            if (RELATIONAL in options.mechanism) != (options.matching_level is not None):
                raise ConfigurationError(
                    f"--mechanism {RELATIONAL} and --matching-level go together",
                    way_out="Give both or neither.",
                )
        elif options.keys:
            raise ConfigurationError("keys belong to initiate", value=options.keys[0])
        if not is_valid_uid(self._transaction):
            raise ConfigurationError(
                f"--transaction: {self._transaction or 'nothing'} is no UID",
                way_out="Give the one that initiate has printed.",
            )
        self._over = Event()
        self._status = 1

    async def run(self) -> int:
        options = self._options
        async with TaskGroup() as group:
            provider = InventoryEventProvider(self._take)
            listener = self._listen(provider) if options.port is not None else None
            association = await associate(options, propose([inventory_need()])[0])
            response = await act(association, self._action, self._information())
            accepted = self._say(response)
            await association.release()
            if accepted and listener is not None:
                try:
                    with timeout(options.wait):
                        await self._over.wait()
                except TimedOut:
                    print(f"{options.called}: not ended within {options.wait:g} s", file=sys.stderr)
            if listener is not None:
                await listener.drain(1.0)
            group.cancel()
        if not accepted:
            return 1
        return self._status if listener is not None else 0

    def _information(self) -> Attributes:
        options = self._options
        made = Attributes(TransactionUID=self._transaction)
        if options.interval is not None:
            made.set("RequestedStatusInterval", options.interval)
        if self._action == CANCEL:
            made.set("RetainInstances", "N" if options.discard else "Y")
        if self._action == INITIATE:
            scope = self._scope()
            made.set("ScopeOfInventorySequence", [scope] if len(scope) else None)
            made.set("InventoryPurpose", options.purpose)
            made.set("InventoryLevel", options.level)
        return with_character_set(made)

    def _scope(self) -> Attributes:
        """Keys by how they are matched (Table KK.2-1)."""
        keys = Attributes()
        for word in self._options.keys:
            put_key(keys, word)
        scope = Attributes()
        for tag in keys:
            vr, values = key = keys[tag]
            sequence = UIDS if vr == "UI" else GENERAL
            if values == (EMPTY_VALUE,):
                sequence, key = EMPTY, Attribute(vr, ())
            elif vr in _TIMES and any("-" in str(each) for each in values):
                sequence = RANGE
            item = scope.item_of(sequence)
            item.put(tag, key)
            scope.set(sequence, [item])
        if self._options.mechanism:
            scope.set(MECHANISMS, self._options.mechanism)
        if TIMEZONE_ADJUST in self._options.mechanism:
            scope.set(TIMEZONE, time.strftime("%z"))
        if self._options.matching_level:
            scope.set("QueryRetrieveLevel", self._options.matching_level)
        return with_character_set(scope)

    def _say(self, response: Response) -> bool:
        accepted = response.category in (Category.SUCCESS, Category.WARNING)
        if accepted and self._options.json:
            print(json.dumps({"transaction": self._transaction, "status": response.status}))
        elif accepted:
            print(f"transaction {self._transaction}")
        if response.category is not Category.SUCCESS:
            said = f"{status_text(response.status)} {response.comment}".rstrip()
            print(f"{self._options.called}: {said}", file=sys.stderr)
        for tag in response.attribute_identifiers:
            print(f"not matched: {keyword_of(tag)}", file=sys.stderr)
        return accepted

    def _take(self, event: int, information: Attributes) -> bool:
        if information.text("TransactionUID") != self._transaction:
            return False
        if self._options.json:
            said = to_json(information)
            print(json.dumps({"event": event, "information": said}, ensure_ascii=False))
        else:
            words = [EVENTS[event], information.text("TransactionStatus")]
            if information.has("TotalNumberOfStudyRecords"):
                words.append(f"{information.text('TotalNumberOfStudyRecords')} studies")
            words += [
                f"{keyword} {information.text(keyword)}"
                for keyword in ("ReferencedSOPInstanceUID", "RetrieveAETitle", "RetrieveURL")
                if information.has(keyword)
            ]
            if information.has("TransactionStatusComment"):
                words.append(information.text("TransactionStatusComment"))
            print("; ".join(words), flush=True)
        if event != INVENTORY_STATUS:
            failed = event == TERMINATED_WITHOUT_INSTANCES
            self._status = int(failed or information.text("TransactionStatus") == "FAILURE")
            self._over.set()
        return True

    def _listen(self, provider: InventoryEventProvider) -> Listener:
        title = self._options.calling
        offer = AcceptorOffer(
            {INVENTORY_CREATION: SyntaxOffer(MESSAGE_SYNTAXES, scu=True, scp=False)},
            IMPLEMENTATION_CLASS_UID,
            IMPLEMENTATION_VERSION_NAME,
        )

        def admit(request: AssociateRequest, caller: Caller) -> Admission | AssociateReject:
            return Admission(offer, {INVENTORY_CREATION: provider}, entity=title)

        listener = Listener(admit)
        listener.bind("0.0.0.0", self._options.port)
        return listener
