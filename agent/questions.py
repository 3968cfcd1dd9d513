"""What a running node answers on its control socket."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from agent import __version__, figures, observation
from agent.archive.archive import Archive
from agent.archive.decision import DELIVER, JobPlan
from agent.archive.records import JobState
from agent.dataset import tags
from agent.errors import LocalError, StorageError
from agent.loop import current_loop
from agent.procedure_questions import procedure_answers
from agent.quoting import quoted
from agent.retrieval_questions import retrieval_answers
from agent.security.operators import Operators

if TYPE_CHECKING:
    from agent.node import Node

Request = dict[str, Any]


def answers_of(node: Node) -> dict[str, Callable[[Request], Awaitable[Any]]]:
    """The questions by name, each for those who may ask it."""
    questions = _Questions(node)
    answers = {
        "status": questions.status,
        "queue": questions.queue,
        "retry": questions.retry,
        "hold": questions.hold,
        "drop": questions.drop,
        "pause": questions.pause,
        "resume": questions.resume,
        "studies": questions.studies,
        "instances": questions.instances,
        "delete": questions.delete,
        "send-again": questions.send_again,
        "metrics": questions.metrics,
        "reload": questions.reload,
        "capture": questions.capture,
        "re-identify": questions.reidentify,
        "corrections": questions.corrections,
        "tidy": questions.tidy,
        "certificates": questions.certificates,
        "audit": node.audit.answer,
        "health": node.health.answer,
        **procedure_answers(node),
        **retrieval_answers(node),
    }
    operators = Operators(lambda: node.configuration.access.operators, node.pool.call)
    return operators.guard(answers)


class _Questions:
    def __init__(self, node: Node) -> None:
        self._node = node

    def _archive(self, request: Request) -> Archive:
        archives = self._node.archives
        name = request.get("archive") or next(iter(archives))
        if name not in archives:
            raise LocalError(f"there is no archive {quoted(name)}", limit=", ".join(archives))
        return archives[name]

    async def status(self, request: Request) -> Any:
        node = self._node
        clock = node.calendar.look()
        destinations = {each["peer"]: each for each in self._deliveries()}
        found: list[dict[str, object]] = []
        for name, archive in node.archives.items():
            try:
                usage = archive.usage()
                counts = await archive.counts()
                summaries = await archive.destinations()
            except StorageError as error:
                found.append({"name": name, "why_not": str(error)})
                continue
            found.append({"name": name, "usage": usage, "counts": counts})
            for summary in summaries:
                row = destinations.setdefault(summary.name, {"peer": summary.name})
                row["queue"] = summary
        return {
            "version": __version__,
            "profile": node.configuration.profile,
            "up_seconds": round(time.time() - node.started),
            "associations": [
                {
                    "id": each.identification,
                    "entity": each.entity,
                    "calling": each.calling_ae_title,
                    "address": each.address,
                    "user": each.user,
                    "received": each.bytes_received,
                }
                for each in node.associations
            ],
            "locked_out": node.door.admittance.locked_out() if node.door is not None else [],
            "archives": found,
            "destinations": list(destinations.values()),
            "media": node.media.listing() if node.media is not None else [],
            "work": node.desk.work() + node.fetching.work(),
            "lamps": dict(node.lamps),
            "certificates": node.certificates.listing(),
            "alerts": node.alerting.listing(),
            "health": await node.health.look(),
            "clock": {
                "set": clock.set,
                "why_not": clock.reason,
                "synchronised": clock.synchronised,
                "maximum_error": clock.maximum_error,
                "says": clock.words,
            },
            "loop": {**current_loop().lag.snapshot(), "tasks": current_loop().tasks},
        }

    def _deliveries(self) -> list[dict[str, Any]]:
        return self._node.delivery.status() if self._node.delivery is not None else []

    async def queue(self, request: Request) -> Any:
        state = request.get("state")
        return await self._archive(request).jobs(
            destination=request.get("destination"),
            state=JobState[state.upper()] if state else None,
            after=request.get("after", 0),
            limit=min(int(request.get("limit", 100)), 1000),
        )

    async def retry(self, request: Request) -> Any:
        await self._tell_of_jobs(request, "tried again now")
        done = await self._archive(request).again([int(each) for each in request["jobs"]])
        self._wake()
        return done

    async def hold(self, request: Request) -> Any:
        archive = self._archive(request)
        await self._tell_of_jobs(request, "held")
        held = [await archive.hold(int(each), "held by a person") for each in request["jobs"]]
        return sum(held)

    async def drop(self, request: Request) -> Any:
        jobs = [int(each) for each in request["jobs"]]
        await self._tell_of_jobs(request, "dropped")
        return await self._archive(request).drop(jobs, "dropped by a person")

    async def pause(self, request: Request) -> Any:
        await self._archive(request).pause(request["destination"])

    async def resume(self, request: Request) -> Any:
        await self._archive(request).resume(request["destination"])
        self._wake()

    async def studies(self, request: Request) -> Any:
        fields = {
            name: request[name]
            for name in ("study_instance_uid", "patient_id", "study_date_from", "study_date_to")
            if request.get(name)
        }
        limit = min(int(request.get("limit", 100)), 1000)
        return await self._archive(request).studies(request.get("before"), limit, **fields)

    async def instances(self, request: Request) -> Any:
        """SOP Class and Instance UIDs of a study; `after` goes on where a page has ended."""
        archive = self._archive(request)
        uid = str(request["study_instance_uid"])
        found = (await archive.studies(study_instance_uid=uid)).items
        if not found:
            raise LocalError(f"there is no study {quoted(uid)}", value=uid)
        page = await archive.instances(study=found[0].id, after=int(request.get("after") or 0))
        return {
            "items": [(each.sop_class_uid, each.sop_instance_uid) for each in page.items],
            "next": page.next,
        }

    async def delete(self, request: Request) -> Any:
        return await self._archive(request).delete(
            request["level"], request["uid"], who="control", force=bool(request.get("force"))
        )

    async def send_again(self, request: Request) -> Any:
        plan = JobPlan(DELIVER, request["destination"])
        done = await self._archive(request).send_again(
            request["level"], request["uid"], plan, who="control"
        )
        self._wake()
        return done

    async def metrics(self, request: Request) -> Any:
        return await figures.take(self._node.archives, self._node.started)

    async def reload(self, request: Request) -> Any:
        await self._node.reload()

    async def capture(self, request: Request) -> Any:
        if self._node.intake is None:
            raise LocalError("the node is not ready yet")
        from agent.workflow.wanted_captures import WantedCaptures

        acquisition = self._node.intake.acquisition(request.get("device") or "")
        return await acquisition.acquire(
            acquisition.examination(request), WantedCaptures.of(request)
        )

    async def reidentify(self, request: Request) -> Any:
        changes = {tags.from_text(name): text for name, text in request["changes"].items()}
        return await self._archive(request).reidentify(
            request["level"], request["uid"], changes, who="control"
        )

    async def tidy(self, request: Request) -> Any:
        """Let retention look now, instead of when it is due."""
        for retention in self._node.retentions.values():
            await retention.tidy()
        await self._node.records.tidy()
        return {}

    async def certificates(self, request: Request) -> Any:
        """Look at the certificates now, instead of when it is due."""
        return await self._node.certificates.look()

    async def corrections(self, request: Request) -> Any:
        limit = min(int(request.get("limit", 100)), 1000)
        return await self._archive(request).corrections(request.get("before"), limit)

    async def _tell_of_jobs(self, request: Request, how: str) -> None:
        """Have the audit trail know whose objects they are about; those that go are gone after."""
        if not observation.log.is_audited:
            return
        archive = self._archive(request)
        for number in map(int, request["jobs"]):
            for job in (await archive.jobs(after=number - 1, limit=1)).items:
                if job.id == number and job.instance_id:
                    observation.occasion("delivery", archive=archive.name, job=job, how=how)

    def _wake(self) -> None:
        if self._node.delivery is not None:
            self._node.delivery.hurry()
