"""What the kernel tells: the machine's size, what a process costs, and who else is busy."""

import contextlib
import dataclasses
import os
import pathlib
import platform
import re
import time

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cores():
    """(the proxies' cores, everybody else's): the last core we may use, and those that share no silicon with it.

    Where all the others are its siblings, they have to do.
    """
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) < 2:
        raise SystemExit("two cores are needed: one for the proxies, one for the load and the bot")
    proxies = ours[-1]
    with contextlib.suppress(OSError):
        text = pathlib.Path(f"/sys/devices/system/cpu/cpu{proxies}/topology/thread_siblings_list").read_text()
        apart = [core for core in ours if core not in _core_list(text)]
        return [proxies], apart or ours[:-1]
    return [proxies], ours[:-1]


def _core_list(text):
    listed = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        listed.update(range(int(first), int(last or first) + 1))
    return listed


def size():
    """Cores, CPU model, memory and kernel, in words."""
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.M)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    virtual = ", virtual" if re.search(r"^flags.*\bhypervisor\b", cpuinfo, re.M) else ""
    return (
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}{virtual}), {memory:.1f} GiB of memory, "
        f"Linux {platform.release()}"
    )


def tree(pid):
    """A process and all its descendants, as they are now."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(entry)[1]), []).append(int(entry))
    found = [pid]
    for process in found:
        found += children.get(process, [])
    return found


def _stat(pid):
    """The fields of /proc/PID/stat from the third (state) on; a process' name may hold anything."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@dataclasses.dataclass
class Cpu:
    """CPU that a process' tree has used so far: by thread in nanoseconds, and in all in clock ticks."""

    threads: dict
    ticks: int

    @classmethod
    def of(cls, pid):
        used = cls({}, 0)
        for process in tree(pid):
            with contextlib.suppress(OSError):
                used.ticks += sum(map(int, _stat(process)[11:15]))
                for task in os.listdir(f"/proc/{process}/task"):
                    with contextlib.suppress(OSError):
                        schedstat = pathlib.Path(f"/proc/{process}/task/{task}/schedstat").read_text()
                        used.threads[int(task)] = int(schedstat.split()[0])
        return used

    def seconds_since(self, before):
        # What a thread that has ended used is known in ticks alone.
        if self.threads and before.threads.keys() <= self.threads.keys():
            return (sum(self.threads.values()) - sum(before.threads.values())) / 1e9
        return (self.ticks - before.ticks) / TICKS_A_SECOND


def memory(pid, key="VmRSS"):
    """MiB that a process' tree has resident, now ("VmRSS") or at its highest ("VmHWM")."""
    kib = 0
    for process in tree(pid):
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{process}/status").read_text()
            kib += sum(map(int, re.findall(rf"^{key}:\s+(\d+) kB$", status, re.M)))
    return kib / 1024


def forget_highest_memory(pid):
    """Lets "VmHWM" begin anew, at what is resident now."""
    for process in tree(pid):
        pathlib.Path(f"/proc/{process}/clear_refs").write_text("5")


class Elsewhere:
    """While a `with` block runs: the `share` (0 to 1) of all cores that was spent on anything but this command.

    Time stolen by the host counts. Where the kernel books interrupts apart from processes, the loopback's
    count too: the share is then too high, never too low.
    """

    def __enter__(self):
        self.share, self.began = 0.0, (time.monotonic(), self._used())
        return self

    def __exit__(self, *_):
        began, used = self.began
        wall = (time.monotonic() - began) * os.cpu_count()
        self.share = min(1.0, max(0.0, (self._used() - used) / wall))

    @staticmethod
    def _used():
        ours = Cpu.of(os.getpid()).ticks
        user, nice, system, _idle, _iowait, *rest = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + sum(rest) - ours) / TICKS_A_SECOND
