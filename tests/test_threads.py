"""Threads, processes and instruction-set levels, as a program meets them.

What changes the state of a process (a fork, the environment, the processors it may use) happens in one of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scorematch
from scorematch import _core
from scorematch._threads import effective_threads, one_blas_thread
from threadpoolctl import threadpool_info

TESTS = Path(__file__).parent

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
needs_threads = pytest.mark.skipif(not _core.has_threads(), reason="this build has no threads")

# A model and data for which threads start, and the bits of its results.
PRELUDE = """
import os, sys
import numpy as np
import scorematch
from scorematch import _core
from scorematch._threads import effective_threads

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 3))
means = rng.normal(size=(4, 3))

def model(n_jobs):
    return scorematch.GaussianMixture.from_params(
        weights=np.full(4, 0.25), means=means, covariances=np.ones((4, 3)), covariance_type="diag", n_jobs=n_jobs
    )

def bits(n_jobs, rows=X):
    m = model(n_jobs)
    loss, gradient = m.loss_and_grad(m.theta_, rows)
    return np.float64(loss).tobytes() + gradient.tobytes() + m.score_function(rows).tobytes()

def n_native_threads():
    return len(os.listdir("/proc/self/task"))
"""


def run(script, timeout=120, **environment):
    """Output of a script in a new process, as JSON; its errors are this test's."""
    environment = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        cwd=TESTS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# -- fork -----------------------------------------------------------------------------------------------------------


@needs_threads
@pytest.mark.parametrize("before", [0, 2], ids=["before any region", "after a region"])
def test_fork(before):
    """A child, and its child, can use threads; the parent still can afterwards."""
    script = f"""
    want = bits(1)
    if {before}:
        assert bits({before}) == want

    def child_result(run):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.write(write, run())
                status = 0
            finally:
                os._exit(status)
        os.close(write)
        found = os.read(read, 100)
        assert os.waitpid(pid, 0)[1] == 0
        return found

    def in_child():
        same = bits(2) == want and bits(3) == want and bits(2) == want
        nested = child_result(lambda: b"yes" if bits(2) == want else b"no")
        return (b"yes" if same else b"no") + nested

    found = child_result(in_child)
    print('"' + found.decode() + ("yes" if bits(2) == want else "no") + '"')
    """
    assert run(script) == "yesyesyes"


@needs_threads
def test_multiprocessing_by_fork():
    script = """
    import hashlib, multiprocessing

    def digest(n_jobs):
        return hashlib.sha256(bits(n_jobs)).hexdigest()

    want = digest(2)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(digest, [1, 2, 3, 2, 1, 2]).get(timeout=90)
    print("true" if found == [want] * 6 else "false")
    """
    assert run(script) is True


@needs_threads
def test_fork_from_another_thread():
    """The child's main thread is the one that forked, whose pool never was."""
    script = """
    import threading
    want = bits(2)
    status = []

    def fork():
        pid = os.fork()
        if pid == 0:
            os._exit(0 if bits(2) == want else 1)
        status.append(os.waitpid(pid, 0)[1])

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    print(status[0])
    """
    assert run(script) == 0


# -- Threads of Python ----------------------------------------------------------------------------------------------


def make_mixture(n_jobs):
    random = np.random.default_rng(0)
    return scorematch.GaussianMixture.from_params(
        weights=np.full(8, 1 / 8),
        means=random.normal(size=(8, 6)),
        covariances=np.tile(np.eye(6), (8, 1, 1)),
        n_jobs=n_jobs,
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_concurrent_calls(n_jobs):
    """Several threads of Python at once, each with data of its own."""
    random = np.random.default_rng(1)
    blocks = [random.normal(size=(3000 + 100 * i, 6)) for i in range(6)]
    model = make_mixture(n_jobs)

    def call(X):
        loss, gradient = model.loss_and_grad(model.theta_, X)
        return loss, gradient.tobytes(), model.score_function(X).tobytes()

    want = [call(X) for X in blocks]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, blocks * 5)) == want * 5


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_other_threads_run_during_a_call(n_jobs):
    """The interpreter is free while the core works."""
    X = np.random.default_rng(2).normal(size=(300_000, 6))
    model = make_mixture(n_jobs)
    loss = model._loss(X, None)  # nothing but the core runs while it is called

    def another_thread_runs_during(call):
        start, ran = threading.Event(), []

        def other():
            start.wait()
            ran.append(True)

        thread = threading.Thread(target=other)
        thread.start()
        start.set()
        call()
        during = bool(ran)
        thread.join()
        return during

    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # none is made to give way
    try:
        assert another_thread_runs_during(lambda: loss(model.theta_))
        assert not another_thread_runs_during(lambda: sum(range(100_000)))  # the test can fail
    finally:
        sys.setswitchinterval(interval)


