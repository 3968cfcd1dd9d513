import pytest

from hal.folder.base import DRIVERS, FileComplete, FolderError, FolderGone, open_driver
from hal.folder.simulator import Drop, Remove, Return, SimulatedFolder, Vanish
from tests.hal.folder_contract import SETTINGS, FolderContract


class TestSimulatorKeepsTheContract(FolderContract):
    def make(self, settings):
        return SimulatedFolder(self.path, settings, clock=self.clock)

    def drop(self, watcher, path, content):
        watcher.act(Drop(0, path, content))

    def remove(self, watcher, path):
        watcher.act(Remove(0, path))

    def vanish(self, watcher):
        watcher.act(Vanish(0))

    def come_back(self, watcher):
        watcher.act(Return(0))

    def test_a_script_drops_files_at_its_times(self):
        script = [Drop(3, "b", b"2"), Drop(1, "a", b"1"), Vanish(5), Return(6)]
        watcher = SimulatedFolder(self.path, SETTINGS, script=script, clock=self.clock)
        watcher.open()
        start, seen = self.clock.now(), []
        for _ in range(4):
            self.clock.time = watcher.deadline()
            seen.append((self.clock.now() - start, *watcher.collect()))
        assert [moment for moment, *_ in seen] == [1, 3, 5, 6]
        assert [type(event) for _, event in seen[:3]] == [FileComplete, FileComplete, FolderGone]
        assert (self.path / "a").read_bytes() == b"1"


def test_the_driver_table_names_real_classes_and_says_what_there_is(tmp_path):
    for name in DRIVERS:
        assert open_driver(name, path=tmp_path).deadline() is None
    with pytest.raises(FolderError, match="inotify"):
        open_driver("no such driver")
