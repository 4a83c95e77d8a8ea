"""The papers' experiments: that they run, hold what they claim, and are drawn."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import scorematch
from scorematch.__main__ import main
from scorematch.papers import Claim, Findings, Paper, Table, catalogue, find, run

matplotlib = pytest.importorskip("matplotlib")

NAMES = [
    "andy-jones",
    "efficiency",
    "hyvarinen2005-gaussian",
    "hyvarinen2005-ica",
    "hyvarinen2005-overcomplete",
    "liu2022-polygon",
    "measured-graphs",
    "song-ermon2019-two-modes",
    "song2019-sliced",
    "swersky2011-rbm",
    "vincent2011-denoising",
    "yu2019-edge-recovery",
    "yu2019-exponential-rate",
]


def assert_is_a_picture(path):
    """An image of a fair size with ink in all of its quarters."""
    from matplotlib.image import imread

    image = imread(path)[..., :3]
    height, width = image.shape[:2]
    assert height >= 400
    assert width >= 600
    for rows in (slice(None, height // 2), slice(height // 2, None)):
        for columns in (slice(None, width // 2), slice(width // 2, None)):
            assert np.mean(image[rows, columns].min(axis=-1) < 0.9) > 0.005


def test_the_list_is_complete(capsys):
    assert list(catalogue()) == sorted(NAMES)
    assert main(["paper"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(NAMES)
    for line, paper in zip(lines, catalogue().values(), strict=True):
        assert line.endswith(f"  {paper.description}")
        assert len(line) <= 120
    assert main(["paper", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_paper(name, tmp_path, capsys):
    code = main(["paper", name, "--quick", "--output", str(tmp_path / "figures")])
    out, err = capsys.readouterr()
    assert code == 0, out
    assert err == ""
    assert out.startswith(f"{name}: {find(name).description}\n{find(name).reference}\n")
    assert "  yes  " in out
    assert "  no   " not in out
    assert "claims hold (quick run, seed 0, " in out
    assert_is_a_picture(tmp_path / "figures" / f"{name}.png")


def test_json_and_the_current_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["paper", "andy-jones", "--json", "--seed", "3"]) == 0
    out = json.loads(capsys.readouterr().out)
    result = run("andy-jones", seed=3)
    assert result.figure is None
    expected = {**result.to_dict(), "figure": "andy-jones.png", "seconds": out["seconds"]}
    assert out == json.loads(json.dumps(expected))
    assert out["tables"][0]["columns"]["Hessian term"][0] == -5
    assert [path.name for path in tmp_path.iterdir()] == ["andy-jones.png"]


def test_seeds():
    first, again, other = (run("andy-jones", seed=seed) for seed in (1, 1, 2))
    assert first.report().splitlines()[:-1] == again.report().splitlines()[:-1]
    assert str(first.tables[0]) != str(other.tables[0])
    assert str(first) == first.report()
    assert first.holds


def failing(seed, quick):
    def draw(figure):
        figure.subplots().plot([0, 1])

    claims = [Claim.at_most("what is small", 0.5, 1), Claim.at_most("what is not", float("nan"), 1)]
    return Findings([Table("numbers", {"n": [seed]})], claims, draw)


def test_a_claim_that_fails(tmp_path, capsys, monkeypatch):
    paper = Paper("failing", "nowhere", "fails", failing)
    monkeypatch.setattr("scorematch.papers._run.catalogue", lambda: {"failing": paper})
    assert main(["paper", "failing", "--output", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "  yes  what is small: found 0.5, expected at most 1\n" in out
    assert "  no   what is not: found nan, expected at most 1\n" in out
    assert "1 of 2 claims FAILED" in out
    assert (tmp_path / "failing.png").exists()
    assert main(["paper", "failing", "--json", "--output", str(tmp_path)]) == 1
    out = json.loads(capsys.readouterr().out)
    assert out["holds"] is False
    assert [claim["holds"] for claim in out["claims"]] == [True, False]
    assert out["claims"][1]["found"] is None
    assert not run("failing").holds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["andyjones"], "unknown paper 'andyjones'; did you mean 'andy-jones'? Papers are andy-jones, "),
        (["zzz"], "unknown paper 'zzz'. Papers are andy-jones, "),
        (["andy-jones", "--seed", "-1"], "seed must be an integer from 0 to 4294967295; got -1"),
        (["andy-jones", "--seed", "one"], "invalid int value: 'one'"),
        (["andy-jones", "--output", "file.txt"], "file.txt: "),
        (["andy-jones", "--fast"], "unknown option '--fast'"),
    ],
)
def test_wrong_use(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").touch()
    assert main(["paper", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("scorematch: error: ")
    assert err.count("\n") == 1
    assert message in err


def test_without_matplotlib(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["paper", "andy-jones"]) == 2
    assert capsys.readouterr().err == 'scorematch: error: figures need matplotlib: pip install "scorematch[plot]"\n'
    assert run("andy-jones").holds  # without a figure nothing needs it


def test_what_a_list_loads():
    program = (
        "import sys; from scorematch.__main__ import main; main(['paper']); "
        "print(*{'scipy', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_tables():
    table = Table(
        "title", {"word": ["a", "bcd"], "n": [10, 9], "x": [0.5, -12.25], "small": [1e-12, 2.0]}, {"small": ".0e"}
    )
    assert str(table).splitlines() == [
        "title",
        "  word   n       x  small",
        "  a     10    0.50  1e-12",
        "  bcd    9  -12.25  2e+00",
    ]


def test_claims():
    assert Claim.at_most("", 1, 1).holds
    assert not Claim.at_most("", 1.1, 1).holds
    assert Claim.at_least("", 1, 1).holds
    assert not Claim.at_least("", 0.9, 1).holds
    assert Claim.near("", 1.1, 1, 0.2).holds
    assert not Claim.near("", 0.7, 1, 0.2).holds
    assert Claim.estimated("", 1.3, 1, 0.1).holds
    assert not Claim.estimated("", 1.5, 1, 0.1).holds
    nan = float("nan")
    claims = (
        Claim.at_most("", nan, 1),
        Claim.at_least("", nan, 1),
        Claim.near("", nan, 1, 1),
        Claim.estimated("", nan, 1, 1),
    )
    assert not any(claim.holds for claim in claims)


# -- formulas that experiments hold the library against ------------------------------------------------------------


def test_maximum_likelihood_of_ica():
    """Stationary: E[g(s)sᵀ] = −I on the sample, for the sources that it finds."""
    from scorematch.papers.hyvarinen2005_ica import maximum_likelihood

    rng = np.random.default_rng(0)
    X = rng.logistic(size=(2000, 4)) @ rng.normal(size=(4, 4))
    for nonlinearity, power, rate in (("logistic", 2, np.pi / (2 * np.sqrt(3))), ("logcosh", 1, 1)):
        s = (X - X.mean(axis=0)) @ maximum_likelihood(X, nonlinearity, rng).T
        np.testing.assert_allclose(power * rate * np.tanh(rate * s).T @ s / len(s), np.eye(4), atol=1e-4)


def test_errors_of_ica_do_not_see_order_and_sign():
    from scorematch.papers.hyvarinen2005_ica import crosstalk, squared_error

    product = np.eye(4) + 0.01 * np.random.default_rng(0).normal(size=(4, 4))
    turned = -product[[2, 0, 3, 1]]
    assert squared_error(turned) == pytest.approx(((product - np.eye(4)) ** 2).sum())
    off = product - np.diag(np.diagonal(product))
    assert crosstalk(turned * [[3], [1], [2], [1]]) == pytest.approx(((off / np.diagonal(product)[:, None]) ** 2).sum())


def test_asymptotic_variances_of_ica():
    """Against the sandwich of a large sample, from differences of the objective, sample by sample."""
    from scorematch.papers.hyvarinen2005_ica import asymptotic_variances

    S = np.random.default_rng(0).logistic(scale=np.sqrt(3) / np.pi, size=(1_000_000, 2))
    step = 1e-3
    ahead, behind = (
        [
            scorematch.ICA.from_params(
                components=np.eye(2) + sign * step * direction.reshape(2, 2), nonlinearity="logistic"
            )
            for direction in np.eye(4)
        ]
        for sign in (1, -1)
    )
    gradients = np.column_stack(
        [(a.hyvarinen_score(S) - b.hyvarinen_score(S)) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
    )
    slopes = [
        a.loss_and_grad(a.theta_, S)[1] - b.loss_and_grad(b.theta_, S)[1] for a, b in zip(ahead, behind, strict=True)
    ]
    inverse = np.linalg.inv(np.array(slopes) / (2 * step))
    covariance = inverse @ (gradients.T @ gradients / len(S)) @ inverse
    (pair, _), (scale, _) = asymptotic_variances()
    np.testing.assert_allclose(np.diagonal(covariance), [scale, pair, pair, scale], rtol=0.05)


def test_quadrature_in_the_polygon():
    """Against uniform draws, and maximum likelihood against its own equation."""
    from scorematch.papers.liu2022_polygon import maximum_likelihood, polygon, truncated, truncated_moments

    U = polygon().sample_uniform(200_000, random_state=0)
    for mu in ([2.0, 2.0], [0.5, -1.0]):
        weight = np.exp(-((U - mu) ** 2).sum(axis=1) / 2)
        mean = weight @ U / weight.sum()
        covariance = np.cov(U.T, aweights=weight, bias=True)
        found, spread = truncated_moments(np.array(mu))
        np.testing.assert_allclose(found, mean, atol=0.01)
        np.testing.assert_allclose(spread, covariance, atol=0.01)
        points, chance = truncated(np.array(mu), 100)
        assert polygon().contains(points).all()
        np.testing.assert_allclose(chance @ points, found, atol=1e-12)
    X = np.array([[1.8, 1.1], [2.2, 1.3], [1.5, 0.8]])
    np.testing.assert_allclose(truncated_moments(maximum_likelihood(X))[0], X.mean(axis=0), atol=1e-9)


def test_variances_of_the_rate():
    """By hand for the cap, and against the sandwich of a large sample."""
    from scorematch.papers.yu2019_exponential_rate import variance

    for cap, rate in ((1.0, 1.0), (3.0, 1.0), (0.5, 2.0)):
        assert variance(scorematch.MinPower(c=cap), rate) == pytest.approx(1 / -np.expm1(-rate * cap), rel=1e-3)
    x = np.random.default_rng(0).exponential(0.5, size=1_000_000)
    h, slope = np.log1p(x), 1 / (1 + x)
    assert variance(scorematch.Log1p(), 2.0) == pytest.approx(np.var(2 * h - slope) / h.mean() ** 2 / 4, rel=0.01)


def test_measurements_and_strengths():
    """Rows on the boundary are counted; strengths are partial correlations, whose signs are those of minus K."""
    from scorematch.papers.measured_graphs import around_a_circle, nuclei, strengths, wines

    assert (wines().X.shape, wines().n_dropped) == ((178, 13), 0)
    assert (nuclei().X.shape, nuclei().n_dropped) == ((556, 8), 13)
    assert "area" not in nuclei().names
    K = np.array([[4.0, -1.0, 0.0], [-1.0, 1.0, 0.3], [0.0, 0.3, 9.0]])
    found = strengths(scorematch.PairwiseInteraction.from_params(interaction=K, linear=np.zeros(3)))
    np.testing.assert_allclose(found, [[0, 0.5, 0], [0.5, 0, -0.1], [0, -0.1, 0]])
    assert sorted(around_a_circle(found)) == [0, 1, 2]


def test_variances_over_projections():
    """Against draws; and what projections add to a precision matrix, against a mean over x of the formulas."""
    from scorematch.papers.song2019_sliced import SLICINGS

    d, rng = 4, np.random.default_rng(0)
    B = rng.standard_normal((d, d))
    B = B + B.T
    v = {"rademacher": rng.choice([-1.0, 1.0], (200_000, d)), "gaussian": rng.standard_normal((200_000, d))}
    v["sphere"] = np.sqrt(d) * v["gaussian"] / np.linalg.norm(v["gaussian"], axis=1, keepdims=True)
    x = rng.standard_normal((30_000, d, 1))
    for slicing in SLICINGS:
        drawn = v[slicing.distribution]
        assert slicing.variance(B) == pytest.approx(np.var((drawn @ B * drawn).sum(axis=1)), rel=0.02)
        total = 0.0
        for i, j in zip(*np.triu_indices(d), strict=True):
            # −vᵀPv and, where it depends on v, ½(vᵀPx)², differentiated at P = I along the symmetric unit matrix.
            unit = np.zeros((d, d))
            unit[i, j] += 0.5
            unit[j, i] += 0.5
            slope = -unit
            if not slicing.variance_reduction:
                product = x @ (unit @ x).swapaxes(1, 2)
                slope = slope + (product + product.swapaxes(1, 2)) / 2
            total += float(np.mean(slicing.variance(slope)))
        assert slicing.added_variance(d) == pytest.approx(total, rel=0.03)


def test_denoising_of_a_weight():
    """Without a control variate its variance grows as 1/σ²; with much noise it is that of the mean of the data."""
    from scorematch.papers.efficiency import WEIGHT
    from scorematch.papers.vincent2011_denoising import HALF_DISTANCE, PLAIN, weight_variance

    m = HALF_DISTANCE
    assert weight_variance(PLAIN, 0.02) == pytest.approx(25 * weight_variance(PLAIN, 0.1), rel=0.05)
    assert weight_variance(PLAIN, 100.0) == pytest.approx(WEIGHT * (1 - WEIGHT) + 1 / (4 * m**2), rel=0.01)
