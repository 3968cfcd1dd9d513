"""What persons may ask of the running node: the control socket asks here, as a console would."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from agent import observation
from agent.configuration.access import Operator
from agent.errors import GantryError, LocalError
from agent.loop.task import Task, current_task
from agent.quoting import quoted
from agent.security.refusals import note_refusal

# Whatever changes nothing and names no patient.
LOOK = frozenset(("status", "metrics", "queue", "media", "certificates", "health"))
# Whatever changes nothing.
SEE = LOOK | {
    "studies",
    "instances",
    "corrections",
    "worklist",
    "steps",
    "step",
    "administrations",
    "exam-list",
    "exam-show",
    "import-list",
    "export-list",
    "fetch-list",
    "search",
    "audit",
}
CHANGE = frozenset(
    (
        "retry",
        "hold",
        "drop",
        "pause",
        "resume",
        "delete",
        "send-again",
        "reload",
        "capture",
        "re-identify",
        "tidy",
        "exam-start",
        "exam-append",
        "exam-capture",
        "exam-series",
        "exam-review",
        "exam-finish",
        "exam-reconcile",
        "media-release",
        "import-begin",
        "import-stop",
        "export-begin",
        "export-stop",
        "fetch-begin",
        "fetch-stop",
        "fetch-hold",
        "fetch-retry",
    )
)
GROUPS: Mapping[str, frozenset[str]] = {"look": LOOK, "see": SEE}
ALL = "all"
_MOST_NAMES = 256
QUESTION_WORDS = (*GROUPS, ALL, *sorted(SEE | CHANGE))

Answer = Callable[[dict[str, Any]], Awaitable[Any]]


class Person(NamedTuple):
    """Who asks, as the kernel tells it: the user and all groups of the process, by number.

    `name` is that of the account, where somebody wanted to know it.
    """

    user: int
    groups: frozenset[int]
    name: str = ""

    @property
    def account(self) -> str:
        """The name of the account, or its number."""
        return self.name or str(self.user)


_asking: dict[Task[Any], Person] = {}


def asked_by() -> Person | None:
    """The person whose question the running task answers; None where it does anything else."""
    if not _asking:
        return None
    try:
        return _asking.get(current_task())
    except LocalError:
        return None  # The loop itself does something.


class Identifiers(NamedTuple):
    """The numbers of names of users and groups; names that there are not are missing."""

    users: dict[str, int]
    groups: dict[str, int]


def may_ask(
    operators: tuple[Operator, ...], numbers: Identifiers, person: Person, question: str
) -> bool:
    """Whether the tables let this person ask: root and our own user always may, and so may
    everybody where there are no tables. The first table that names the person decides."""
    if not operators or person.user in (0, os.geteuid()):
        return True
    for table in operators:
        users = {numbers.users.get(each) for each in table.users}
        groups = {numbers.groups.get(each) for each in table.groups}
        if person.user in users or person.groups & groups:
            words = table.questions
            return (
                ALL in words
                or question in words
                or any(question in GROUPS[word] for word in words if word in GROUPS)
            )
    return False


def identifiers_of(users: tuple[str, ...], groups: tuple[str, ...]) -> Identifiers:
    """In a worker: directories of users may be far away."""
    import grp
    import pwd

    found = Identifiers({}, {})
    for name in users:
        try:
            found.users[name] = int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid
        except KeyError:
            observation.warning("there is no such user", user=name)
    for name in groups:
        try:
            found.groups[name] = int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
        except KeyError:
            observation.warning("there is no such group", group=name)
    return found


def account_of(user: int) -> str:
    """The name of an account, or "". In a worker, as above."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return ""


class Operators:
    """Guards questions by the tables of a configuration, which a reload may change.

    While a question is answered `asked_by` tells whose it is; the audit trail hears of each that
    was answered, or failed. Memory: the names of at most 256 accounts.
    """

    def __init__(
        self, tables: Callable[[], tuple[Operator, ...]], call: Callable[..., Awaitable[Any]]
    ) -> None:
        self._tables = tables
        self._call = call
        self._known: tuple[tuple[Operator, ...], Identifiers] = ((), Identifiers({}, {}))
        self._names: dict[int, str] = {}

    def guard(self, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        """The same answers, for those who may ask: `by` of a request is the `Person`."""
        return {name: self._guarded(name, answer) for name, answer in answers.items()}

    def _guarded(self, question: str, answer: Answer) -> Answer:
        async def ask(request: dict[str, Any]) -> Any:
            person = request["by"] = await self._named(request["by"])
            task = current_task()
            _asking[task] = person
            try:
                await self._check(question, person)
                found = await answer(request)
            except GantryError as error:
                observation.occasion("question", name=question, request=request, error=error)
                raise
            finally:
                del _asking[task]
            observation.occasion("question", name=question, request=request, answer=found)
            return found

        return ask

    async def _named(self, person: Person) -> Person:
        """With the name of the account, which the audit trail wants."""
        if not observation.log.is_audited:
            return person
        if person.user not in self._names:
            while len(self._names) >= _MOST_NAMES:
                del self._names[next(iter(self._names))]
            self._names[person.user] = await self._call(account_of, person.user)
        return person._replace(name=self._names[person.user])

    async def _check(self, question: str, person: Person) -> None:
        """Raises LocalError for who may not ask."""
        tables = self._tables()
        if tables != self._known[0]:
            users = tuple(name for each in tables for name in each.users)
            groups = tuple(name for each in tables for name in each.groups)
            self._known = (tables, await self._call(identifiers_of, users, groups))
        if may_ask(tables, self._known[1], person, question):
            return
        note_refusal("question", question=question, user=person.user)
        raise LocalError(
            f"user {person.user} may not ask for {quoted(repr(question))}",
            value=person.user,
            way_out="Ask as root, or have [[access.operator]] say so.",
        )
