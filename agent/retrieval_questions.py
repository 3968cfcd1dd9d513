"""What a running node answers about what it retrieves from peers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.node import Node

Request = dict[str, Any]
_MOST_ANSWERS = 10_000


def retrieval_answers(node: Node) -> dict[str, Callable[[Request], Awaitable[Any]]]:
    """The questions by name."""
    questions = _RetrievalQuestions(node)
    return {
        "fetch-begin": questions.begin,
        "fetch-stop": questions.stop,
        "fetch-hold": questions.hold,
        "fetch-retry": questions.retry,
        "fetch-list": questions.listing,
        "search": questions.search,
    }


class _RetrievalQuestions:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def begin(self, request: Request) -> Any:
        """Begin to retrieve studies, or of one study series or instances."""
        studies = [str(each) for each in request["studies"]]
        items = [
            await self._node.fetching.fetches.begin(
                str(request["peer"]),
                study,
                series=str(request.get("series") or ""),
                instances=tuple(str(each) for each in request.get("instances") or ()),
                target=str(request.get("target") or ""),
                direct=bool(request.get("direct")),
            )
            for study in studies
        ]
        return {"items": items}

    async def stop(self, request: Request) -> Any:
        await self._node.fetching.fetches.stop(int(request["id"]))

    async def hold(self, request: Request) -> Any:
        await self._node.fetching.fetches.hold(int(request["id"]))

    async def retry(self, request: Request) -> Any:
        await self._node.fetching.fetches.retry(int(request["id"]))

    async def listing(self, request: Request) -> Any:
        limit = min(int(request.get("limit", 50)), 1000)
        return {"items": await self._node.fetching.fetches.listing(limit)}

    async def search(self, request: Request) -> Any:
        """A query of some peers, or of all that offer queries; keys and answers in DICOM JSON."""
        from agent.dataset.json_model import from_json, to_json

        found = await self._node.fetching.search.search(
            self._node.configuration,
            [str(each) for each in request.get("peers") or ()],
            from_json(request.get("keys") or {}),
            str(request.get("level") or "STUDY"),
            most=min(int(request.get("most") or _MOST_ANSWERS), _MOST_ANSWERS),
        )
        return {
            "answers": [
                {"values": to_json(each.values), "sources": each.sources} for each in found.answers
            ],
            "faults": found.faults,
            "truncated": found.truncated,
        }
