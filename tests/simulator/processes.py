"""The desk's processes at work: each does its part when it is its turn, and begins anew when it has died."""

from __future__ import annotations

from random import Random

from execution.models import Account
from tests.simulator.desk import Dispatcher, Listener
from tests.simulator.world import World


class Processes:
    """The dispatcher and the listener; what is in their memory is gone with a restart."""

    def __init__(self, world: World, chance: Random) -> None:
        self.world, self.chance = world, chance
        self.dispatcher, self.listener = Dispatcher(world), Listener(world)

    def have_begun(self) -> None:
        """Let the desk be one that has compared both sides before: with nothing on either there is nothing to see."""
        Account.objects.filter(pk=self.world.account_id).update(reconciliation=Account.Reconciliation.CLEAN)
        self.dispatcher.has_begun = self.dispatcher.recovered = True

    def work(self) -> str:
        """Let all processes do their work, as they do when nothing is wrong."""
        self.world.venue.pump(self.world.wall)
        return f"{self.hear_all()}, {self.round()}"

    def round(self) -> str:
        self.dispatcher.round()
        return self.world.account().reconciliation

    def send(self) -> str:
        if not self.dispatcher.has_begun:
            self.dispatcher.recover(self.world.account())
        return "something" if self.dispatcher.send(self.chance.choice([1, 3, 100])) else "nothing"

    def send_cancels(self) -> str:
        self.dispatcher.send_cancels()
        return ""

    def resolve(self) -> str:
        self.dispatcher.resolve(self.world.account())
        return ""

    def sweep(self) -> str:
        self.dispatcher.sweep(self.world.account())
        return ""

    def hear(self) -> str:
        """Hear the stream in order, some of it or all."""
        frames = self.world.frames
        taken = [frames.popleft() for _ in range(self.chance.randint(0, len(frames)))]
        self.listener.hear(taken)
        return f"{len(taken)} frames"

    def hear_badly(self) -> str:
        """Hear the stream in another order, twice, or never."""
        frames = list(self.world.frames)
        self.world.frames.clear()
        way = self.chance.choice(["shuffled", "twice", "lost", "one lost", "later"])
        if way == "lost":
            return f"{len(frames)} lost"
        if way == "shuffled":
            self.chance.shuffle(frames)
        elif way == "twice":
            frames = [each for frame in frames for each in (frame, frame)]
        elif way == "one lost" and frames:
            frames.pop(self.chance.randrange(len(frames)))
        elif way == "later" and frames:
            self.world.frames.append(frames.pop(0))
        self.listener.hear(frames)
        return f"{len(frames)} {way}"

    def cross_check(self) -> str:
        self.listener.cross_check()
        return ""

    def restart(self) -> str:
        """Begin anew: what was in memory is gone, what the stream tells meanwhile nobody hears."""
        self.dispatcher, self.listener = Dispatcher(self.world), Listener(self.world)
        if self.chance.random() < 0.5:
            self.world.frames.clear()
        return ""

    def hear_all(self) -> str:
        frames = list(self.world.frames)
        self.world.frames.clear()
        self.listener.hear(frames)
        return f"{len(frames)} frames"
