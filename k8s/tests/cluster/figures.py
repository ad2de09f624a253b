"""Prints the figures of a result for a shell to read. usage: figures.py load|proof|weather FILE"""

import json
import sys


def load(result):
    latency = result["latency_from_sending_ms"]
    return [
        result["accepted"],
        sum(result["refused"].values()),
        result["unknown"],
        result["not_sent"],
        round(result["accepted_per_second"]),
        latency["p50"],
        latency["p99"],
        latency["max"],
    ]


def proof(result):
    return [
        result["holds"],
        result["lost"]["count"],
        result["doubled"]["count"] + result["acknowledged_twice"]["count"],
        result["accepted"],
        result["counted"],
        result["unknown"]["written"],
        result["unknown"]["not_written"] + result["unknown"]["without_id"],
    ]


def weather(rows):
    (row,) = rows
    return [row["reportes_clima"], row["reportes_clima_redis"]]


with open(sys.argv[2]) as file:
    print(*{"load": load, "proof": proof, "weather": weather}[sys.argv[1]](json.load(file)))
