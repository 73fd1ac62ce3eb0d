"""One process for each GPU, or for each core; and a process sees the GPU that it was given and no other."""

import dask
import distributed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.cluster import LOCAL_CONFIG, TASKS_A_WORKER, local_cluster
from workers.devices import Plan, names, plan
from workers.environment import WORKER_ENVIRONMENT

some_gpus = st.integers(0, 9).map(lambda count: [str(number) for number in range(count)])


@given(gpus=some_gpus, workers=st.integers(0, 20), cores=st.integers(1, 64), dask_cuda=st.booleans())
def test_no_gpu_is_given_to_two_processes_and_none_is_left_over(gpus, workers, cores, dask_cuda):
    found = plan(gpus, workers=workers, cores=cores, dask_cuda=dask_cuda)
    if gpus:
        assert list(found.gpus) == gpus[: found.processes]
        assert found.processes == (min(workers, len(gpus)) if workers else len(gpus))
        assert found.dask_cuda == dask_cuda
    else:
        assert (found.processes, found.gpus, found.dask_cuda) == (workers or cores, (), False)
    environments = found.environments()
    seen = [each.pop("CUDA_VISIBLE_DEVICES", None) for each in environments]
    assert seen == (list(found.gpus) or [None] * found.processes)
    assert all(each == WORKER_ENVIRONMENT for each in environments)


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


@pytest.mark.parametrize("wrong", [(0, ()), (2, ("0",)), (1, ("0", "1"))])
def test_a_plan_that_shares_a_gpu_cannot_be_made(wrong):
    with pytest.raises(ValueError, match="one GPU"):
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
