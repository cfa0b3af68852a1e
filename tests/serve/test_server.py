"""Server and client over real sockets."""

from __future__ import annotations

import threading
import time

import attrs
import numpy as np
import pynng
import pytest
from embodiments import Toy, ToyConfig

from lerobot_core.errors import FeatureError, WireError
from lerobot_core.features import PolicyFeature, observation_features, policy_features
from lerobot_core.loop import connected, run_loop
from lerobot_core.roles import ActionChunk
from lerobot_serve import messages, wire
from lerobot_serve.aggregators import LatestOnly, LatestOnlyConfig
from lerobot_serve.client import ClientOptions, Connection, PolicyClient
from lerobot_serve.hold import Hold, HoldConfig
from lerobot_serve.server import PolicyServer

LATEST = LatestOnly(LatestOnlyConfig())


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lr-")]


@pytest.fixture(params=["tcp", "ipc"])
def address(request, tmp_path):
    return "tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/policy"


@attrs.define
class WanderState:
    """Depends on everything a session has been through."""

    rng: np.random.Generator
    seen: float = 0.0
    task: str = ""

    def reset(self):
        self.seen = 0.0


class Wander(Hold):
    """A policy whose chunks depend on its session's history, seed and task."""

    def __init__(self):
        super().__init__(HoldConfig(chunk_size=4))
        self.batches = []
        self.started, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def session(self, seed=0):
        return WanderState(np.random.default_rng(seed))

    def infer(self, sessions, observations, executed_steps):
        self.started.set()
        assert self.gate.wait(10)
        self.batches.append(len(sessions))
        out = []
        for session, observation, step in zip(sessions, observations, executed_steps, strict=True):
            session.seen = 0.5 * session.seen + float(observation["observation.state"].sum()) + len(session.task)
            actions = session.rng.normal(session.seen, size=(4, 6)).astype(np.float32)
            out.append(ActionChunk(actions=actions, step=step, observed=step))
        return out


class Failing(Hold):
    def infer(self, sessions, observations, executed_steps):
        raise ZeroDivisionError("inside the policy")


def hello(session="s", **changes):
    robot = Toy(ToyConfig())
    fields = {
        "session": session,
        "features": policy_features(observation_features(robot.observation_features)),
        "action_names": list(robot.action_features),
        "fps": 30.0,
    }
    return messages.Hello(**fields | changes)


def observe(session="s", step=0, value=1.0, task=""):
    return messages.Observe(
        session=session, step=step, task=task, observation={"observation.state": np.full(6, value, np.float32)}
    )


def closed(policy):
    """The same policy, busy with its first inference until the gate is opened."""
    policy.gate.clear()
    return policy


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def client_of(address, robot, **options):
    return PolicyClient(
        address, robot.observation_features, robot.action_features, LATEST, ClientOptions(**{"fps": 100.0} | options)
    )


@pytest.fixture
def ask():
    opened = []

    def make(server, session="s", **changes):
        connection = Connection(server.address, timeout_s=2.0)
        opened.append(connection)
        connection.ask(hello(session, **changes))
        return connection.ask

    yield make
    for connection in opened:
        connection.close()


def test_the_welcome_tells_what_the_client_needs(address):
    with PolicyServer(Hold(HoldConfig(chunk_size=7)), address, name="hold") as server:
        connection = Connection(server.address)
        welcome = connection.ask(hello())
        connection.close()
    assert (welcome.policy, welcome.chunk_size) == ("hold", 7)
    assert welcome.inputs == {"observation.state": "observation.state"}
    assert welcome.action_names == [f"joint_{i}.pos" for i in range(6)]
    assert server.address == address or server.address.rpartition(":")[2] != "0"


def test_two_clients_interleaved_equal_two_separate_runs(address, tmp_path, ask):
    def separate(name, seed):
        with PolicyServer(Wander(), f"ipc://{tmp_path}/{name}") as server:
            one = ask(server, name, seed=seed)
            return [one(observe(name, step, step * seed, "t" * seed)).actions for step in range(5)]

    wanted = [separate("a", 1), separate("b", 2)]
    with PolicyServer(Wander(), address) as server:
        a, b = ask(server, "a", seed=1), ask(server, "b", seed=2)
        got = [
            (a(observe("a", step, step, "t")).actions, b(observe("b", step, step * 2, "tt")).actions)
            for step in range(5)
        ]
    for step in range(5):
        np.testing.assert_array_equal(got[step][0], wanted[0][step])
        np.testing.assert_array_equal(got[step][1], wanted[1][step])


