"""What a running node answers about procedures: worklist, steps, examinations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from agent.dataset.json_model import to_json
from agent.errors import LocalError
from agent.quoting import quoted

if TYPE_CHECKING:
    from agent.node import Node
    from agent.workflow.examination_record import ExaminationRecord

Request = dict[str, Any]


def procedure_answers(node: Node) -> dict[str, Callable[[Request], Awaitable[Any]]]:
    """The questions by name."""
    questions = _ProcedureQuestions(node)
    return {
        "worklist": questions.worklist,
        "steps": questions.steps,
        "step": questions.step,
        "administrations": questions.administrations,
        "exam-start": questions.start,
        "exam-append": questions.append,
        "exam-capture": questions.capture,
        "exam-series": questions.series,
        "exam-review": questions.review,
        "exam-finish": questions.finish,
        "exam-reconcile": questions.reconcile,
        "exam-list": questions.listing,
        "exam-show": questions.show,
        "media": questions.media,
        "media-release": questions.release_medium,
        "import-begin": questions.import_studies,
        "import-stop": questions.stop_import,
        "import-list": questions.imports,
        "export-begin": questions.export_studies,
        "export-stop": questions.stop_export,
        "export-list": questions.exports,
    }


def _summary(record: ExaminationRecord) -> dict[str, Any]:
    # What makes objects is imported where it is needed: a gateway has no use for it.
    from agent.workflow.examination_view import summary

    return summary(record)


class _ProcedureQuestions:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def worklist(self, request: Request) -> Any:
        """What was last heard; with `refresh` the peer is asked first, with `keys` for those."""
        watch = self._node.worklist
        await watch.known()
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
        raise LocalError(f"there is no step {quoted(request['uid'])}")

    async def administrations(self, request: Request) -> Any:
        """Substances whose administration was reported to us."""
        limit = min(int(request.get("limit", 100)), 1000)
        patient = str(request.get("patient_id") or "")
        found = []
        for name, archive in self._node.archives.items():
            told = await archive.administrations(limit, patient)
            found += [{"archive": name, **each} for each in told]
        return {"items": found}

    # Examinations.

    async def start(self, request: Request) -> Any:
        """Begin one; `keys` pick the worklist entry, or say who the emergency patient is."""
        begun = await self._node.examinations.start(
            {str(name): str(value) for name, value in (request.get("keys") or {}).items()},
            device=request.get("device") or "",
            operator=request.get("operator") or "",
            emergency=bool(request.get("emergency")),
        )
        return _summary(begun)

    async def append(self, request: Request) -> Any:
        """Go on with one that is over."""
        return _summary(await self._node.examinations.append(int(request["id"])))

    async def capture(self, request: Request) -> Any:
        """Objects for the one in progress."""
        from agent.workflow.wanted_captures import WantedCaptures

        return await self._node.examinations.capture(
            WantedCaptures.of(request), device=request.get("device") or ""
        )

    async def series(self, request: Request) -> Any:
        """A new series in the one in progress."""
        return _summary(
            await self._node.examinations.new_series(
                device=request.get("device") or "", description=request.get("description") or ""
            )
        )

    async def review(self, request: Request) -> Any:
        """Accept or reject an object."""
        await self._node.examinations.review(
            str(request["uid"]),
            accept=bool(request.get("accept")),
            device=request.get("device") or "",
        )
        return {}

    async def finish(self, request: Request) -> Any:
        """Complete or discontinue the one in progress."""
        over = await self._node.examinations.finish(
            device=request.get("device") or "", discontinue=request.get("discontinue") or ""
        )
        return _summary(over)

    async def reconcile(self, request: Request) -> Any:
        """Give an emergency the worklist entry that `keys` pick."""
        keys = {str(name): str(value) for name, value in (request.get("keys") or {}).items()}
        return await self._node.examinations.reconcile(int(request["id"]), keys)

    async def listing(self, request: Request) -> Any:
        """The last ones."""
        return {"items": await self._node.examinations.listing(int(request.get("limit", 50)))}

    async def show(self, request: Request) -> Any:
        """One of them, whole."""
        return await self._node.examinations.show(int(request["id"]))

    # Media.

    async def media(self, request: Request) -> Any:
        """Those that are there."""
        watch = self._node.media
        return {"items": watch.listing() if watch is not None else []}

    async def release_medium(self, request: Request) -> Any:
        """Let one go, so that it can be removed."""
        if self._node.media is None:
            raise LocalError(
                "no media are watched", way_out="Add a [[media]] to the configuration."
            )
        return await self._node.media.release(str(request["name"]))

    # Imports.

    async def import_studies(self, request: Request) -> Any:
        """Begin imports of the studies of a medium."""
        begun = await self._node.desk.imports.begin(
            str(request["root"]),
            studies=[str(each) for each in request.get("studies") or ()],
            patient_id=str(request.get("patient_id") or ""),
            entry=_texts(request.get("entry")),
            patient=_texts(request.get("patient")),
            match=bool(request.get("match")),
            archive=str(request.get("archive") or ""),
            operator=str(request.get("operator") or ""),
        )
        return {"items": begun}

    async def stop_import(self, request: Request) -> Any:
        """Give one up."""
        await self._node.desk.imports.stop(
            int(request["id"]), reason=str(request.get("reason") or "")
        )
        return {}

    async def imports(self, request: Request) -> Any:
        """The last ones."""
        return {"items": await self._node.desk.imports.listing(int(request.get("limit", 50)))}

    # Exports.

    async def export_studies(self, request: Request) -> Any:
        """Begin an export of the studies that are chosen."""
        from agent.workflow.export_settings import FOLDER, Selection, Target

        return await self._node.desk.exports.begin(
            Selection(
                tuple(str(each) for each in request.get("studies") or ()),
                str(request.get("patient_id") or ""),
                str(request.get("date_from") or ""),
                str(request.get("date_to") or ""),
                tuple((_texts(request.get("query")) or {}).items()),
            ),
            Target(
                str(request.get("kind") or FOLDER),
                str(request["target"]),
                bool(request.get("update")),
                int(request.get("volume_size") or 0),
                icons=bool(request.get("icons")),
            ),
            profile=str(request.get("profile") or ""),
            pages=None if request.get("pages") is None else bool(request["pages"]),
            archive=str(request.get("archive") or ""),
            deidentify=str(request.get("deidentify", "")),
            operator=str(request.get("operator") or ""),
        )

    async def stop_export(self, request: Request) -> Any:
        """Give one up."""
        await self._node.desk.exports.stop(int(request["id"]))
        return {}

    async def exports(self, request: Request) -> Any:
        """The last ones."""
        return {"items": await self._node.desk.exports.listing(int(request.get("limit", 50)))}


def _texts(given: Any) -> dict[str, str] | None:
    return None if given is None else {str(name): str(value) for name, value in given.items()}
