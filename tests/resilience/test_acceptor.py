"""The process in front of each FastAPI worker: what it answers itself, what it hands over, and how the two end."""

import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest

from datarobot_drum.drum.fastapi.probes import READINESS_PATIENCE
from tests.processes import RunningServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import get, post, rows
from tests.resilience.models import ControlledModel
from tests.resilience.resource_usage import worker_processes

pytestmark = pytest.mark.process

LIVEZ, READYZ = get("/livez"), get("/readyz")
PATHS = ["/livez", "/livez/", "/readyz", "/readyz/", "/ping", "/ping/", "/health", "/health/", "/"]
ODD = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET\r\n\r\n",
    b"GET /livez HTTP/1.1\nHost: x\n\n",
    b"\r\n" * 9,
]


class Client:
    """One connection, by the byte."""

    def __init__(self, server: RunningServer) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=60.0)
        self._input = self.sock.makefile("rb")

    def send(self, *pieces: bytes) -> "Client":
        for piece in pieces:
            self.sock.sendall(piece)
        return self

    def answer(self) -> bytes:
        """The next answer, to the byte."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._input.readline()
            assert line, "the connection ended"
            head += line
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        return head + self._input.read(int(length[1]))

    def ask(self, *pieces: bytes) -> bytes:
        return self.send(*pieces).answer()

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return self._input.read()

    def close(self) -> None:
        self._input.close()
        self.sock.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(server: RunningServer, request: bytes) -> bytes:
    with Client(server) as client:
        return client.ask(request)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def acceptors_of(pid: int) -> list[psutil.Process]:
    """Below a worker, or below a supervisor's workers."""
    below = psutil.Process(pid).children(recursive=True)
    return [process for process in below if any("acceptor.py" in word for word in process.cmdline())]


