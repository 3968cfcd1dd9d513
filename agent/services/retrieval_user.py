"""C-MOVE and C-GET as SCU (PS3.4 C.4.2.2, C.4.3.2, Y.4.1.2, Z.4.2.2).

The final response alone does not say that an object is here: who receives them compares (`Outcome`
takes both). What a C-GET brings is stored by the providers that the association was opened with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from agent.archive.selection import selection_of
from agent.dataset.attributes import Attribute, Attributes, tag_of
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.sop_classes import storage_sop_classes
from agent.dataset.tags import format_tag, keyword_of
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from agent.errors import LocalError, PeerError
from agent.loop import Event, TaskGroup, sleep
from agent.network import command as c
from agent.network.association import Association, Response
from agent.network.commands import C_MOVE_RQ, c_get_rq, c_move_rq
from agent.network.negotiation import ContextNeed, PresentationContext
from agent.network.presentation_context import MAXIMUM_PRESENTATION_CONTEXTS
from agent.network.status import Category
from agent.network.user_information import ExtendedNegotiation, RoleSelection
from agent.quoting import quoted
from agent.services.data_sets import MESSAGE_SYNTAXES, context_for, decoded_from, encoded
from agent.services.retrieval import COMPOSITE_INSTANCE_ROOT, RETRIEVES

UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
COMPRESSED = tuple(
    uid
    for uid, row in TRANSFER_SYNTAXES.items()
    if row.encapsulated and row.transferable and not row.retired
)
"""Compressed transfer syntaxes that may be proposed, in the order of the registry."""

_COMMON = tuple(
    f"1.2.840.10008.5.1.4.1.1.{rest}"
    for rest in (
        *("2", "4", "1", "1.1", "1.2", "6.1", "3.1", "7", "7.4", "7.2", "7.3", "7.1"),
        *("12.1", "12.2", "20", "128", "2.1", "4.1", "128.1", "4.2", "11.1", "88.59"),
        *("88.11", "88.22", "88.33", "88.67", "104.1", "104.2", "481.1", "481.2", "481.3"),
        *("481.5", "9.1.1", "9.1.2", "9.1.3", "77.1.1", "77.1.2", "77.1.4", "77.1.5.1", "66"),
    )
)

_FAILED_SOP_INSTANCE_UID_LIST = 0x0008_0058
_LONGEST = 30 * 86400.0
"""Seconds of one retrieval; silence ends it much sooner."""


class Verdict(Enum):
    """What a final response says (C.4.2.2.1)."""

    ALL = "all of it was sent"
    SOME = "not all of it was sent, or with warnings"
    NONE = "nothing of it was sent"
    CANCELLED = "it was cancelled"


_VERDICTS = {
    Category.SUCCESS: Verdict.ALL,
    Category.WARNING: Verdict.SOME,
    Category.CANCEL: Verdict.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Counts:
    """The counters of a response; None for one that was not told."""

    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None

    @classmethod
    def of(cls, response: Response) -> Counts:
        elements = response.elements
        return cls(
            elements.get(c.NUMBER_OF_REMAINING_SUBOPERATIONS),
            elements.get(c.NUMBER_OF_COMPLETED_SUBOPERATIONS),
            elements.get(c.NUMBER_OF_FAILED_SUBOPERATIONS),
            elements.get(c.NUMBER_OF_WARNING_SUBOPERATIONS),
        )


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What the peer says of a retrieval at its end."""

    response: Response
    counts: Counts
    failed: tuple[str, ...] = ()
    """The UIDs that it names as failed; it may name none, and not all."""

    @property
    def verdict(self) -> Verdict:
        return _VERDICTS.get(self.response.category, Verdict.NONE)

    def missing(self, wanted: Iterable[str], received: frozenset[str]) -> tuple[str, ...]:
        """The UIDs, of what was wanted and of what failed, that were not received."""
        return tuple(
            each for each in dict.fromkeys((*wanted, *self.failed)) if each not in received
        )

    def lacks(self, received: int) -> int:
        """How many objects less were received than the peer says that it sent."""
        return max(0, (self.counts.completed or 0) + (self.counts.warning or 0) - received)


def retrieval_identifier(
    sop_class_uid: str, level: str, keys: Attributes, *, relational: bool = False
) -> Attributes:
    """The identifier: the level and unique keys, and nothing else (C.4.2.1.4.1).

    Specific Character Set is there only for a Patient ID that needs one. Raises LocalError for
    keys that are no unique keys of the model, and where our own SCP would refuse it. Of
    non-patient objects there is no level, whatever is given (U.4.2).
    """
    model = RETRIEVES[sop_class_uid].model
    if model.stored:
        level = model.levels[0].name
    if model is COMPOSITE_INSTANCE_ROOT and level == "FRAME":
        return _frame_identifier(keys)
    unique = {each.unique for each in model.levels}
    made = keys.copy()
    strange = [tag for tag in made if tag not in {tag_of(each) for each in unique}]
    if strange:
        name = keyword_of(strange[0]) or format_tag(strange[0])
        raise LocalError(
            f"{name} is no unique key of the {model.name} model, and only those select what is"
            " retrieved.",
            clause="PS3.4 C.4.2.1.4.1",
            value=name,
            limit=", ".join(sorted(unique)),
            way_out="Query with it first, and retrieve by the UIDs that were found.",
        )
    made.set("QueryRetrieveLevel", level)
    try:
        selection_of(model, made, relational=relational)
    except PeerError as error:
        raise LocalError(f"{quoted(error.message)}.", clause=error.clause) from error
    if model.stored:
        made.remove("QueryRetrieveLevel")
    return with_character_set(made)


