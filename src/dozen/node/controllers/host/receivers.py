"""Who is to be sent the kernel's log, and events."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, receivers
from dozen.node.configuration import parse


class ReceiversController:
    """MachineConfig → KmsgLogConfig, EventSinkConfig: each is there when somebody is to be sent something."""

    name = "receivers"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (receivers.KMSG_LOG_CONFIG, receivers.EVENT_SINK_CONFIG)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config.effective import find_document, find_documents

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        if active is None:
            return
        given = parse(active.spec.text)
        urls = [each.url for each in find_documents(given, "KmsgLogConfig") if each.url]
        destinations = tuple(receivers.Destination(full_path=url) for url in dict.fromkeys(urls))
        if destinations:
            yield Put(
                receivers.KMSG_LOG_CONFIG, receivers.KMSG_LOG, receivers.KmsgLogConfigSpec(destinations=destinations)
            )
        sink = find_document(given, "EventSinkConfig")
        if sink is not None and sink.endpoint:
            yield Put(
                receivers.EVENT_SINK_CONFIG, receivers.EVENT_SINK, receivers.EventSinkConfigSpec(endpoint=sink.endpoint)
            )
