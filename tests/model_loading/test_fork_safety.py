"""Fork blockers: each case runs in its own process."""

import json
import os
import subprocess
import sys
from textwrap import dedent

from tests.cases import each_case

SCRIPT = """
import json, os, sys
from datarobot_drum.drum.model_loading.fork_safety import ProcessSnapshot, fork_blockers
before = ProcessSnapshot.now()
{code}
print(json.dumps(fork_blockers(before)))
os._exit(0)
"""

FORK_SAFE = {
    "nothing": "pass",
    "pandas with its allocator's thread": "import pandas as pd; pd.Series(['a']).str.len()",
    "threads of OpenBLAS": "import numpy as np; a = np.ones((600, 600)); a @ a",
    "a thread that has ended": "import threading; t = threading.Thread(target=print, args=('',)); t.start(); t.join()",
    "a thread that is about to end": "import threading; threading.Timer(0.1, id, [0]).start()",
    "a log file": "log = open(sys.argv[1], 'a')",
    "a random device": "device = open('/dev/urandom', 'rb')",
    "a closed file": "open(sys.argv[1], 'a').close()",
}

BLOCKERS = {
    "a Python thread": (
        "import threading, time; threading.Thread(target=time.sleep, args=[60], name='refresher', daemon=True).start()",
        "1 Python thread (refresher)",
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor; pool = ThreadPoolExecutor(1, 'pool'); pool.submit(id, 0)",
        "1 Python thread (pool_0)",
    ),
    "a native thread": (
        """
        import ctypes
        libc = ctypes.CDLL(None)
        thread = ctypes.c_ulong()
        libc.pthread_create(ctypes.byref(thread), None, libc.sleep, ctypes.c_void_p(60))
        """,
        "1 native thread (python",
    ),
    "threads of OpenMP": (
        """
        import numpy as np
        from sklearn.ensemble import HistGradientBoostingRegressor
        x = np.random.default_rng(0).random((100, 4))
        HistGradientBoostingRegressor(max_iter=1).fit(x, x[:, 0]).predict(x)
        """,
        "perhaps of libgomp",
    ),
    "a socket": ("import socket; made = socket.socket()", "a socket"),
    "a connection": (
        """
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        before = ProcessSnapshot.now()
        client = socket.create_connection(server.getsockname())
        """,
        "the connection to 127.0.0.1:",
    ),
    "an event loop": ("import asyncio; loop = asyncio.new_event_loop()", "an event loop"),
    "an open file": ("file = open(sys.executable, 'rb')", "the open file /"),
    "a child process": (
        "import subprocess; child = subprocess.Popen(['cat'], stdin=-1, stdout=-3)",
        "1 child process (",
    ),
    "CUDA": (
        """
        import types
        sys.modules["torch"] = types.SimpleNamespace(cuda=types.SimpleNamespace(is_initialized=lambda: True))
        """,
        "CUDA, which torch has initialised",
    ),
}


def _blockers_after(code: str, file: object) -> list[str]:
    script = SCRIPT.replace("{code}", dedent(code))
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-c", script, str(file)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@each_case("code", FORK_SAFE.values(), ids=FORK_SAFE)
def test_fork_safe_state_is_accepted(code: str, tmp_path: object) -> None:
    assert _blockers_after(code, f"{tmp_path}/log") == []


@each_case(("code", "words"), BLOCKERS.values(), ids=BLOCKERS)
def test_fork_blockers_are_described(code: str, words: str, tmp_path: object) -> None:
    found = _blockers_after(code, f"{tmp_path}/log")
    assert any(words in blocker for blocker in found), found
