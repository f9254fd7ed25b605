# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What processes tell each other over real connections."""

from __future__ import annotations

import json
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener

import pytest

from rsl_rl.distributed.watch import Watch

KEY = b"a secret of these processes"


def test_a_process_that_learns_before_it_is_connected_says_so_when_it_is() -> None:
    watch = Watch(rank=1)
    watch._tell({"rests": False})
    with Listener(("127.0.0.1", 0), authkey=KEY) as listener:
        threading.Thread(target=watch._follow, args=(*listener.address, KEY), daemon=True).start()
        with listener.accept() as connection:
            assert connection.recv_bytes() == b"1"
            assert json.loads(connection.recv_bytes()) == {"rests": False}
            watch._closing = True  # The test's process is to go on.


def test_strangers_at_the_port_do_not_keep_processes_out() -> None:
    watch = Watch(rank=0)
    with Listener(("127.0.0.1", 0), authkey=KEY) as listener:
        accepting = threading.Thread(target=watch._accept, args=(listener, 1), daemon=True)
        accepting.start()
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                Client(listener.address, authkey=b"something else")
        with Client(listener.address, authkey=KEY) as connection:
            connection.send_bytes(b"1")
            accepting.join()
            assert list(watch._connections) == [1]
            assert json.loads(connection.recv_bytes()) == {"rests": True}
            connection.send_bytes(json.dumps({"left": True}).encode())
