"""`side_by_side.py MAKE TARGET…`: makes the targets with this make, all at the same time.

What each prints is shown when it has ended. Fails if any did, and ends them when it is ended itself.
"""

import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO


def main() -> int:
    """Return 1 if a target failed."""
    make, *targets = sys.argv[1:]
    # Python ends without its `finally` blocks on these.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    started, printing = time.monotonic(), threading.Lock()

    def show(target: str, process: "subprocess.Popen[bytes]", output: IO[bytes]) -> None:
        status = process.wait()
        output.seek(0)
        with printing:
            print(f"\n=== {target}", flush=True)
            sys.stdout.buffer.write(output.read())
            verdict = "passed" if status == 0 else "FAILED"
            print(f"=== {target} {verdict} after {time.monotonic() - started:.0f} s", flush=True)

    print(f"side by side: {' '.join(targets)}", flush=True)
    processes = []
    try:
        watching = []
        for target in targets:
            output = tempfile.TemporaryFile()  # noqa: SIM115 (`show` needs it for longer)
            command = [make, "--keep-going", target]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            processes.append(process)
            watching.append(threading.Thread(target=show, args=(target, process, output), daemon=True))
            watching[-1].start()
        for thread in watching:
            thread.join()
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()
    return 1 if any(process.returncode for process in processes) else 0


if __name__ == "__main__":
    sys.exit(main())
