#!/usr/bin/python3
"""Hears of every ticket: consumer.py AMQP_URL QUEUE   (Debian: python3-pika)"""
import json
import sys

import pika

if len(sys.argv) != 3:
    sys.exit(__doc__)
url, queue = sys.argv[1:]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
# Declaring what is there already changes nothing; whoever starts first makes it.
channel.exchange_declare("support.events", exchange_type="topic", durable=True)
channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
channel.queue_bind(queue, "support.events", routing_key="ticket.#")
channel.basic_qos(prefetch_count=100)
last_version = {}  # Of each ticket. Keep it with what you do, in one transaction.


def heard(channel, method, properties, body):
    event = {name.removeprefix("cloudEvents_"): value for name, value in properties.headers.items()}
    data = json.loads(body)
    # Events come at least once, and the first time in order: what is not newer is a repetition.
    is_new = data["version"] > last_version.get(data["id"], 0)
    last_version[data["id"]] = max(data["version"], last_version.get(data["id"], 0))
    word = "new" if is_new else "repeated"
    print(word, event["id"], event["type"], data["id"], data["version"], data["status"], flush=True)
    channel.basic_ack(method.delivery_tag)


channel.basic_consume(queue, heard)
channel.start_consuming()
