"""The loop: one thread, plain `async def` tasks, descriptors, timers, signals and processes.

Everything that waits, waits here; everything that would block is a worker process
(`agent.loop.workers`).
"""

from agent.loop.clock import Clock, ManualClock, MonotonicClock
from agent.loop.deadlines import TimedOut, deadline, shielded, timeout
from agent.loop.loop import Loop, current_loop
from agent.loop.processes import ProcessResult, run_process
from agent.loop.signals import Signals
from agent.loop.synchronization import Channel, ChannelClosed, Event, Limit, Promise
from agent.loop.task import Cancelled, Task, current_task
from agent.loop.task_group import TaskGroup
from agent.loop.waiting import give_way, now, readable, sleep, sleep_until, turn, writable

__all__ = [
    "Cancelled",
    "Channel",
    "ChannelClosed",
    "Clock",
    "Event",
    "Limit",
    "Loop",
    "ManualClock",
    "MonotonicClock",
    "ProcessResult",
    "Promise",
    "Signals",
    "Task",
    "TaskGroup",
    "TimedOut",
    "current_loop",
    "current_task",
    "deadline",
    "give_way",
    "now",
    "readable",
    "run_process",
    "shielded",
    "sleep",
    "sleep_until",
    "timeout",
    "turn",
    "writable",
]