def runs(process: psutil.Process) -> bool:
    """Whoever has ended may still wait to be reaped by the machine's first process."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Meanwhile nothing in the process can run, so what is answered comes from another one."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def same_for_all(answer: bytes) -> bytes:
    """Without what differs from one answer to the next, whose form is checked instead."""
    answer = re.sub(rb"date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", b"date", answer)
    return re.sub(rb"x-request-id: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", b"id", answer)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, RunningServer]]:
    """Two servers over the same model, the first with an acceptor."""
    with ExitStack() as stack:
        servers = []
        for acceptor in ("1", "0"):
            folder = tmp_path_factory.mktemp("acceptor")
            environment = {
                "DRUM_SERVER_TYPE": "fastapi",
                "DRUM_FASTAPI_ACCEPTOR": acceptor,
                "DRUM_LAME_DUCK_SECONDS": "0",
                "URL_PREFIX": "/model",
            }
            words = ("--code-dir", ControlledModel(folder).path, "--target-type", "regression")
            server = RunningServer(*words, log=folder / "log", environment=environment, prefix="/model")
            servers.append(stack.enter_context(server))
        yield servers[0], servers[1]


@pytest.fixture(scope="module")
def server(pair: tuple[RunningServer, RunningServer]) -> RunningServer:
    return pair[0]


def prediction(x: int) -> bytes:
    return post(rows(x)).replace(b"/predict", b"/model/predict")


def test_the_parameter_decides_whether_there_is_one(pair: tuple[RunningServer, RunningServer]) -> None:
    assert [len(acceptors_of(server.process.pid)) for server in pair] == [1, 0]


@pytest.mark.parametrize("path", PATHS)
def test_it_answers_byte_for_byte_what_the_worker_would(pair: tuple[RunningServer, RunningServer], path: str) -> None:
    requests = [
        get(f"/model{path}"),
        get(f"/model{path}", "Connection: close"),
        get(f"/model{path}", "X-Request-Id: \t mine "),
        get(f"/model{path}", "User-Agent: kube-probe/1.30", "Accept: */*", "Connection: keep-alive"),
        get(f"/model{path}").replace(b"HTTP/1.1", b"HTTP/1.0"),
    ]
    with stopped(psutil.Process(pair[0].process.pid)):
        answers = [ask(pair[0], request) for request in requests]
    for request, answer in zip(requests, answers, strict=True):
        assert same_for_all(answer) == same_for_all(ask(pair[1], request))
        assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "request_",
    [
        get("/model/livez?full=1"),
        get("/model/livez").replace(b"GET", b"HEAD"),
        get("/model/livez").replace(b"GET", b"POST"),
        get("/model/livez", "Content-Length: 4") + b"body",
        get("/model/livez", "X-Request-Id: mine", "X-Request-Id: yours"),
        get("/model/livez", "X-Request-Id: " + "x" * 200),
        get("/model//livez"),
        get("/livez"),
        get("/model/capabilities/"),
        *ODD,
    ],
)
def test_everything_else_is_the_workers(pair: tuple[RunningServer, RunningServer], request_: bytes) -> None:
    answers = []
    for server in pair:
        with Client(server) as client:
            client.send(request_).sock.shutdown(socket.SHUT_WR)
            answers.append(same_for_all(client.rest()))
    assert answers[0] == answers[1]


def test_one_connection_asks_probes_and_predictions_in_turn(server: RunningServer) -> None:
    livez = get("/model/livez")
    with Client(server) as client:
        for x in range(3):
            assert status(client.ask(livez)) == 200
            assert status(client.ask(livez)) == 200
            assert client.ask(prediction(x)).endswith(b'{"predictions":[%d.0]}' % x)


def test_a_probe_and_a_prediction_in_one_packet_are_both_answered_in_order(server: RunningServer) -> None:
    with Client(server) as client:
        client.send(get("/model/livez") + get("/model/readyz") + prediction(7) + get("/model/livez"))
        bodies = [client.answer().rpartition(b"\r\n")[2] for _ in range(4)]
    assert bodies == [b'{"status":"alive"}', b'{"status":"ready"}', b'{"predictions":[7.0]}', b'{"status":"alive"}']


def test_many_probes_in_one_packet_are_all_answered(server: RunningServer) -> None:
    with Client(server) as client:
        client.send(get("/model/livez") * 500)
        assert {status(client.answer()) for _ in range(500)} == {200}


@pytest.mark.parametrize("cut", [1, 5, 12, -1])
def test_a_probe_in_pieces_is_answered(server: RunningServer, cut: int) -> None:
    probe = get("/model/livez")
    with Client(server) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(probe[:cut])
        time.sleep(0.05)
        assert status(client.ask(probe[cut:])) == 200
        assert status(client.ask(probe)) == 200


def test_clients_that_send_a_byte_now_and_then_keep_no_probe_waiting(server: RunningServer) -> None:
    probe = get("/model/livez")
    with ExitStack() as stack:
        slow = [stack.enter_context(Client(server)) for _ in range(100)]
        for place in range(4):
            for client in slow:
                client.send(probe[place : place + 1])
        with stopped(psutil.Process(server.process.pid)):
            silent = [stack.enter_context(Client(server)) for _ in range(100)]
            assert status(ask(server, probe)) == 200
        for client in slow:
            assert status(client.ask(probe[4:])) == 200
        for client in silent:
            assert status(client.ask(prediction(1))) == 200


def test_the_log_and_the_count_of_descriptors_stay_as_they_are(server: RunningServer) -> None:
    (acceptor,) = acceptors_of(server.process.pid)
    before = acceptor.num_fds()
    for _ in range(50):
        ask(server, get("/model/livez"))
        ask(server, prediction(1))
    server.wait_until(lambda: acceptor.num_fds() <= before, "connections closed")
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_model_that_holds_the_interpreter_keeps_no_probe_waiting(
    start: StartServer, model: ControlledModel, path: str
) -> None:
    server = start()
    with Client(server) as busy, Client(server) as kept:
        kept.ask(get(path))
        busy.send(post(rows(1, hold_gil=4)))
        server.wait_until(lambda: bool(model.ran), "a prediction")
        time.sleep(0.3)
        answers = [status(kept.ask(get(path))), *(status(ask(server, get(path))) for _ in range(20))]
        busy.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            busy.sock.recv(1)
        busy.sock.settimeout(60.0)
        assert answers == [200] * 21
        assert status(busy.answer()) == 200


def test_a_model_that_holds_the_interpreter_while_it_loads_is_not_ready(
    start: StartServer, model: ControlledModel
) -> None:
    model.hold_gil_while_loading(4)
    server = start(ready=None)
    server.wait_until(lambda: server.status("/livez") == 200, "livez")
    statuses = set()
    while (found := server.status("/readyz")) != 200:
        statuses.add(found)
    assert statuses == {503}


def test_readiness_ends_with_the_signal(start: StartServer, model: ControlledModel) -> None:
    server = start(LAME_DUCK_SECONDS="2")
    (acceptor,) = acceptors_of(server.process.pid)
    with Client(server) as client:
        assert status(client.ask(READYZ)) == 200
        server.send_signal(signal.SIGTERM, to_group=True)
        server.wait_until(lambda: server.status("/readyz") == 503, "not ready")
        answer = client.ask(READYZ)
        assert status(answer) == 503 and b"connection: close\r\n" in answer and client.rest() == b""
        assert acceptor.is_running()
    assert server.wait() == 0


def test_a_worker_that_is_silent_for_longer_gets_its_probe_itself(start: StartServer) -> None:
    server = start()
    with stopped(psutil.Process(server.process.pid)):
        assert status(ask(server, READYZ)) == 200
        time.sleep(READINESS_PATIENCE + 1)
        assert status(ask(server, LIVEZ)) == 200
        client = Client(server).send(READYZ)
        client.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
    client.sock.settimeout(60)
    assert client.sock.recv(12) == b"HTTP/1.1 200"
    client.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_without_its_acceptor_listens_itself(start: StartServer, workers: int) -> None:
    server = start(WORKERS=workers)
    server.wait_until(lambda: server.log().count("Model loaded") == workers, "all workers")
    for acceptor in acceptors_of(server.process.pid):
        acceptor.kill()
    server.wait_until(lambda: server.log().count("The acceptor has ended") == workers, "a warning each")
    for _ in range(10):
        assert status(ask(server, LIVEZ)) == status(ask(server, READYZ)) == 200
    server.stop()


def _worker_of(client: Client) -> int:
    return _predicted(client.ask(post(rows(0, pid=1))))


def _predicted(answer: bytes) -> int:
    return int(float(answer.rpartition(b"[")[2].rstrip(b"]}")))


def _wait_for_both(server: RunningServer) -> None:
    """Until both workers of a server take connections."""

    def both_answer() -> bool:
        with ExitStack() as stack:
            clients = [stack.enter_context(Client(server)) for _ in range(4)]
            return len({_worker_of(client) for client in clients}) == 2

    server.wait_until(both_answer, "two workers that predict")
    for worker in worker_processes(server.process.pid).values():
        _wait_for_ends(server, worker)


def _wait_for_ends(server: RunningServer, worker: psutil.Process) -> None:
    """Until the worker has noticed that its clients have closed their connections."""
    ended = (psutil.CONN_LISTEN, psutil.CONN_NONE)
    server.wait_until(lambda: all(one.status in ended for one in worker.net_connections("tcp")), "ended connections")


def _kill(server: RunningServer, worker: psutil.Process) -> None:
    """Until then its acceptor may take connections, which end with it."""
    (acceptor,) = acceptors_of(worker.pid)
    worker.kill()
    server.wait_until(lambda: not runs(acceptor), "the end of its acceptor")
    server.wait_until(lambda: worker.pid not in worker_processes(server.process.pid), "the end of the worker")


def test_new_connections_go_to_the_worker_with_fewest(start: StartServer) -> None:
    server = start(WORKERS=2)
    _wait_for_both(server)
    with ExitStack() as stack:

        def connect() -> tuple[Client, int]:
            client = stack.enter_context(Client(server))
            return client, _worker_of(client)

        clients, workers = zip(*(connect() for _ in range(40)), strict=True)
        # Not 20 each: an acceptor that does not get to run is not waited for.
        assert min(map(workers.count, worker_processes(server.process.pid))) >= 12
        first, process = next(iter(worker_processes(server.process.pid).items()))
        for client, worker in zip(clients, workers, strict=True):
            if worker == first:
                client.close()
        _wait_for_ends(server, process)
        assert [connect()[1] for _ in range(12)].count(first) >= 8
    server.stop()


def test_clients_of_a_worker_with_far_more_connections_are_asked_to_connect_anew(start: StartServer) -> None:
    server = start(WORKERS=2)
    _wait_for_both(server)
    (victim, survivor) = worker_processes(server.process.pid).values()
    _kill(server, victim)
    clients = [Client(server) for _ in range(12)]
    assert {_worker_of(client) for client in clients} == {survivor.pid}

    def are_spread() -> bool:
        workers = []
        for place, client in enumerate(clients):
            answer = client.ask(post(rows(0, pid=1)))
            assert status(answer) == 200
            workers.append(_predicted(answer))
            if b"connection: close\r\n" in answer:
                assert client.rest() == b""
                client.close()
                clients[place] = Client(server)
        return workers.count(survivor.pid) <= 8

    server.wait_until(are_spread, "clients with the replacement")
    for client in clients:
        client.close()
    server.stop()


def test_a_worker_that_loads_its_model_gets_no_connections_while_another_is_ready(
    start: StartServer, model: ControlledModel
) -> None:
    server = start(WORKERS=2)
    _wait_for_both(server)
    model.hold_gil_while_loading(4)
    (victim, survivor) = worker_processes(server.process.pid).values()
    _kill(server, victim)
    server.wait_until(lambda: len(worker_processes(server.process.pid)) == 2, "a replacement")
    answered = []
    while server.log().count("Model loaded") == 2:
        with Client(server) as client:
            answered.append(_worker_of(client))
    assert answered.count(survivor.pid) > len(answered) / 2
    server.stop()


def test_no_acceptor_outlives_its_worker(start: StartServer) -> None:
    server = start()
    (acceptor,) = acceptors_of(server.process.pid)
    server.process.kill()
    server.wait()
    assert not runs(acceptor)


def test_a_replaced_worker_brings_an_acceptor_of_its_own(start: StartServer) -> None:
    server = start(WORKERS=2)
    victim = next(iter(worker_processes(server.process.pid).values()))
    _kill(server, victim)
    server.wait_until(lambda: len(acceptors_of(server.process.pid)) == 2, "a new one")
    server.stop()


def test_an_extension_has_its_probes_to_itself(start: StartServer, model: ControlledModel) -> None:
    middleware = """
from starlette.responses import PlainTextResponse


def init_app(app):
    @app.middleware("http")
    async def guard(request, call_next):
        return PlainTextResponse("guarded", 200 if request.headers.get("key") else 401)
"""
    (model.path / "custom_fastapi.py").write_text(middleware)
    server = start(ready=None)
    server.wait_until(lambda: server.status("/livez") == 401, "an answer")
    assert status(ask(server, get("/livez", "key: 1"))) == 200
    assert not acceptors_of(server.process.pid)


def test_who_finds_no_descriptor_free_is_served_later(start: StartServer) -> None:
    server = start()
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (100, 100))  # its acceptor has plenty
    clients = [Client(server).send(get("/info/")) for _ in range(200)]
    served = []
    while clients:
        served.append(status(clients[0].answer()))
        clients.pop(0).close()
    assert served == [200] * 200
    assert "Out of descriptors" in server.log()
    server.stop()
