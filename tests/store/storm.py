"""A process that writes leases, events and objects and says what was acknowledged, until it is killed."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from app.clock import SystemClock
from app.model.event import Event, EventDraft
from app.services.commands.layer import CommandLayer
from app.store.store import open_store
from tests.store.stores import lease, mac

IN_FLIGHT = 200


def say(line: str) -> None:
    # One unbuffered write: what the judge reads was acknowledged before the kill.
    os.write(1, f"{line}\n".encode())


def main(data_dir: Path, first: int) -> None:
    clock = SystemClock()
    store = open_store(data_dir, clock)
    layer = CommandLayer(store.database, store.directory, store.events, clock)

    def stored(event: Event) -> None:
        say(f"E {event.id} {event.message}")

    store.events.observe(stored)
    room = threading.Semaphore(IN_FLIGHT)

    def acknowledge(number: int, round_: int) -> Callable[[BaseException | None], None]:
        def done(error: BaseException | None) -> None:
            if error is None:
                say(f"L {lease(number).address} {mac(number)} {round_}")
            room.release()

        return done

    def objects() -> None:
        number = first
        while True:
            number += 1
            address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            layer.create("judge", "reservations", {"address": address, "mac": mac(number)})
            say(f"C {address}")
            if number % 3 == 0:
                layer.update("judge", "reservations", address, {"hostname": f"h{number}"})
                say(f"U {address} h{number}")
            elif number % 3 == 1:
                layer.delete("judge", "reservations", address)
                say(f"D {address}")

    def died(said: threading.ExceptHookArgs) -> None:
        traceback.print_exception(said.exc_value)
        os._exit(1)

    threading.excepthook = died
    threading.Thread(target=objects, daemon=True).start()
    say("open")
    round_ = first
    while True:
        round_ += 1
        for number in range(100):
            room.acquire()
            store.leases.commit([lease(number, since=float(round_))], acknowledge(number, round_))
            store.events.emit(
                EventDraft(time=clock.now(), kind="dhcp.ack", message=f"{round_}-{number}", mac=mac(number))
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
