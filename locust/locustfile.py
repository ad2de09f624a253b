"""Buyers of a black friday, and weather stations. README.md has the commands.

Users, rate and length are Locust's own options and fields of its page. With --flash-sale the number of users follows the
workload's curve of arrivals instead (see FlashSale). The run fails (exit code 1) when any answer is not 202 with an id.
"""

import logging
import os
import random

from locust import FastHttpUser, LoadTestShape, between, constant_pacing, events, task
from locust.runners import WorkerRunner

from workload import load

WORKLOAD = load(
    os.environ.get("BLACKFRIDAY_WORKLOAD")
    or os.path.join(os.path.dirname(os.path.abspath(__file__)), "black-friday.toml")
)
# Where `blackfriday demo` and the services listen by themselves; --host says otherwise.
HOST = "http://127.0.0.1:8080"
# For an Ingress that is reached by its address while its rule names a host.
NAME = os.environ.get("BLACKFRIDAY_HOST_NAME")
HEADERS = {"Host": NAME} if NAME else {}
COUNTRIES = ("GT", "MX", "SV", "HN", "CR", "PA", "CO", "US")
WEATHER = ("Sunny", "Cloudy", "Rainy", "Windy", "Stormy")


def check(answer, is_right) -> None:
    """Marks an answer as failed that is not 202, or whose body is not right."""
    if answer.status_code == 0:
        # No answer came: Locust itself names the reason.
        return
    try:
        right = answer.status_code == 202 and is_right(answer.json())
    except (ValueError, TypeError, AttributeError, KeyError):
        right = False
    if right:
        answer.success()
    else:
        answer.failure(f"{answer.status_code}: {(answer.text or '')[:200]}")


def accepted(body) -> bool:
    """Whether this is `{"estado":"OK","id":…}`."""
    return body.get("estado") == "OK" and bool(body.get("id"))


class Buyer(FastHttpUser):
    """Buys one product at a time, seldom a basket of several."""

    host = HOST
    weight = 6
    wait_time = between(0.05, 0.5)

    def on_start(self):
        self.dice = random.Random()

    @task(20)
    def buy(self):
        with self.client.post("/venta", json=WORKLOAD.sale(self.dice), headers=HEADERS, catch_response=True) as answer:
            check(answer, accepted)

    @task(1)
    def buy_several(self):
        sales = [WORKLOAD.sale(self.dice) for _ in range(self.dice.randint(2, 20))]
        with self.client.post("/ventas", json=sales, headers=HEADERS, catch_response=True) as answer:
            check(answer, lambda body: len(body["resultados"]) == len(sales) and all(map(accepted, body["resultados"])))


class WeatherStation(FastHttpUser):
    """Reports the weather once a second. There is one as soon as there are a few users."""

    host = HOST
    weight = 1
    wait_time = constant_pacing(1)

    @task
    def report(self):
        weather = random.choice(WEATHER)
        body = {"description": f"{weather} over the shops", "country": random.choice(COUNTRIES), "weather": weather}
        with self.client.post("/input", json=body, headers=HEADERS, catch_response=True) as answer:
            check(answer, accepted)


@events.init_command_line_parser.add_listener
def _(parser):
    # The page would show them as fields of a run, where they come too late.
    parser.add_argument(
        "--flash-sale",
        action="store_true",
        env_var="BLACKFRIDAY_FLASH_SALE",
        include_in_web_ui=False,
        help="Let the number of users follow the workload's curve of arrivals",
    )
    parser.add_argument(
        "--sale-users",
        type=int,
        default=200,
        env_var="BLACKFRIDAY_SALE_USERS",
        include_in_web_ui=False,
        help="Users at the peak of the flash sale",
    )
    parser.add_argument(
        "--sale-seconds",
        type=int,
        default=300,
        env_var="BLACKFRIDAY_SALE_SECONDS",
        include_in_web_ui=False,
        help="Length of the flash sale",
    )


class FlashSale(LoadTestShape):
    """As many users as the workload's arrival curve says, for --sale-seconds; then the run ends."""

    # Locust would take any other for the shape of every run.
    abstract = True

    def tick(self):
        options = self.runner.environment.parsed_options
        at = self.get_run_time() / options.sale_seconds
        if at > 1:
            return None
        users = max(1, round(options.sale_users * WORKLOAD.rate(at) / WORKLOAD.peak()))
        return users, max(1, options.sale_users / 5)


@events.init.add_listener
def _(environment, runner, **_):
    if environment.parsed_options.flash_sale and not isinstance(runner, WorkerRunner):
        environment.shape_class = FlashSale()
        environment.shape_class.runner = runner


@events.test_start.add_listener
def _(environment, **_):
    logging.info("workload %s, %d products, %s", WORKLOAD.title, len(WORKLOAD.products), WORKLOAD.digest)


@events.quitting.add_listener
def _(environment, **_):
    # A worker has told its master.
    if isinstance(environment.runner, WorkerRunner):
        return
    stats = environment.stats.total
    if stats.num_requests == 0 or stats.num_failures > 0:
        logging.error("%d of %d requests failed", stats.num_failures, stats.num_requests)
        environment.process_exit_code = 1