# -- How many -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, 2.0, True, "2", [2]])
def test_bad_n_jobs(n_jobs):
    X = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.raises(ValueError, match="n_jobs must be None, -1 or a positive integer; got"):
        scorematch.Gaussian(n_jobs=n_jobs).fit(X)
    with pytest.raises(ValueError, match="n_jobs"):
        scorematch.Gaussian.from_params(mean=[0, 0], covariance=1.0, n_jobs=n_jobs).score(X)


@pytest.mark.parametrize("n_jobs", [None, -1, 1, 2, 7, 64, np.int64(3)])
def test_good_n_jobs(n_jobs):
    X = np.random.default_rng(0).normal(size=(10, 2))
    assert scorematch.Gaussian(n_jobs=n_jobs).fit(X).converged_
    threads = effective_threads(n_jobs)
    assert type(threads) is int
    assert threads >= 1 if n_jobs in (None, -1) else threads == n_jobs


@linux
@needs_threads
def test_as_many_threads_as_asked_for():
    """In the contract's cases too: else its comparison of threads would compare one with one.

    OpenMP keeps a team for each thread that calls it, until that thread ends: so each count is in a thread of its own.
    """
    script = """
    import threading, time, warnings
    from cases import FEW_EXAMPLES
    from test_contract import ITERATIVE, many_rows, row_weights

    bits(1)  # whatever libraries start when they are loaded
    base = n_native_threads()

    def started(call):
        counts = []
        def measure():
            call()
            counts.append(n_native_threads() - base - 1)
        for _ in range(500):  # a team takes its time to end
            if n_native_threads() == base:
                break
            time.sleep(0.01)
        thread = threading.Thread(target=measure)
        thread.start()
        thread.join()
        return counts[0]

    found = {"one": started(lambda: bits(1)), "three": started(lambda: bits(3))}
    found["few rows"] = started(lambda: bits(3, X[:2000]))
    warnings.simplefilter("ignore")
    for example in FEW_EXAMPLES:
        if not example.compiled:
            continue
        rows = example.data(example.case.n_rows_for_threads)
        m = example.model(n_jobs=3)
        found[example.name] = started(lambda: m.loss_and_grad(m.theta_, rows))
        found[example.name + ", per sample"] = started(lambda: m.hessian_trace(rows))
        if example.has_quadratic_form:
            found[example.name + ", fit"] = started(lambda: example.unfitted(n_jobs=3).fit(rows))
    import json
    print(json.dumps(found))
    """
    # BLAS has threads of its own, which are not meant.
    found = run(script, OMP_NUM_THREADS=None, OPENBLAS_NUM_THREADS="1")
    assert found.pop("one") == 0
    assert found.pop("few rows") == 0
    assert {name: started for name, started in found.items() if started != 2} == {}


@linux
@needs_threads
@pytest.mark.parametrize(
    ("setting", "want"), [("1", 1), ("1,4", 1), (" 1 ", 1), ("0", None), ("", None), ("many", None)]
)
def test_omp_num_threads(setting, want):
    script = (
        "print([effective_threads(None), effective_threads(-1), effective_threads(2), len(os.sched_getaffinity(0))])"
    )
    default, minus_one, two, processors = run(script, OMP_NUM_THREADS=setting)
    assert default == minus_one
    assert default == want if want is not None else 1 <= default <= processors
    assert two == 2