def test_clients_that_wait_together_share_an_inference(address, ask):
    policy = closed(Wander())
    with PolicyServer(policy, address) as server:
        asks = {name: ask(server, name) for name in "abcd"}
        threads = [threading.Thread(target=one, args=(observe(name),)) for name, one in asks.items()]
        threads[0].start()
        policy.started.wait()
        for thread in threads[1:]:
            thread.start()
        until(lambda: len(server._batcher._waiting) == 3)
        policy.gate.set()
        for thread in threads:
            thread.join()
    assert policy.batches == [1, 3]


def test_reset_is_of_one_session_only(address, ask):
    with PolicyServer(Wander(), address) as server:
        a, b = ask(server, "a"), ask(server, "b")
        a(observe("a")), b(observe("b"))
        assert a(messages.Reset(session="a")) == messages.Reset(session="a")
        states = server._sessions
        assert states["a"].state.seen == 0
        assert states["b"].state.seen == 6
        b(messages.Bye(session="b"))
        assert "b" not in states


def test_the_newest_observation_of_a_session_wins(address, ask):
    policy = closed(Wander())
    with PolicyServer(policy, address) as server:
        busy, older, newer = ask(server, "x"), ask(server, "s"), ask(server, "s")
        refusals = []

        def outdated():
            try:
                older(observe("s", step=1))
            except messages.Refused as refusal:
                refusals.append(refusal.code)

        threads = [threading.Thread(target=busy, args=(observe("x"),)), threading.Thread(target=outdated)]
        threads[0].start()
        policy.started.wait()
        threads[1].start()
        until(lambda: server._batcher._waiting)
        threading.Thread(target=lambda: (until(lambda: refusals), policy.gate.set())).start()
        assert newer(observe("s", step=9)).observed == 9
        for thread in threads:
            thread.join()
    assert refusals == ["superseded"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"features": {"observation.stat": PolicyFeature(type="STATE", shape=(6,))}},
            "did you mean 'observation.stat'",
        ),
        (
            {"features": {"observation.state": PolicyFeature(type="STATE", shape=(7,))}},
            r"STATE\[7\], needed is STATE\[6\]",
        ),
        ({"action_names": ["a", "b"]}, r"does not fit"),
        ({"fps": 10.0}, "runs at 30 Hz, the robot at 10 Hz"),
        ({"token": "guess"}, "token is another"),
        ({"token": ""}, "wants a token"),
    ],
)
def test_who_does_not_fit_is_told_why(changes, problem):
    with PolicyServer(Hold(HoldConfig()), "tcp://127.0.0.1:0", token="secret", fps=30) as server:
        connection = Connection(server.address)
        with pytest.raises(messages.Refused, match=problem) as refusal:
            connection.ask(hello(**{"token": "secret"} | changes))
        assert refusal.value.hint
        with pytest.raises(messages.Refused, match="does not know this session"):
            connection.ask(observe())
        connection.close()


def test_names_of_joints_are_matched_and_ordered_as_the_policy_has_them():
    policy = Hold(HoldConfig())
    policy.action_names = [f"joint_{i}.pos" for i in (5, 4, 3, 2, 1)] + ["base"]
    robot = Toy(ToyConfig())
    with PolicyServer(policy, "tcp://127.0.0.1:0") as server:
        with pytest.raises(FeatureError, match="the policy moves base"):
            client_of(server.address, robot).connect()
        connection = Connection(server.address)
        welcome = connection.ask(hello(rename={"joint_0.pos": "base"}))
        connection.close()
    assert welcome.action_names == [f"joint_{i}.pos" for i in (5, 4, 3, 2, 1, 0)]


def test_a_renamed_camera_reaches_the_policy():
    robot = Toy(ToyConfig(cameras={"front": (8, 8)}))
    rename = {"observation.images.front": "observation.images.top"}
    with PolicyServer(Hold(HoldConfig(cameras={"top": (8, 8)}, chunk_size=4)), "tcp://127.0.0.1:0") as server:
        with pytest.raises(FeatureError, match=r"'observation.images.top' .* is missing"):
            client_of(server.address, robot).connect()
        client = client_of(server.address, robot, rename_map=rename)
        with connected(client, robot):
            run_loop(robot, client, fps=100, duration=0.2)
    assert robot.sent


