"""The studies of an inventory: those of a query, of which some have what is asked below them.

An inventory is of studies. Under the relational mechanism its keys may be of series and instances
too: then it is of the studies that have one such series or instance (PS3.3 C.38.2.1, PS3.4
KK.2.2.1.1).
"""

from __future__ import annotations

from agent.archive.information_model import STUDY_ROOT
from agent.archive.inventory_requests import InventoryState
from agent.archive.query_keys import RECORD_KEY, agreed_rules
from agent.archive.query_records import Place, Question
from agent.archive.query_worker import query_page
from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES

_SYNTAX = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]


class InventoryStudies:
    """What the index has of them, for one inventory."""

    def __init__(self, folder: str, state: InventoryState, retrieve_title: str) -> None:
        self._folder = folder
        self._title = retrieve_title
        self._rules = agreed_rules(state.mechanisms, state.timezone)
        identifier = bytes.fromhex(state.identifier)
        self._studies = self._question(identifier, ordered=True, record_keys=True)
        self._below = decode_attributes(bytes.fromhex(state.below), _SYNTAX)

    def page(self, after: Place, most: int) -> tuple[list[int], Place | None]:
        """The rows of at most so many studies behind a place, and the place to go on from; None at
        the end.

        Raises PeerError for an identifier that no query can have, and StorageError.
        """
        # What is asked below a study may take long: one at a time, so that a pause is heard.
        most = 1 if len(self._below) else most
        page = query_page(self._folder, self._studies, after, most)
        found = []
        for match in page.matches:
            held = decode_attributes(match, _SYNTAX)
            key = held[RECORD_KEY].values[0]
            assert isinstance(key, bytes)
            if not len(self._below) or self._has_below(held.text("StudyInstanceUID")):
                found.append(int(key.partition(b":")[0]))
        return found, page.next

    def _has_below(self, study_instance_uid: str) -> bool:
        """Whether a study has a series or an instance that is meant."""
        self._below.set("StudyInstanceUID", study_instance_uid)
        question = self._question(encode_attributes(self._below, _SYNTAX), relational=True)
        place: Place | None = ()
        while place is not None:
            page = query_page(self._folder, question, place, 1)
            if page.matches:
                return True
            place = page.next
        return False

    def _question(
        self,
        identifier: bytes,
        *,
        relational: bool = False,
        ordered: bool = False,
        record_keys: bool = False,
    ) -> Question:
        return Question(
            STUDY_ROOT.find,
            identifier,
            EXPLICIT_VR_LITTLE_ENDIAN,
            self._title,
            self._rules,
            relational=relational,
            ordered=ordered,
            record_keys=record_keys,
        )
