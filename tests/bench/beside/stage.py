"""Everything that runs during a measurement: the bots, nginx, kfgate. Each is ended when the stage closes."""

import contextlib
import dataclasses
import http.client
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from beside import callbacks, configuration, machine

HERE = pathlib.Path(__file__).resolve().parent


class Failed(Exception):
    """A measurement that can not be had, and why; the others go on."""


@dataclasses.dataclass
class Peer:
    """A proxy, or a bot, that listens on 127.0.0.1."""

    name: str
    port: int
    process: subprocess.Popen
    folder: pathlib.Path
    began: float  # of time.perf_counter()
    questions: int = 0

    @property
    def pid(self):
        return self.process.pid


class Stage:
    """A temporary directory, the cores, and all that was started."""

    def __init__(self, kfgate):
        self.kfgate_binary = kfgate
        self.nginx_binary = find("nginx")
        self.proxy_cores, self.load_cores = machine.cores()
        self.running = []
        self.next_port = 21000
        self.workers = 1
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.files = min(65536, most if most > 0 else 65536)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, most))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="beside-nginx-"))
        # nginx' worker is another user when root starts it.
        self.folder.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C is not to leave anything behind.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        for process in reversed(self.running):
            stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def unpinned(self):
        """Meanwhile, what is started has all cores, and a proxy has a worker for each."""
        pinned = self.proxy_cores, self.load_cores
        self.proxy_cores = self.load_cores = sorted({*self.proxy_cores, *self.load_cores})
        self.workers = len(self.proxy_cores)
        try:
            yield
        finally:
            self.proxy_cores, self.load_cores = pinned
            self.workers = 1

    def bot(self):
        """A bot that answers every callback alike; below /kf, it asks for a transfer."""
        return self._nginx("bot", self.load_cores, configuration.bot)

    def big_bot(self):
        """A bot for bodies of any size: swallows, sends and echoes them."""
        folder, port = self._place("big-bot")
        command = [sys.executable, HERE / "big_bot.py", port]
        return self._start("big bot", command, self.load_cores, port, folder)

    def nginx(self, bots, log=False, wait=True):
        """nginx as a plain proxy on the proxies' core, with a request log in a file or none."""

        def text(folder, port, files):
            return configuration.nginx(folder, port, files, *[bot.port for bot in bots], log, self.workers)

        return self._nginx("nginx", self.proxy_cores, text, wait)

    def kfgate(self, bots, keyword_count, log=False, wait=True, safe=False):
        """kfgate on the proxies' core, with one rule of so many keywords; in safe mode, it has the account's key."""
        folder, port = self._place("kfgate")
        (folder / "keywords.txt").write_text("".join(f"{word}\n" for word in callbacks.keywords(keyword_count)))
        config = folder / "kfgate.toml"
        config.write_text(configuration.kfgate(port, *[bot.port for bot in bots], log, self.workers, safe))
        command = [self.kfgate_binary, "run", "--config", config]
        return self._start("kfgate", command, self.proxy_cores, port, folder, wait)

    def _nginx(self, name, cores, text, wait=True):
        folder, port = self._place(name)
        config = folder / "nginx.conf"
        config.write_text(text(folder, port, self.files))
        command = [self.nginx_binary, "-e", folder / "error.log", "-p", folder, "-c", config]
        return self._start(name, command, cores, port, folder, wait)

    def launch(self, command, cores, output, **how):
        """Starts a process on the given cores, out of reach of Ctrl-C, its output in a file or a pipe."""
        command = ["taskset", "-c", ",".join(map(str, cores)), *map(str, command)]
        how |= {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "start_new_session": True}
        with contextlib.ExitStack() as files:
            out = output if output == subprocess.PIPE else files.enter_context(open(output, "ab"))
            process = subprocess.Popen(command, stdout=out, **how)
        self.running.append(process)
        return process

    def finish(self, process):
        """Ends a process, if it still runs, and forgets it."""
        stop(process)
        self.running.remove(process)

    def end(self, *peers):
        """Ends them, and what they left on disk."""
        for peer in peers:
            self.finish(peer.process)
            shutil.rmtree(peer.folder, ignore_errors=True)

    def _place(self, name):
        """A folder of its own, and a free port, below those that the kernel gives to clients."""
        while True:
            self.next_port += 1
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", self.next_port))
                break
        folder = self.folder / f"{name}-{self.next_port}"
        folder.mkdir()
        folder.chmod(0o755)
        return folder, self.next_port

    def _start(self, name, command, cores, port, folder, wait=True):
        """Starts what listens on `port`, and waits until it does."""
        began = time.perf_counter()
        peer = Peer(name, port, self.launch(command, cores, folder / "output"), folder, began)
        while wait:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            self.must_come_up(peer)
            time.sleep(0.01)
        return peer

    @staticmethod
    def must_come_up(peer):
        """Gives up on one that has ended, or does not listen after half a minute."""
        if peer.process.poll() is not None or time.perf_counter() > peer.began + 30:
            said = (peer.folder / "output").read_text(errors="replace")[-2000:]
            raise SystemExit(f"{peer.name} does not listen on port {peer.port}:\n{said}")


def find(program):
    """The path of a program; daemons are not on every user's PATH."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


def stop(process):
    """Ends a process that we started, and whatever it started."""
    if process.poll() is None:
        family = machine.tree(process.pid)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def requests_seen(bot):
    """How many requests the bot has answered, once those still on their way have arrived; our questions not counted."""
    seen = None
    while True:
        before, seen = seen, _ask_seen(bot)
        if seen == before:
            return seen
        time.sleep(0.05)


def _ask_seen(bot):
    connection = http.client.HTTPConnection("127.0.0.1", bot.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/seen", headers={"Connection": "close"})
        status = connection.getresponse().read().decode()
    bot.questions += 1
    return int(re.search(r"^ \d+ \d+ (\d+)", status, re.M)[1]) - bot.questions