@linux
@needs_threads
def test_affinity():
    script = """
    effective_threads(None)  # what is found out once must not hide what comes later
    one = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {one})
    bits(1)  # whatever libraries start when they are loaded
    before = n_native_threads()
    bits(None)
    print([effective_threads(None), n_native_threads() - before])
    """
    assert run(script, OMP_NUM_THREADS=None, OPENBLAS_NUM_THREADS="1") == [1, 0]


@needs_threads
def test_openmp_settings_do_not_change_results():
    script = "print('true' if bits(2) == bits(1) == bits(3) else 'false')"
    assert run(script, OMP_DYNAMIC="true", OMP_MAX_ACTIVE_LEVELS="2", OMP_THREAD_LIMIT="2") is True


def test_joblib_workers_use_one_thread():
    """A worker that says how many threads are its share is heeded, and its bits are the same."""
    script = """
    import hashlib, joblib

    def work(i):
        import hashlib, json, os
        import numpy as np, scorematch
        from scorematch._threads import effective_threads
        X = np.random.default_rng(i).normal(size=(100_000, 4))
        return effective_threads(None), hashlib.sha256(scorematch.Gaussian().fit(X).theta_.tobytes()).hexdigest()

    here = [work(i)[1] for i in range(3)]
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        found = joblib.Parallel()(joblib.delayed(work)(i) for i in range(3))
    import json
    print(json.dumps([[threads for threads, _ in found], [digest for _, digest in found] == here]))
    """
    assert run(script) == [[1, 1, 1], True]


# -- Instruction-set levels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", _core.supported_levels())
def test_forced_level(isa):
    assert run("print('\"' + _core.level() + '\"')", SCOREMATCH_ISA=isa) == isa


@pytest.mark.parametrize("isa", [None, ""])
def test_highest_level_by_default(isa):
    assert run("print('\"' + _core.level() + '\"')", SCOREMATCH_ISA=isa) == _core.supported_levels()[-1]


def test_unknown_level_is_an_error_that_names_the_levels():
    script = "from scorematch import _core"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "SCOREMATCH_ISA": "v5"},
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: SCOREMATCH_ISA=v5 is not a level of this build; levels are ")
    assert all(level in last for level in _core.supported_levels())


def test_show_config_tells_the_level(level, capsys):
    scorematch.show_config()
    assert f"instruction-set level: {level}\n" in capsys.readouterr().out


# -- Import -----------------------------------------------------------------------------------------------------------


def import_time(module):
    """Processor time of an import, which a busy machine does not stretch."""
    script = f"import time; start = time.process_time(); import {module}; print(time.process_time() - start)"
    return float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


def test_import_costs_little_more_than_numpy():
    for module in ("numpy", "scorematch"):  # files into the cache
        import_time(module)
    pairs = [(import_time("numpy"), import_time("scorematch")) for _ in range(7)]
    assert statistics.median(ours - numpy for numpy, ours in pairs) < 0.15


def test_import_is_lazy():
    script = (
        "import sys, scorematch; dir(scorematch); print(*{'sklearn', 'scipy', 'joblib', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_blas_gets_its_threads_back():
    """Whatever the order in which threads come and leave, and whatever goes wrong inside."""

    def numbers():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    def fit(seed):
        X = np.random.default_rng(seed).standard_t(4, size=(200 + 100 * (seed % 3), 2))
        scorematch.StudentT(5.0, n_jobs=1).fit(X)

    def inside():
        with one_blas_thread(), one_blas_thread():
            return numbers()

    fit(0)  # loads all libraries
    before = numbers()
    assert before
    assert set(inside()) == {1}
    with ThreadPoolExecutor(1) as pool:
        assert set(pool.submit(inside).result()) == {1}
    with pytest.raises(KeyError), one_blas_thread(), one_blas_thread():
        raise KeyError
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fit, range(24)))
    assert numbers() == before
