"""A place for a kernel that runs a student's code: no network, none of the teacher's files, nothing that stays.

On Linux, util-linux's `unshare` gives the kernel a network, processes and a view of the files of its own: everything is
read-only but the kernel's scratch folder, and the folders of the course are empty. Where the system does not allow
that, `warning` says what a submission can do. Everywhere, pip does nothing, and the environment is a short list.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: Mounts, then drops what could undo them, then runs the command. $1: scratch, $2: its parent; then what to hide; --
SCRIPT = r"""
set -e
unset JPY_PARENT_PID
scratch=$1; shared=$2; shift 2
mount --make-rprivate /
mount --bind "$scratch" /mnt
while read -r _ place _ options _; do
  case $place in /proc*|/dev*|/mnt) continue;; esac
  options=$(echo "$options" | sed 's/\brw\b/ro/; s/,\(seclabel\|relatime\)//g')
  mount -o "remount,bind,ro,$options" "$place" 2>/dev/null ||
    mount -o remount,bind,ro "$place" 2>/dev/null || [ "$place" != / ]
done < /proc/self/mounts
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mount -t tmpfs -o size=4k,mode=755 none "$1"; else mount --bind /dev/null "$1"; fi
  shift
done
shift
mount -t tmpfs -o size=64m none "$shared"
mkdir -p "$scratch"
mount --bind /mnt "$scratch"
umount /mnt
mkdir "$shared/dev" "$shared/dev/shm" "$shared/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$shared/dev/pts"
ln -s pts/ptmx "$shared/dev/ptmx"
for node in null zero full random urandom; do
  touch "$shared/dev/$node"; mount --bind "/dev/$node" "$shared/dev/$node"
done
mount --rbind "$shared/dev" /dev
mount -t proc none /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
cd "$scratch"
setpriv --bounding-set -all --inh-caps -all --no-new-privs "$@"
exit $?
"""
PROBE = """
import os, socket, sys
scratch, hidden = sys.argv[1], sys.argv[2:]
open(os.path.join(scratch, "written"), "w").close()
assert not any(os.path.getsize(path) if os.path.isfile(path) else os.listdir(path) for path in hidden)
try:
    socket.create_connection(("192.0.2.1", 9), timeout=1)
except OSError as error:
    assert error.errno == 101, error
try:
    open(os.path.join(sys.prefix, "written"), "w")
except OSError:
    print("apart")
"""
PIP = 'print("pip does nothing while a submission is marked. What the assignment needs is installed.")\n'
HOMES = ("HOME", "USERPROFILE", "IPYTHONDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT", "PATHEXT", "COMSPEC", "LD_LIBRARY_PATH", "TZ")


class Sandbox:
    """Where kernels run. Use it as a context: at its end, all that the submissions wrote is gone.

    Args:
        course: the folder of the course; `place`: what was handed in.
    """

    def __init__(self, course: Path, place: Path) -> None:
        self._shared = Path(tempfile.mkdtemp(prefix="marking-")).resolve()
        self.hidden = private(course.resolve(), place.resolve())
        stub = self._shared / "pip-stub" / "pip"
        stub.mkdir(parents=True)
        (stub / "__init__.py").touch()
        (stub / "__main__.py").write_text(PIP)
        self._fonts = font_list()
        self.apart = self._is_apart()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._shared, ignore_errors=True)

    @property
    def warning(self) -> str:
        """What a submission can do here that it should not; empty if nothing."""
        if self.apart:
            return ""
        return (
            "WARNING: this system does not let a program run apart from the others (Linux with unshare does, unless it "
            "is switched off). A submission can use the network, read the hidden tests and other students' files, and "
            "write where you can write. Grade in a container, or on a machine with nothing else on it."
        )

    def scratch(self) -> Path:
        """A new folder for one kernel, with what it needs."""
        folder = Path(tempfile.mkdtemp(dir=self._shared))
        shutil.copytree(self._shared / "pip-stub", folder / "pip-stub")
        (folder / "tmp").mkdir()
        (folder / "matplotlib").mkdir()
        for file in self._fonts:
            shutil.copy(file, folder / "matplotlib")
        return folder

    def command(self, scratch: Path, command: list[str]) -> list[str]:
        """The command, so that it runs apart from everything else, if the system can do that."""
        return self._wrapped(scratch, command) if self.apart else command

    def _wrapped(self, scratch: Path, command: list[str]) -> list[str]:
        user = [] if hasattr(os, "getuid") and os.getuid() == 0 else ["--map-root-user"]
        apart = ["--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", *user]
        unshare = ["setpriv", "--pdeathsig", "KILL", "unshare", *apart]
        hidden = [str(path) for path in self.hidden]
        return [*unshare, "sh", "-c", SCRIPT, "marking", str(scratch), str(self._shared), *hidden, "--", *command]

    def environment(self, scratch: Path) -> dict[str, str]:
        """The variables of a kernel: none of the teacher's tokens, and a home of its own."""
        import kldanneal

        paths = [scratch / "pip-stub", Path(kldanneal.__file__).resolve().parents[1]]
        paths += [Path(path).resolve() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        home = dict.fromkeys(HOMES, str(scratch))
        tmp = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch / "tmp"))
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {
            **kept,
            **home,
            **tmp,
            "PYTHONPATH": os.pathsep.join(map(str, dict.fromkeys(paths))),
            "MPLCONFIGDIR": str(scratch / "matplotlib"),
            "NBGRADER_EXECUTION": "autograde",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }

    def _is_apart(self) -> bool:
        if not (shutil.which("unshare") and shutil.which("setpriv")):
            return False
        scratch = self.scratch()
        command = [sys.executable, "-c", PROBE, str(scratch), *map(str, self.hidden)]
        try:
            ran = subprocess.run(self._wrapped(scratch, command), capture_output=True, text=True)
        except OSError:
            return False
        return ran.stdout.strip() == "apart"


def private(course: Path, place: Path) -> list[Path]:
    """What a submission may not read: the course, what was handed in, the rest of the repository with its history."""
    hidden = [course, place]
    repository = course.parents[1] if len(course.parents) > 1 else course
    for above in course.parents:
        if (above / "kldanneal" / "__init__.py").is_file():
            repository = above
            needed = [above / "kldanneal", Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()]
            for path in repository.iterdir():
                if not any(each == path or path in each.parents for each in needed) and path.is_dir():
                    hidden.append(path)
            break
    return [path for path in dict.fromkeys(hidden) if not any(other in path.parents for other in hidden)]


def font_list() -> list[Path]:
    """matplotlib's list of fonts, which takes seconds to make anew."""
    try:
        import matplotlib.font_manager
    except ImportError:
        return []
    return list(Path(matplotlib.get_cachedir()).glob("fontlist-*.json"))
