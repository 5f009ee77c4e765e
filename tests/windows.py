"""This process as Windows would have it: without the modules, names and habits of POSIX.

Paths stay those of the real system. ``python -m tests.windows blur a.png`` runs the program so.
"""

from __future__ import annotations

import mmap
import os
import signal
import stat
import sys
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace

# Other packages run on Windows themselves. They are imported before it looks like one.
OTHERS = (
    *("numpy.ma", "numpy.lib.format", "scipy.fft", "PIL.Image", "tifffile", "imagecodecs"),
    *("typer", "rich.console", "rich.progress", "rich.traceback", "pathos.helpers"),
    *("multiprocess.connection", "multiprocess.synchronize", "concurrent.futures.process"),
    *("subprocess", "tempfile", "shutil", "ctypes"),
)

MODULES = ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog")

OF_OS = (
    *("fork", "forkpty", "register_at_fork", "geteuid", "getuid", "getegid", "getgid", "setsid"),
    *("chown", "fchown", "lchown", "fchmod", "mkfifo", "statvfs", "fstatvfs", "uname", "sysconf"),
    *("listxattr", "getxattr", "setxattr", "removexattr", "sched_getaffinity", "set_blocking"),
    *("pread", "preadv", "pwrite", "pwritev", "readv", "writev", "sendfile", "copy_file_range"),
    *("posix_fadvise", "posix_fallocate", "fdatasync", "sync", "getloadavg", "getpriority"),
    *("posix_spawn", "chroot", "lchmod", "setuid", "setgid", "getgroups", "get_blocking"),
    *("O_TMPFILE", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK", "O_PATH", "O_SYNC"),
    *(
        "memfd_create",
        "killpg",
        "getpgid",
        "setpgid",
        "wait3",
        "wait4",
        "nice",
        "ctermid",
        "WNOHANG",
    ),
)

OF_SIGNAL = ("SIGHUP", "SIGPIPE", "SIGKILL", "SIGQUIT", "SIGALRM", "SIGCHLD", "SIGUSR1", "SIGUSR2",
             "SIGTSTP", "SIGCONT", "SIGSTOP", "pthread_sigmask", "setitimer", "pause")  # fmt: skip


def become(*others: str) -> None:
    """Take from this process what Windows does not have; import other packages before."""
    for name in (*OTHERS, *others):
        import_module(name)
    import multiprocess
    from PIL import Image

    Image.init()
    multiprocess.get_all_start_methods = lambda: ["spawn"]
    sys.modules.update(dict.fromkeys(MODULES))  # importing them raises ImportError
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL)):
        for name in names:
            with suppress(AttributeError):
                delattr(module, name)
    for name in dir(mmap):
        if name.startswith(("MAP_", "PROT_", "MADV_")):
            delattr(mmap, name)
    mmap.mmap = Mapping
    os.supports_dir_fd = os.supports_fd = set()
    for name in ("open", "stat", "mkdir", "unlink", "remove", "access", "rmdir"):
        setattr(os, name, alone(getattr(os, name), ("dir_fd",)))
    for name in ("replace", "rename", "link"):
        setattr(os, name, alone(getattr(os, name), ("src_dir_fd", "dst_dir_fd")))
    # Typer requires it on Windows; the real one would look for the console.
    sys.modules["colorama"] = SimpleNamespace(just_fix_windows_console=lambda: None)
    sys.platform = "win32"


class Mapping(mmap.mmap):
    """Memory whose third argument is a name, without advice to the kernel."""

    def __new__(cls, fileno, length, tagname=None, access=mmap.ACCESS_DEFAULT, offset=0):
        assert tagname is None
        return super().__new__(cls, fileno, length, access=access, offset=offset)

    @property
    def madvise(self) -> None:
        raise AttributeError("madvise")


def alone(call, descriptors):
    """A call that takes no open folder, opens none, and leaves files that are open."""

    def only(*paths, **settings):
        for each in descriptors:
            if settings.pop(each, None) is not None:
                raise NotImplementedError(f"{each} unavailable on this platform")
        if call.__name__ == "open":
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(os.stat(paths[0]).st_mode):
                    raise PermissionError(13, "Permission denied", paths[0])
        if call.__name__ in ("unlink", "remove", "replace", "rename"):
            for path in paths:
                if is_open(path):
                    raise PermissionError(13, "The process cannot access the file", path)
        return call(*paths, **settings)

    return only


def is_open(path) -> bool:
    """Whether this process has a file open; Python opens none for others to delete."""
    with suppress(OSError):
        status = os.stat(path)
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.path.samestat(os.fstat(int(number)), status):
                    return True
    return False


if __name__ == "__main__":
    become()
    from convcli.__main__ import program

    program()