@pytest.mark.parametrize(
    "garbage", [b"", b"\x80\x04\x95pickle", b"LRSV" + bytes(100), wire.encode({"kind": "welcome"})]
)
def test_garbage_costs_its_sender_one_request(garbage, ask):
    with PolicyServer(Wander(), "tcp://127.0.0.1:0") as server:
        good = ask(server)
        with pynng.Req0(dial=server.address, recv_timeout=1000) as socket:
            socket.send(garbage)
            answer = messages.unpack(socket.recv())
            assert isinstance(answer, messages.Fault)
            socket.send(messages.pack(hello("t")))
            assert isinstance(messages.unpack(socket.recv()), messages.Welcome)
        assert good(observe()).observed == 0


def test_a_wrong_array_never_reaches_the_policy(ask):
    policy = Wander()
    with PolicyServer(policy, "tcp://127.0.0.1:0") as server:
        one = ask(server)
        for array in (np.ones(7, np.float32), np.ones(6), np.ones((6, 1), np.float32)):
            with pytest.raises(messages.Refused, match="the observation holds float"):
                one(messages.Observe(session="s", step=0, observation={"observation.state": array}))
        with pytest.raises(messages.Refused, match="holds nothing"):
            one(messages.Observe(session="s", step=0, observation={}))
    assert policy.batches == []


def test_a_message_too_long_is_dropped_and_not_sent_by_our_client(ask):
    with PolicyServer(Wander(), "tcp://127.0.0.1:0", max_bytes=4096) as server:
        good = ask(server)
        with pynng.Req0(dial=server.address, recv_timeout=300, send_timeout=300) as socket:
            socket.send(bytes(10_000))
            with pytest.raises(pynng.Timeout):
                socket.recv()
        assert good(observe()).observed == 0
        connection = Connection(server.address)
        connection.max_bytes = 4096
        with pytest.raises(WireError, match="takes 4096"):
            connection.ask(bytes(10_000))
        connection.close()


def test_a_policy_that_fails_is_its_clients_error_and_the_server_stays(ask, caplog):
    with PolicyServer(Failing(HoldConfig()), "tcp://127.0.0.1:0") as server:
        one = ask(server)
        for _ in range(2):
            with pytest.raises(messages.Refused, match="ZeroDivisionError: inside the policy"):
                one(observe())
    assert "the policy failed" in caplog.text


def test_a_server_closes_at_once_though_the_policy_is_busy(ask):
    policy = closed(Wander())
    server = PolicyServer(policy, "tcp://127.0.0.1:0")
    server.start()
    one, refusals = ask(server), []

    def wait():
        try:
            one(observe())
        except messages.Refused as refusal:
            refusals.append(str(refusal))

    thread = threading.Thread(target=wait)
    thread.start()
    policy.started.wait()
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began < 1.5
    thread.join()
    assert refusals == ["the server is stopping"]
    policy.gate.set()
    server._batcher._thread.join()


def test_an_address_others_can_reach_wants_a_token():
    with pytest.raises(WireError, match="no token protects it"):
        PolicyServer(Hold(HoldConfig()), "tcp://0.0.0.0:0")
    PolicyServer(Hold(HoldConfig()), "tcp://0.0.0.0:0", token="secret")


@pytest.mark.parametrize("bad", ["localhost:8080", "http://127.0.0.1:1", ""])
def test_what_is_no_address_is_refused(bad):
    with pytest.raises(WireError, match="address"):
        Connection(bad)


def test_an_address_in_use_is_named():
    with PolicyServer(Hold(HoldConfig()), "tcp://127.0.0.1:0") as server:
        second = PolicyServer(Hold(HoldConfig()), server.address)
        with pytest.raises(WireError, match="cannot listen at"):
            second.start()


# --- the robot's end --------------------------------------------------------------------------------------------------


def test_no_server_is_told_within_the_time_out():
    client = client_of("tcp://127.0.0.1:9", Toy(ToyConfig()), timeout_s=0.5)
    start = time.monotonic()
    with pytest.raises(WireError, match="no answer from a policy server") as failure:
        client.connect()
    assert time.monotonic() - start < 1.5
    assert "lr serve" in failure.value.hint


