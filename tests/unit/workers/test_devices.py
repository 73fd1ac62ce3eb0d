"""A process for each core, or for two in turn over the GPUs; a process sees the GPU that it was given and no other."""

from collections import Counter

import dask
import distributed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.cluster import LOCAL_CONFIG, TASKS_A_WORKER, local_cluster
from workers.devices import CORES_EACH, LEAST_SHARE, MOST_ON_A_GPU, Gpu, Plan, names, plan, shared_by
from workers.environment import WORKER_ENVIRONMENT

GIB = 1 << 30
some_gpus = st.lists(st.integers(1, 140), max_size=9).map(
    lambda sizes: [Gpu(str(number), size * GIB) for number, size in enumerate(sizes)]
)


@given(gpus=some_gpus, workers=st.integers(0, 40), cores=st.integers(1, 64), dask_cuda=st.booleans())
def test_processes_take_turns_on_the_gpus_as_far_as_their_memory_goes(gpus, workers, cores, dask_cuda):
    found = plan(gpus, workers=workers, cores=cores, dask_cuda=dask_cuda)
    environments = found.environments()
    seen = [each.pop("CUDA_VISIBLE_DEVICES", None) for each in environments]
    told = [int(each.pop("FLYONCE_GPU_SHARED_BY", "0")) for each in environments]
    assert all(each == WORKER_ENVIRONMENT for each in environments)
    if not gpus:
        assert (found.processes, found.dask_cuda, seen) == (workers or cores, False, [None] * found.processes)
        return
    on = Counter(seen)
    assert told == [on[name] for name in seen]
    room = {gpu.name: max(1, min(MOST_ON_A_GPU, gpu.memory // LEAST_SHARE)) for gpu in gpus}
    assert found.processes == min(workers or max(cores // CORES_EACH, len(gpus)), sum(room.values()))
    # No card waits while another with as many processes is given one more.
    fair = min((on[name] for name in room if on[name] < room[name]), default=MOST_ON_A_GPU)
    assert all(on[name] <= min(room[name], fair + 1) for name in room)
    assert found.dask_cuda == (dask_cuda and found.processes <= len(gpus))
    if found.dask_cuda:
        assert max(on.values()) == 1


def test_a_process_that_no_plan_started_has_its_gpu_to_itself():
    (environment, _) = Plan(2, ("0", "0")).environments()
    assert (shared_by({}), shared_by(environment)) == (1, 2)


@pytest.mark.parametrize(
    ("count", "chosen", "expected"),
    [
        (2, None, ("0", "1")),
        (2, "3, 5", ("3", "5")),
        (1, "GPU-9baca7f5,7", ("GPU-9baca7f5",)),  # CUDA reads such a list up to the first that it does not know
        (0, "", ()),
        (0, "-1", ()),
    ],
)
def test_gpus_that_were_chosen_for_a_process_are_what_it_gives_on(count, chosen, expected):
    assert names(count, {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}) == expected


@pytest.mark.parametrize("wrong", [(0, ()), (2, ("0",)), (1, ("0", "1")), (2, ("0", "0"), True)])
def test_a_plan_that_nothing_can_start_cannot_be_made(wrong):
    with pytest.raises(ValueError, match="GPU"):
        Plan(*wrong)


def test_each_process_of_a_plan_sees_its_own_gpu_and_the_environment_of_workers():
    """Without dask-cuda; what they see, no GPU is needed to say."""

    def environment():
        import os

        return dict(os.environ)

    with (
        dask.config.set(LOCAL_CONFIG),
        local_cluster(Plan(2, ("3", "5"))) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(2, timeout=300)
        seen = list(client.run(environment).values())
        assert set(client.nthreads().values()) == {TASKS_A_WORKER}
    assert sorted(each["CUDA_VISIBLE_DEVICES"] for each in seen) == ["3", "5"]
    for each in seen:
        assert {name: each.get(name) for name in WORKER_ENVIRONMENT} == WORKER_ENVIRONMENT
