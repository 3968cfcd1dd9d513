"""What a running node answers about procedures: worklist, steps, examinations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from agent.dataset.json_model import to_json
from agent.errors import LocalError

if TYPE_CHECKING:
    from agent.node import Node

Request = dict[str, Any]


def procedure_answers(node: Node) -> dict[str, Callable[[Request], Awaitable[Any]]]:
    """The questions by name."""
    questions = _ProcedureQuestions(node)
    return {
        "worklist": questions.worklist,
        "steps": questions.steps,
        "step": questions.step,
    }


class _ProcedureQuestions:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def worklist(self, request: Request) -> Any:
        """What was last heard; with `refresh` the peer is asked first, with `keys` for those."""
        watch = self._node.worklist
        keys = {str(name): str(value) for name, value in (request.get("keys") or {}).items()}
        if keys:
            return {
                **watch.say(),
                "entries": [to_json(each) for each in await watch.refresh(**keys)],
            }
        if request.get("refresh"):
            await watch.refresh()
        return watch.say()

    async def steps(self, request: Request) -> Any:
        """Steps that were reported to us."""
        found = []
        for name, archive in self._node.archives.items():
            for uid, status, calling, changed in await archive.steps(request.get("limit", 100)):
                found.append(
                    {
                        "archive": name,
                        "sop_instance_uid": uid,
                        "status": status,
                        "calling": calling,
                        "changed": changed,
                    }
                )
        return {"items": found}

    async def step(self, request: Request) -> Any:
        """One of them, whole."""
        for archive in self._node.archives.values():
            found = await archive.step(str(request["uid"]))
            if found is not None:
                return to_json(found)
        raise LocalError(f"there is no step {request['uid']}")