def test_the_robot_holds_until_the_first_chunk_and_then_executes_every_step_once(address):
    robot = Toy(ToyConfig())
    policy = Hold(HoldConfig(chunk_size=10, drift=1.0, delay_s=0.03))
    with PolicyServer(policy, address) as server:
        client = client_of(server.address, robot)
        with connected(client, robot):
            health = run_loop(robot, client, fps=100, duration=0.5)
            figures = client.health()
    assert 1 <= health.idle < 40
    assert figures["executed"] == len(robot.sent) == health.ticks - health.idle
    assert figures["chunks"] >= 3
    assert figures["latency_p99_ms"] >= figures["latency_p50_ms"] >= 30
    # the second chunk comes from an observation at step 5, not earlier: half of the queue is left then
    np.testing.assert_allclose([sent["joint_0.pos"] for sent in robot.sent[:6]], [1, 2, 3, 4, 5, 6], rtol=1e-5)


def test_actions_per_chunk_limits_what_is_queued():
    robot = Toy(ToyConfig())
    with PolicyServer(Hold(HoldConfig(chunk_size=50)), "tcp://127.0.0.1:0") as server:
        client = client_of(server.address, robot, actions_per_chunk=4)
        with connected(client, robot):
            run_loop(robot, client, fps=100, duration=0.3)
            assert max(client.act(robot.get_observation())[1]["queued"] for _ in range(3)) <= 4


def test_reset_begins_at_step_zero_with_an_empty_queue():
    robot = Toy(ToyConfig())
    with PolicyServer(Hold(HoldConfig()), "tcp://127.0.0.1:0") as server:
        client = client_of(server.address, robot)
        with connected(client, robot):
            run_loop(robot, client, fps=100, duration=0.2)
            client.reset()
            action, info = client.act(robot.get_observation())
            assert action is None
            assert info["step"] == 0
            assert client.health()["executed"] == 0


@pytest.mark.parametrize(("threshold", "steps_per_chunk"), [(0.5, 4), (0.0, 9)])
def test_a_chunk_is_asked_for_when_the_queue_is_down_to_the_threshold(threshold, steps_per_chunk):
    robot = Toy(ToyConfig())
    with PolicyServer(Hold(HoldConfig(chunk_size=10)), "tcp://127.0.0.1:0") as server:
        client = client_of(server.address, robot, chunk_size_threshold=threshold)
        with connected(client, robot):
            run_loop(robot, client, fps=100, duration=0.6)
            figures = client.health()
    assert 1 < figures["chunks"] <= figures["executed"] / steps_per_chunk + 2


def test_an_observation_from_before_a_reset_leads_to_nothing():
    robot = Toy(ToyConfig())
    with PolicyServer(Hold(HoldConfig()), "tcp://127.0.0.1:0") as server:
        client = client_of(server.address, robot)
        with connected(client, robot):
            late = (client._episode, client._observe(robot.get_observation(), 17))
            client.reset()
            client._jobs.put(late)
            run_loop(robot, client, fps=100, duration=0.2)
            assert client.health()["chunks"] == 1


def test_a_server_that_dies_ends_the_run_and_the_robot_is_left_safely():
    robot = Toy(ToyConfig())
    server = PolicyServer(Hold(HoldConfig(chunk_size=5)), "tcp://127.0.0.1:0")
    server.start()
    client = client_of(server.address, robot, timeout_s=0.4)
    killer = threading.Timer(0.3, server.close)
    start = time.monotonic()
    killer.start()
    with pytest.raises(WireError, match=r"no answer|stopping"), connected(client, robot):
        run_loop(robot, client, fps=100, duration=20)
    killer.join()
    assert time.monotonic() - start < 3
    assert not robot.is_connected


def test_a_server_that_comes_back_in_time_goes_on():
    robot = Toy(ToyConfig())
    first = PolicyServer(Hold(HoldConfig(chunk_size=5)), "tcp://127.0.0.1:0")
    first.start()
    client = client_of(first.address, robot, timeout_s=3.0)
    with connected(client, robot):
        run_loop(robot, client, fps=100, duration=0.2)
        first.close()
        with PolicyServer(Hold(HoldConfig(chunk_size=5)), first.address):
            before = client.health()["chunks"]
            run_loop(robot, client, fps=100, duration=1.0)
            assert client.health()["chunks"] > before + 3
            client.disconnect()
