"""30 clients over websockets, each acting every 5 s (asked: no error, 95th percentile under 3,000 ms), and a browser beside them.

On the snapshot of MYONORM_HOME. A client speaks Streamlit's own protocol: it loads the page, then enters another age and
waits until the script has finished.
"""

import asyncio
import json
import random
import threading
import time
from statistics import median, quantiles

import websockets
from playwright.sync_api import sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.dashboard_first_chart_ms import time_first_chart
from tests.dashboard.browser import launch, open_page, serve

CLIENTS, ACTS, EVERY_SECONDS = 30, 8, 5


async def act(socket: websockets.ClientConnection, widget: str | None, age: float) -> tuple[float, str, int]:
    """Run the page; returns milliseconds, the id of the age field, and the number of errors shown."""
    message = BackMsg()
    if widget is None:
        message.rerun_script.query_string = ""
    else:
        state = message.rerun_script.widget_states.widgets.add()
        state.id, state.double_value = widget, age
    began = time.perf_counter()
    await socket.send(message.SerializeToString())
    errors = 0
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(await socket.recv())
        kind = answer.WhichOneof("type")
        element = answer.delta.new_element if kind == "delta" else None
        if (
            element is not None
            and element.WhichOneof("type") == "number_input"
            and element.number_input.label.startswith("Age")
        ):
            widget = element.number_input.id
        errors += element is not None and element.WhichOneof("type") == "exception"
        if kind == "script_finished":
            return 1000 * (time.perf_counter() - began), widget, errors


async def use(url: str, seed: int, times: list[float], errors: list[int]) -> None:
    """Be one client."""
    draw = random.Random(seed)
    await asyncio.sleep(draw.uniform(0, EVERY_SECONDS))
    address = url.replace("http", "ws") + "/_stcore/stream"
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None) as socket:
        _, widget, n_errors = await act(socket, None, 0)
        for _ in range(ACTS):
            await asyncio.sleep(EVERY_SECONDS)
            taken, widget, more = await act(socket, widget, draw.randint(20, 70))
            times.append(taken)
            n_errors += more
        errors.append(n_errors)


async def use_together(url: str, times: list[float], errors: list[int]) -> None:
    """Be all clients."""
    await asyncio.gather(*(use(url, seed, times, errors) for seed in range(CLIENTS)))


def main() -> None:
    """Print the distribution, errors, and what the browser waited for its first chart meanwhile."""
    times, errors = [], []
    with serve() as url:
        clients = threading.Thread(target=lambda: asyncio.run(use_together(url, times, errors)))
        clients.start()
        time.sleep(2 * EVERY_SECONDS)
        with sync_playwright() as playwright, launch(playwright) as browser:
            beside = [time_first_chart(open_page(browser), url) for _ in range(3)]
        clients.join()
    if len(errors) < CLIENTS or sum(errors):
        raise SystemExit(f"{CLIENTS - len(errors)} clients broke off, {sum(errors)} errors were shown")
    print(
        f"{len(times)} acts, median {median(times):.0f} ms, largest {max(times):.0f} ms; browser beside them {median(beside):.0f} ms"
    )
    print(json.dumps({"figure": "dashboard_30_users_p95_ms", "value": round(quantiles(times, n=20)[-1]), "unit": "ms"}))


if __name__ == "__main__":
    main()