def _frame_identifier(keys: Attributes) -> Attributes:
    """Of one instance some frames, by one key (Y.6.1.1.3)."""
    from agent.objects.frame_selection import frame_selection_of

    made = Attributes(QueryRetrieveLevel="FRAME", SOPInstanceUID=keys.texts("SOPInstanceUID"))
    if len(made.texts("SOPInstanceUID")) != 1 or len(keys) != 2:
        raise LocalError(
            "Frames are those of one SOPInstanceUID, by one frame key, and nothing else.",
            clause="PS3.4 Y.6.1.1.3",
            way_out="Give SimpleFrameList, CalculatedFrameList or TimeRange.",
        )
    try:
        selection = frame_selection_of(_with_numbers(keys))
    except PeerError as error:
        raise LocalError(f"{quoted(error.message)}.", clause=error.clause) from error
    made.put(selection.key, selection.attribute)
    return made


def _with_numbers(keys: Attributes) -> Attributes:
    """What a person types is text: frame keys as the numbers that it says."""
    made = keys.copy()
    for tag in made:
        vr, values = made[tag]
        if vr in ("UL", "FD"):
            number = float if vr == "FD" else int
            try:
                made.put(tag, Attribute(vr, tuple(number(str(each)) for each in values)))
            except ValueError as error:
                raise LocalError(f"{keyword_of(tag)} holds numbers.", value=values) from error
    return made


def relational_proposal(sop_class_uid: str) -> ExtendedNegotiation:
    """The item that proposes relational retrieval (C.5.3.1.1)."""
    return ExtendedNegotiation(sop_class_uid, b"\1")


def move_need(sop_class_uid: str) -> ContextNeed:
    """What has to be negotiated for a C-MOVE."""
    return ContextNeed(sop_class_uid, MESSAGE_SYNTAXES, in_each=True)


def get_needs(
    sop_class_uid: str,
    storage_classes: Sequence[str],
    compressed: Sequence[str] = (),
    room: int = MAXIMUM_PRESENTATION_CONTEXTS,
) -> tuple[list[ContextNeed], tuple[RoleSelection, ...]]:
    """What has to be negotiated for a C-GET: one association's worth (C.5.3).

    Each class gets a context for the uncompressed transfer syntaxes; what room is left is for
    contexts of one compressed syntax each, the first syntax for all classes first, so that objects
    come as they are stored. Classes beyond the room are not proposed.
    """
    needs = [ContextNeed(sop_class_uid, MESSAGE_SYNTAXES, in_each=True)]
    classes = list(dict.fromkeys(storage_classes))[: room - len(needs)]
    needs += [ContextNeed(uid, UNCOMPRESSED) for uid in classes]
    wanted = [ContextNeed(uid, (syntax,)) for syntax in compressed for uid in classes]
    needs += wanted[: room - len(needs)]
    return needs, tuple(RoleSelection(uid, scu=False, scp=True) for uid in classes)


async def retrieve(
    association: Association,
    sop_class_uid: str,
    identifier: Attributes,
    destination: str = "",
    *,
    priority: int = 0,
    on_progress: Callable[[Counts], None] | None = None,
    cancel: Event | None = None,
    patience: float = 60.0,
    signs_of_life: Callable[[], int] = lambda: 0,
) -> Retrieved:
    """C-MOVE to `destination`, or C-GET, as the SOP class is; until the final response.

    `cancel` has C-CANCEL sent; responses are read on until the last. The peer need not answer
    before the end (Pending is optional): it is given up when for `patience` seconds nothing came
    from it, and `signs_of_life` (the bytes that it sent elsewhere) did not grow. Raises PeerError
    then, when the peer took no context for this, and when the association ends before.
    """
    context = context_for(association, sop_class_uid, "this retrieval")
    number = association.next_message_id()
    if RETRIEVES[sop_class_uid].field == C_MOVE_RQ:
        command = c_move_rq(number, sop_class_uid, destination, priority)
    else:
        command = c_get_rq(number, sop_class_uid, priority)

    def tell(response: Response) -> None:
        if on_progress is not None:
            on_progress(Counts.of(response))

    async def stop(wanted: Event) -> None:
        await wanted.wait()
        if association.is_open:
            await association.cancel(context, number)

    async def watch() -> None:
        seen = -1
        while (sign := association.bytes_received + signs_of_life()) != seen:
            seen = sign
            await sleep(patience)
        raise PeerError("the peer says nothing any more", limit=patience)

    try:
        async with TaskGroup() as group:
            beside = [group.start(watch(), "patience")]
            if cancel is not None:
                beside.append(group.start(stop(cancel), "cancel retrieval"))
            response = await association.request(
                context,
                command,
                encoded(identifier, context),
                on_response=tell,
                timeout=_LONGEST,
            )
            for each in beside:
                each.cancel()
    except BaseException:
        # Its responses would come while nobody waits for them.
        association.abort()
        raise
    return Retrieved(response, Counts.of(response), _failed_uids(response, context))


def _failed_uids(response: Response, context: PresentationContext) -> tuple[str, ...]:
    said = response.data_set
    try:
        failed = decoded_from(said if isinstance(said, bytes) else None, context)
    except PeerError:
        # The status stands, whatever is wrong with the list of what failed.
        return ()
    found = failed.texts("FailedSOPInstanceUIDList")
    if not found:
        # DCMTK and Orthanc put it into the command set.
        raw = response.elements.get(_FAILED_SOP_INSTANCE_UID_LIST, b"")
        found = tuple(raw.decode("ascii", "replace").strip(" \0").split("\\"))
    return tuple(each for each in found if each)


def common_storage_classes() -> tuple[str, ...]:
    """All Storage classes, those first that are met everywhere: for one who does not know which."""
    every = storage_sop_classes(non_patient=True)
    return tuple(dict.fromkeys((*(uid for uid in _COMMON if uid in every), *every)))
