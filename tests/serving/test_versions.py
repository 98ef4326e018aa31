import asyncio
import time

import httpx
import numpy as np
import pytest
import tensorflow as tf
from server_thread import running
from tiny_saved_model import NAME, write_tiny_model

from serving.server.errors import RequestError, StartError
from serving.server.model import Model
from serving.server.versions import ModelSpec, State, VersionManager, load_and_warm_up
from serving.server.warmup import WARMUP_FILE


class Fake:
    """What a manager holds; `closed` tells whether it was unloaded."""

    def __init__(self, path):
        if (path / "broken").exists():
            raise StartError(f"{path} is broken")
        self.closed = False

    def close(self):
        self.closed = True


def manage(base, use):
    async def main():
        manager = VersionManager(base, "m", Fake)
        await manager.start()
        await use(manager)
        await manager.stop()

    asyncio.run(main())


def test_a_label_is_the_version_that_answers(tmp_path):
    (tmp_path / "3").mkdir()

    async def main():
        manager = VersionManager(tmp_path, "m", Fake, labels=["stable"])
        await manager.start()
        (tmp_path / "4").mkdir()
        await manager.poll()
        assert manager.find(ModelSpec("m", label="stable")).number == 4
        assert [each.number for each in manager.status(ModelSpec("m", label="stable"))] == [4]
        with pytest.raises(RequestError, match="Unrecognized servable version label: canary"):
            manager.find(ModelSpec("m", label="canary"))
        await manager.stop()

    asyncio.run(main())


def states(manager) -> dict[int, State]:
    return {version.number: version.state for version in manager.status(ModelSpec("m"))}


async def settle(condition):
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to be")


def test_the_highest_version_takes_over_and_the_old_one_ends_after_its_last_request(tmp_path):
    for name in ("2", "9", "notes", "partial-10"):
        (tmp_path / name).mkdir()

    async def use(manager):
        assert manager.current == 9 and states(manager) == {9: State.AVAILABLE}
        async with manager.use(ModelSpec("m")) as old:
            (tmp_path / "10").mkdir()
            await manager.poll()
            assert manager.current == 10
            await asyncio.sleep(0.1)
            assert not old.model.closed and states(manager)[9] == State.UNLOADING
            model = old.model
            with pytest.raises(RequestError, match=r"Specific\(m, 9\)"):
                manager.find(ModelSpec("m", 9))
        await settle(lambda: model.closed)
        assert states(manager) == {10: State.AVAILABLE, 9: State.END}

    manage(tmp_path, use)


def test_a_broken_version_leaves_the_old_one_until_it_is_mended(tmp_path):
    (tmp_path / "1").mkdir()

    async def use(manager):
        (tmp_path / "2").mkdir()
        (tmp_path / "2" / "broken").touch()
        await manager.poll()
        failed = manager.status(ModelSpec("m", 2))[0]
        assert manager.current == 1 and failed.state == State.END and "is broken" in failed.error
        # Nothing has changed, so nothing is tried: the same object is still there.
        await manager.poll()
        assert manager.status(ModelSpec("m", 2))[0] is failed
        (tmp_path / "2" / "broken").unlink()
        await manager.poll()
        assert manager.current == 2 and not manager.status(ModelSpec("m", 2))[0].error

    manage(tmp_path, use)


def test_removing_the_newest_goes_back_and_removing_all_changes_nothing(tmp_path):
    for name in ("1", "2"):
        (tmp_path / name).mkdir()

    async def use(manager):
        (tmp_path / "2").rmdir()
        await manager.poll()
        assert manager.current == 1
        (tmp_path / "1").rmdir()
        await manager.poll()
        assert manager.current == 1

    manage(tmp_path, use)


def test_what_is_no_base_is_refused_by_name(tmp_path, tiny_model):
    def start(base, load=Fake):
        asyncio.run(VersionManager(base, "m", load).start())

    for base in (tmp_path / "absent", tmp_path):
        with pytest.raises(StartError, match="holds no export"):
            start(base)
    with pytest.raises(StartError, match="is one version"):
        start(tiny_model / "1")
    (tmp_path / "1").mkdir()
    with pytest.raises(StartError, match="1 holds no SavedModel"):
        start(tmp_path, load_and_warm_up)
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(StartError, match="1 holds no SavedModel"):
        start(tmp_path, load_and_warm_up)
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(StartError, match="1 cannot be loaded"):
        start(tmp_path, load_and_warm_up)


def test_warm_up_requests_of_an_export_are_replayed(tmp_path, monkeypatch):
    """One that fails fails the load, as in TF Serving."""
    from tensorflow_serving.apis import prediction_log_pb2

    path = write_tiny_model(tmp_path / "1")
    called = []
    run = Model.run
    monkeypatch.setattr(
        Model, "run", lambda self, name, inputs: called.append(name) or run(self, name, inputs)
    )
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = "fragile"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b"fine"]))
    file = path / WARMUP_FILE
    file.parent.mkdir()

    def write():
        with tf.io.TFRecordWriter(str(file)) as writer:
            writer.write(log.SerializeToString())

    write()
    load_and_warm_up(path).close()
    assert called == ["fragile"]
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b"boom"]))
    write()
    with pytest.raises(StartError, match="boom is not taken"):
        load_and_warm_up(path)


def test_calls_under_way_end_before_a_model_is_closed(tiny_model):
    import threading

    model = Model(tiny_model / "1")
    inside, may_go = threading.Event(), threading.Event()
    call = model._calls["thumbnail"]

    def slow(*inputs):
        inside.set()
        may_go.wait()
        return call(*inputs)

    model._calls["thumbnail"] = slow
    found = []
    inputs = {"image_bytes": np.array([b"x"], object)}
    caller = threading.Thread(target=lambda: found.append(model.run("thumbnail", inputs)))
    caller.start()
    inside.wait()
    closer = threading.Thread(target=model.close)
    closer.start()
    time.sleep(0.05)
    may_go.set()
    caller.join()
    closer.join()
    assert found[0]["picture_bytes"].tolist() == [b"x"]


def test_under_load_no_request_is_dropped_while_versions_change(tmp_path):
    """Four clients, two switches and a broken version: every answer is there and right."""
    write_tiny_model(tmp_path / "1", "one")
    write_tiny_model(tmp_path / "partial" / "2", "two").rename(tmp_path / "two")
    answers, stop = [], False

    async def client(number):
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as rest:
            while not stop:
                text = f"{number} {len(answers)}"
                response = await rest.post(f"/v1/models/{NAME}:predict", json={"instances": [text]})
                assert response.status_code == 200, response.text
                tag, _, said = response.json()["predictions"][0]["caption"].partition(": ")
                assert said == text
                answers.append(tag)

    async def load():
        nonlocal stop
        clients = [asyncio.ensure_future(client(number)) for number in range(4)]
        try:
            await settle(lambda: len(answers) > 20)
            (tmp_path / "two").rename(tmp_path / "2")
            await until("two")
            (tmp_path / "3").mkdir()
            (tmp_path / "3" / "saved_model.pb").write_bytes(b"\xff")
            await asyncio.sleep(0.2)
            (tmp_path / "3" / "saved_model.pb").unlink()
            (tmp_path / "3").rmdir()
            (tmp_path / "2").rename(tmp_path / "gone")
            await until("one")
        finally:
            stop = True
        await asyncio.gather(*clients)

    async def until(tag):
        for _ in range(1000):
            if answers[-1] == tag:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{tag} does not answer")

    with running(tmp_path, NAME, poll_seconds=0.05) as server:
        asyncio.run(load())
