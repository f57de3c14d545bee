"""The dashboard's port."""

from __future__ import annotations

import os
import socket

from fxai.doctor import port
from fxai.doctor.place import Place


def test_a_free_port_is_in_order_and_a_taken_one_names_its_holder() -> None:
    with socket.create_server((port.HOST, 0)) as taken:
        number = taken.getsockname()[1]
        (told,) = port.check(Place(port=number))
        assert told.verdict == "note"
        assert told.text.startswith(f"port {number} is in use by process {os.getpid()} (")
        assert str(told.hint).startswith("poe optuna-dashboard --port ")
    (told,) = port.check(Place(port=number))
    assert (told.verdict, told.text) == ("ok", f"port {number} is free")
