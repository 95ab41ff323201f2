"""A way in to a machine that was just made: a channel with the administrator's identity, and the first question.

The key goes to the TLS library through an anonymous file in memory, since the library reads keys from files only.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from dozen.machinery.messages import message
from dozen.machinery.pki import tls_key
from dozen.machinery.talosconfig import Context
from dozen.provider.waiting import NotYetError
from dozen.rpc.client import Channel
from dozen.rpc.status import Code, RpcError

NOT_YET = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED)


def tls_of(context: Context) -> ssl.SSLContext:
    """Trusts the context's authority alone, presents its certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_verify_locations(cadata=context.ca)
    tls.set_alpn_protocols(["h2"])
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, (context.crt + "\n" + tls_key(context.key)).encode())
        tls.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return tls


def open_channel(address: str, context: Context) -> Channel:
    return Channel(address, tls=tls_of(context), connect_timeout=5.0)


async def ask_version(address: str, context: Context) -> Any:
    """The machine's version message. Raises NotYetError while nothing answers, RpcError when something refuses."""
    async with open_channel(address, context) as channel:
        try:
            reply = await channel.unary(
                "/machine.MachineService/Version", b"", message("machine.VersionResponse"), timeout=5.0
            )
        except RpcError as error:
            if error.code in NOT_YET:
                raise NotYetError(error.message) from error
            raise
        except OSError as error:
            raise NotYetError(str(error)) from error
    return reply.messages[0]
