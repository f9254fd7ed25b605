# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The server that a browser talks to: its address, and who can reach it."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import os
import socket
import sys
import warnings
import webbrowser
from collections.abc import Iterator
from typing import Any

from rsl_rl.cli.viewer.viewable import require_viser

PORT = 8080
_PORTS_TRIED = 100


def free_port(host: str, wanted: int | None) -> int:
    """Return the port that was asked for, else 8080 or the next one that nobody uses.

    Raises:
        ValueError: It is taken, or there is no such address on this machine; says what helps.
    """
    reason: OSError | None = None
    for port in [wanted] if wanted is not None else range(PORT, PORT + _PORTS_TRIED):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                if os.name == "posix":  # as the server does; elsewhere it would take a port that is in use
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return probe.getsockname()[1]
        except socket.gaierror as error:
            raise ValueError(
                f"There is no address '{host}' for --host: {error}. This machine alone: 127.0.0.1."
            ) from error
        except OSError as error:
            reason = error
    if wanted is not None:
        raise ValueError(f"Port {wanted} of {host} cannot be used ({reason}). Leave --port out for the next free one.")
    raise ValueError(f"None of the ports {PORT} to {PORT + _PORTS_TRIED - 1} of {host} can be used ({reason}).")


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def open_server(host: str, port: int | None, title: str) -> Any:
    """Return a viser server; warns where others can reach it."""
    viser = require_viser()

    class Server(viser.ViserServer):
        """One that is never shared: viser could make it public through a machine of its authors."""

        def request_share_url(self, verbose: bool = True) -> str | None:
            """Refuse."""
            return None

    chosen = free_port(host, port)
    if not is_loopback(host):
        warnings.warn(
            f"Whoever can reach port {chosen} of this machine can watch and steer: there is no password. Without "
            f"--host only this machine can; from another one: ssh -L {chosen}:localhost:{chosen} THIS_MACHINE",
            stacklevel=2,
        )
    with _quiet():
        server = Server(host=host, port=chosen, label=title, verbose=False)
    server.gui.configure_theme(show_logo=False, show_share_button=False)
    return server


def close_server(server: Any) -> None:
    """End the server."""
    with _quiet():
        server.stop()


def address(server: Any) -> str:
    """Return what to type into a browser on this machine."""
    host = server.get_host()
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            host = "localhost"
        elif ":" in host:
            host = f"[{host}]"
    return f"http://{host}:{server.get_port()}"


def open_browser(url: str) -> None:
    """Open a page where there is a screen; a browser that cannot be started is none of our business."""
    has_screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_screen:
        with contextlib.suppress(Exception):
            webbrowser.open(url)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep viser's own words about addresses from the terminal."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
