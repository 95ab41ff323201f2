"""The DHCP client's decisions, with a server and a clock made of data."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozen.linux import dhcp
from dozen.linux.dhcp_client import Action, Broadcast, Client, Granted, Lost, State, Unicast

MAC = bytes.fromhex("525400123456")
SERVER = "10.0.2.2"


def middle(count: int) -> bytes:
    """Entropy that is always in the middle: waits are not varied, transactions are all alike."""
    return b"\x7f\xff" * (count // 2)


def question(action: Action) -> tuple[int, int, dict[int, bytes], str]:
    """Type, transaction, options and own address of a message that the client sends."""
    assert isinstance(action, Broadcast | Unicast)
    message = action.message
    assert len(message) >= dhcp.MINIMUM_SIZE
    options = dhcp.parse_options(message[dhcp.FIXED.size + 4 :])
    fields = dhcp.FIXED.unpack_from(message)
    return options[dhcp.MESSAGE_TYPE][0], fields[4], options, ".".join(str(part) for part in fields[7])


def answer(
    kind: int,
    transaction: int,
    address: str = "10.0.2.15",
    *,
    server: str = SERVER,
    lease: int = 3600,
    hardware: bytes = MAC,
    text: bytes = b"",
) -> bytes:
    octets = bytes(int(part) for part in address.split("."))
    fixed = dhcp.FIXED.pack(2, 1, 6, 0, transaction, 0, 0, bytes(4), octets, bytes(4), bytes(4), hardware, b"", b"")
    options = [(dhcp.MESSAGE_TYPE, bytes([kind])), (dhcp.LEASE_TIME, lease.to_bytes(4, "big"))]
    if server:
        options.append((dhcp.SERVER_ID, bytes(int(part) for part in server.split("."))))
    if text:
        options.append((dhcp.MESSAGE, text))
    return fixed + dhcp.COOKIE + dhcp.pack_options(options)


def bound(lease: int = 3600) -> Client:
    """A client that obtained an address at the time 0."""
    client = Client(MAC, "node7", middle)
    _, transaction, _, _ = question(client.start(0.0)[0])
    (request,) = client.receive(answer(dhcp.OFFER, transaction, lease=lease), 0.0)
    assert question(request)[0] == dhcp.ASK
    (granted,) = client.receive(answer(dhcp.ACK, transaction, lease=lease), 0.0)
    assert isinstance(granted, Granted)
    assert client.state is State.BOUND
    return client


def test_discovery() -> None:
    client = Client(MAC, "node7", middle)
    (discover,) = client.start(10.0)
    kind, transaction, options, own = question(discover)
    assert (kind, own, discover) == (dhcp.DISCOVER, "0.0.0.0", Broadcast(discover.message, ""))  # type: ignore[union-attr]
    assert options[dhcp.CLIENT_ID] == b"\x01" + MAC
    assert options[dhcp.HOST_NAME] == b"node7"
    assert options[dhcp.PARAMETER_LIST][:2] == bytes((dhcp.SUBNET_MASK, dhcp.CLASSLESS_ROUTES))

    (request,) = client.receive(answer(dhcp.OFFER, transaction), 10.5)
    kind, again, options, own = question(request)
    assert (kind, again, own) == (dhcp.ASK, transaction, "0.0.0.0")
    assert options[dhcp.REQUESTED_ADDRESS] == bytes((10, 0, 2, 15))
    assert options[dhcp.SERVER_ID] == bytes((10, 0, 2, 2))

    (granted,) = client.receive(answer(dhcp.ACK, transaction), 10.6)
    assert isinstance(granted, Granted)
    assert (granted.lease.address, granted.lease.server) == ("10.0.2.15", SERVER)
    assert client.deadline == 10.5 + 1800, "the lease counts from the moment when it was asked for"


def test_nobody_answers() -> None:
    client = Client(MAC, entropy=middle)
    client.start(0.0)
    waits, now = [], 0.0
    for _ in range(9):
        waits.append(round(client.deadline - now))
        now = client.deadline
        (discover,) = client.expire(now)
        assert question(discover)[0] == dhcp.DISCOVER
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64]


@pytest.mark.parametrize(("random", "wait"), [(b"\0", 0.75), (b"\xff", 1.25)])
def test_waits_vary(random: bytes, wait: float) -> None:
    client = Client(MAC, entropy=lambda count: random * count)
    client.start(0.0)
    assert client.deadline == wait


def test_what_is_not_an_answer_to_the_question_is_ignored() -> None:
    client = Client(MAC, entropy=middle)
    _, transaction, _, _ = question(client.start(0.0)[0])
    for wrong in (
        answer(dhcp.OFFER, transaction + 1),
        answer(dhcp.OFFER, transaction, hardware=bytes(6)),
        answer(dhcp.OFFER, transaction, server=""),
        answer(dhcp.OFFER, transaction, "127.0.0.1"),
        answer(dhcp.ACK, transaction),
        answer(dhcp.NAK, transaction),
        b"nonsense",
    ):
        assert client.receive(wrong, 0.1) == []
        assert client.state is State.SELECTING


def test_a_request_without_an_answer_is_given_up() -> None:
    client = Client(MAC, entropy=middle)
    _, transaction, _, _ = question(client.start(0.0)[0])
    client.receive(answer(dhcp.OFFER, transaction), 0.0)
    kinds = [question(client.expire(client.deadline)[0])[0] for _ in range(4)]
    assert kinds == [dhcp.ASK, dhcp.ASK, dhcp.ASK, dhcp.DISCOVER]


def test_renewal_asks_the_server_then_everybody_then_gives_up() -> None:
    client = bound(lease=3600)
    asked = []
    while True:
        now = client.deadline
        actions = client.expire(now)
        if isinstance(actions[0], Lost):
            break
        kind, _, options, own = question(actions[0])
        assert (kind, own) == (dhcp.ASK, "10.0.2.15")
        assert dhcp.SERVER_ID not in options, "RFC 2131, table 5: not when renewing or rebinding"
        assert dhcp.REQUESTED_ADDRESS not in options
        asked.append((now, type(actions[0])))
    assert now == 3600
    assert [when for when, how in asked if how is Unicast] == [1800, 2475, 2812.5, 2981.25, 3065.625, 3125.625]
    assert [when for when, how in asked if how is Broadcast] == [3150, 3375, 3487.5, 3547.5]
    assert question(actions[1])[0] == dhcp.DISCOVER
    assert client.lease is None


def test_a_renewed_lease_goes_on() -> None:
    client = bound(lease=3600)
    (request,) = client.expire(1800.0)
    assert request == Unicast(request.message, SERVER, "10.0.2.15")  # type: ignore[union-attr]
    transaction = question(request)[1]
    (granted,) = client.receive(answer(dhcp.ACK, transaction, lease=7200, server=""), 1801.0)
    assert isinstance(granted, Granted)
    assert granted.lease.server == SERVER, "a server that does not name itself is the one that was asked"
    assert client.deadline == 1800 + 3600


def test_an_endless_lease_is_never_renewed() -> None:
    assert bound(lease=dhcp.INFINITE).deadline == math.inf


def test_a_refusal_ends_the_lease_at_once() -> None:
    client = bound()
    transaction = question(client.expire(1800.0)[0])[1]
    lost, discover = client.receive(answer(dhcp.NAK, transaction, text=b"moved"), 1800.5)
    assert lost == Lost("the server refused it: moved")
    assert question(discover)[0] == dhcp.DISCOVER


def test_a_server_that_offers_and_refuses_is_asked_more_and_more_slowly() -> None:
    client = Client(MAC, entropy=middle)
    actions, now, pauses = client.start(0.0), 0.0, []
    for _ in range(5):
        transaction = question(actions[-1])[1]
        client.receive(answer(dhcp.OFFER, transaction), now)
        actions = client.receive(answer(dhcp.NAK, transaction), now)
        pauses.append(0 if actions else round(client.deadline - now))
        if not actions:
            now = client.deadline
            actions = client.expire(now)
    assert pauses == [0, 2, 4, 8, 16]


def test_another_servers_refusal_does_not_count() -> None:
    client = Client(MAC, entropy=middle)
    transaction = question(client.start(0.0)[0])[1]
    client.receive(answer(dhcp.OFFER, transaction), 0.0)
    assert client.receive(answer(dhcp.NAK, transaction, server="10.9.9.9"), 0.1) == []
    assert client.state is State.REQUESTING


def test_after_the_link_was_down_the_same_address_is_asked_for() -> None:
    client = bound()
    (request,) = client.start(100.0)
    kind, transaction, options, own = question(request)
    assert (kind, own, client.state) == (dhcp.ASK, "0.0.0.0", State.REBOOTING)
    assert options[dhcp.REQUESTED_ADDRESS] == bytes((10, 0, 2, 15))
    assert dhcp.SERVER_ID not in options
    assert [type(action) for action in client.receive(answer(dhcp.ACK, transaction), 100.1)] == [Granted]


def test_after_the_link_was_down_too_long_the_lease_is_over() -> None:
    client = bound()
    lost, discover = client.start(3600.0)
    assert isinstance(lost, Lost)
    assert question(discover)[0] == dhcp.DISCOVER


def test_an_address_is_kept_while_nobody_answers_after_the_link_was_down_but_not_beyond_its_lease() -> None:
    client = bound(lease=100)
    client.start(10.0)
    while client.lease is not None:
        now = client.deadline
        actions = client.expire(now)
    assert isinstance(actions[0], Lost)
    assert now == 100


@settings(max_examples=300)
@given(st.data())
def test_whatever_happens_the_address_is_only_used_within_its_lease(data: st.DataObject) -> None:
    """A network that loses, delays and refuses at will: the client stays alive and honest."""
    client = Client(MAC, entropy=middle)
    now, until, actions = 0.0, 0.0, client.start(0.0)
    for _ in range(data.draw(st.integers(1, 40))):
        sent = [action for action in actions if isinstance(action, Broadcast | Unicast)]
        kind, transaction = question(sent[-1])[:2] if sent else (0, 0)
        event = data.draw(st.sampled_from(["lost", "flap", "answer", "refusal"][: 4 if sent else 2]))
        if event == "flap":
            now += data.draw(st.floats(0, 500))
            actions = client.start(now)
        elif event == "lost":
            assert client.deadline >= now
            now = client.deadline
            actions = client.expire(now)
        else:
            now += data.draw(st.floats(0, 0.5))
            right = dhcp.OFFER if kind == dhcp.DISCOVER else dhcp.ACK
            reply = right if event == "answer" else dhcp.NAK
            actions = client.receive(answer(reply, transaction, lease=data.draw(st.integers(30, 400))), now)
        for action in actions:
            if isinstance(action, Granted):
                until = now + action.lease.duration
            elif isinstance(action, Lost):
                until = 0.0
        assert client.lease is None or now <= until, "an address outlived its lease"
