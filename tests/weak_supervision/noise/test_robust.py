"""Training on wrong labels: small cases by hand, and what each strategy must achieve."""

import copy
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from weak_supervision.noise import RobustHead
from weak_supervision.noise.robust_training import TrainingConfig, train_robustly
from weak_supervision.noise.strategies import (
    STRATEGIES,
    CoTeaching,
    ForwardCorrection,
    Noise,
    SmallLossMixture,
    Strategy,
    clean_probability,
)
from weaklight.errors import ConfigError, DataError, TrainingError


def noisy(*, n: int = 2000, rate: float, seed: int = 0, k: int = 4, d: int = 24):
    """Return features, labels of which ``rate`` are wrong, and 1,000 clean rows to judge by."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d))
    truth = rng.integers(0, k, n + 1000)
    x = (centres[truth] + 1.3 * rng.normal(size=(n + 1000, d))).astype(np.float32)
    wrong = rng.random(n) < rate
    y = np.where(wrong, (truth[:n] + rng.integers(1, k, n)) % k, truth[:n])
    return x[:n], y, x[n:], truth[n:]


OPTIONS = {"hidden": 256, "epochs": 25, "batch_size": 128, "lr": 3e-3}


@pytest.fixture(scope="module")
def plain() -> float:
    x, y, x_test, truth = noisy(rate=0.4)
    return float(
        (RobustHead(strategy="plain", **OPTIONS).fit(x, y).predict(x_test) == truth).mean()
    )


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"plain", "forward"}))
def test_beats_plain_cross_entropy_at_forty_percent_noise(strategy: str, plain: float) -> None:
    x, y, x_test, truth = noisy(rate=0.4)
    head = RobustHead(strategy=strategy, noise_rate=0.4, **OPTIONS).fit(x, y)
    assert (head.predict(x_test) == truth).mean() > plain + 0.04
    proba = head.predict_proba(x_test)
    assert proba.dtype == np.float32 and proba.sum(axis=1) == pytest.approx(1)


def test_forward_correction_undoes_noise_of_one_direction() -> None:
    rng = np.random.default_rng(0)
    x, truth, x_test, truth_test = noisy(rate=0.0, n=3000)
    flipped = (truth == 0) & (rng.random(3000) < 0.6)  # most of class 0 is labelled 1
    y = np.where(flipped, 1, truth)
    found = {
        name: RobustHead(strategy=name, epochs=30, lr=1e-2, hidden=0).fit(x, y).predict(x_test)
        for name in ("plain", "forward")
    }
    recall = {name: (f[truth_test == 0] == 0).mean() for name, f in found.items()}
    assert recall["forward"] > recall["plain"] + 0.2


def test_the_transition_matrix_is_revised_by_the_labels() -> None:
    truth = torch.tensor([0, 1]).repeat_interleave(1000)
    labels = truth.clone()
    labels[:300] = 1  # of class 0, 0.3 are labelled 1
    plan = ForwardCorrection(torch.eye(2)[labels], Noise(0.0, torch.eye(2)), epochs=1)
    assert plan.transition.tolist()[0] == pytest.approx([0.95, 0.05])
    estimated = Noise(0.15, torch.tensor([[0.7, 0.3], [0.0, 1.0]]))
    start = ForwardCorrection(torch.eye(2)[labels], estimated, epochs=1).transition
    assert start.ravel().tolist() == pytest.approx([0.68, 0.32, 0.05, 0.95])
    (group,) = plan.parameter_groups(0.01)
    optimiser = torch.optim.AdamW([group])
    known = 20.0 * torch.eye(2)[truth]  # a network that is sure, and right
    for _ in range(300):
        optimiser.zero_grad()
        plan.losses(known, plan.targets, torch.arange(2000)).mean().backward()
        optimiser.step()
    of_first, of_second = plan.transition.tolist()
    assert of_first == pytest.approx([0.7, 0.3], abs=0.02) and of_second[1] > 0.99


def test_forward_correction_starts_from_right_labels_where_rows_are_few() -> None:
    x, y, x_test, truth = noisy(rate=0.0, n=39)  # 40 would do for an estimate of 4 classes
    head = RobustHead(epochs=40).fit(x, y)
    assert head.noise_rate_ is None and (head.predict(x_test) == truth).mean() > 0.6
    assert RobustHead(epochs=1).fit(*noisy(rate=0.0, n=40)[:2]).noise_rate_ is not None


def test_dropout_on_inputs_keeps_labels_from_being_learnt_by_heart() -> None:
    x, y, _, _ = noisy(rate=0.4, n=600, d=256)
    by_heart = {}
    for share in (0.0, 0.5, None):
        head = RobustHead(strategy="plain", hidden=64, input_dropout=share).fit(x, y)
        by_heart[share] = (head.predict(x) == y).mean()
    assert by_heart[0.5] < by_heart[0.0] - 0.03
    assert by_heart[None] == by_heart[0.5]  # the default of wide features


def test_co_teaching_learns_from_what_the_peer_finds_easy() -> None:
    plan = CoTeaching(torch.eye(4), Noise(rate=0.5, transition=torch.eye(4)), epochs=30)
    losses = [torch.tensor([4.0, 3.0, 2.0, 1.0]), torch.tensor([1.0, 9.0, 2.0, 8.0])]
    assert plan.chosen(losses, 0, epoch=29).tolist() == [1, 0, 1, 0]  # small for the other
    assert plan.chosen(losses, 1, epoch=29).tolist() == [0, 0, 1, 1]
    many = [torch.arange(100.0), torch.arange(100.0)]
    kept = [int(plan.chosen(many, 0, epoch).sum()) for epoch in (0, 4, 9, 29)]
    assert kept == [95, 75, 50, 50]  # right labels are fitted first: a third of the epochs


def test_the_mixture_splits_two_heaps_of_losses() -> None:
    losses = np.r_[np.full(60, 0.1), np.full(40, 2.0)] + np.linspace(0, 0.05, 100)
    w = clean_probability(losses)
    assert w[:60].min() > 0.9 and w[60:].max() < 0.1
    assert (clean_probability(np.full(5, 0.3)) == 1).all()


def test_the_mixture_puts_what_both_say_in_place_of_labels_that_the_peer_finds_hard() -> None:
    truth = torch.arange(60) % 2
    labels = torch.eye(2)[truth]
    labels[:20] = labels[:20].flip(1)  # wrong
    sure = 1.5 * torch.eye(2)[truth]
    odd = sure.clone()
    odd[40] = odd[40].flip(0)  # where the first network alone is wrong
    plan = SmallLossMixture(labels, Noise(rate=0.0, transition=torch.eye(2)), epochs=30)
    rows = torch.arange(60)
    plan.begin_epoch(2, lambda: [odd, sure])
    assert torch.equal(plan.targets_of(rows, 0), labels)  # networks learn plainly at first
    plan.begin_epoch(3, lambda: [odd, sure])
    p = torch.tensor(1.5).sigmoid()
    sharpened = p**2 / (p**2 + (1 - p) ** 2)
    of_first, of_second = (plan.targets_of(rows, i)[rows, truth] for i in (0, 1))
    for refined in (of_first, of_second):
        assert refined[:20].tolist() == pytest.approx([sharpened.item()] * 20, abs=0.01)
        assert refined[41:].tolist() == pytest.approx([1.0] * 19, abs=0.01)
    assert of_first[40].item() == pytest.approx(1.0, abs=0.01)  # the peer finds it easy
    assert of_second[40].item() == pytest.approx(0.5, abs=0.01)  # the two are of two minds


def test_weights_soft_targets_and_seeds() -> None:
    x, y, x_test, _ = noisy(rate=0.0, n=600)
    soft = np.eye(4, dtype=np.float32)[y]
    one = RobustHead(epochs=3, seed=1).fit(x, y).predict_proba(x_test)
    assert (RobustHead(epochs=3, seed=1).fit(x, soft).predict_proba(x_test) == one).all()
    assert (RobustHead(epochs=3, seed=2).fit(x, soft).predict_proba(x_test) != one).any()
    spoilt = np.vstack([x, np.full((50, x.shape[1]), np.nan, np.float32)])
    labels, weights = np.r_[y, np.zeros(50, int)], np.r_[np.ones(600), np.zeros(50)]
    assert (
        RobustHead(epochs=3, seed=1).fit(spoilt, labels, weights).predict_proba(x_test) == one
    ).all()
    blank = RobustHead(epochs=1).fit(x, y).predict_proba(np.full((1, x.shape[1]), np.nan))
    assert blank[0] == pytest.approx(np.bincount(y) / 600, abs=1e-6)


class Deaf(Strategy):
    """Believes no label: another target, no loss, no row chosen."""

    def targets_of(self, rows: torch.Tensor, network: int) -> torch.Tensor:
        return torch.full_like(self.targets[rows], 1 / self.targets.shape[1])

    def losses(
        self, logits: torch.Tensor, targets: torch.Tensor, rows: torch.Tensor
    ) -> torch.Tensor:
        return 0 * logits.sum(dim=1)

    def chosen(self, losses: list[torch.Tensor], network: int, epoch: int) -> torch.Tensor:
        return torch.zeros_like(losses[network])


@pytest.mark.parametrize("mixup", [0.0, 0.2])
def test_no_strategy_doubts_trusted_labels(monkeypatch: pytest.MonkeyPatch, mixup: float) -> None:
    monkeypatch.setitem(STRATEGIES, "deaf", Deaf)
    x, labels, x_test, truth = noisy(rate=0.0, n=400)
    trusted = torch.arange(400) < 200
    lies = torch.from_numpy((labels + 1) % 4)
    targets = torch.eye(4)[torch.where(trusted, torch.from_numpy(labels), lies)]
    right = {}
    for name, sure in (("trusted", trusted), ("none", None)):
        network = torch.nn.Linear(24, 4)
        torch.nn.init.zeros_(network.weight)
        torch.nn.init.zeros_(network.bias)
        train_robustly(
            [network],
            torch.from_numpy(x),
            targets,
            strategy="deaf",
            trusted=sure,
            config=TrainingConfig(epochs=40, lr=1e-2, mixup=mixup),
        )
        logits = network(torch.from_numpy(x_test)).detach()
        right[name] = (logits.argmax(dim=1).numpy() == truth).mean()
        assert name == "trusted" or not logits.any()  # nothing was learnt
    assert right["trusted"] > 0.75


def test_the_noise_is_that_of_the_labels_which_are_not_trusted() -> None:
    x, y, _, _ = noisy(rate=0.4, n=1500)
    right, labels, _, _ = noisy(rate=0.0, n=1500)  # the same items
    head = RobustHead(strategy="co_teaching", epochs=1)
    head.fit(
        np.concatenate([x, right]), np.concatenate([y, labels]), trusted=np.arange(3000) >= 1500
    )
    assert head.noise_rate_ == pytest.approx(0.4, abs=0.08)
    everything = np.ones(1500, bool)
    assert (
        RobustHead(strategy="co_teaching", epochs=1).fit(x, y, trusted=everything).noise_rate_
        is None
    )
    with pytest.raises(DataError, match="trusted must have the same rows"):
        head.fit(x, y, trusted=everything[:9])


def test_a_rate_that_is_given_is_not_estimated_and_takes_no_rows_to_do_so() -> None:
    x, y, _, _ = noisy(rate=0.4, n=12)
    head = RobustHead(strategy="co_teaching", epochs=1, noise_rate=0.3).fit(x, y)
    assert head.noise_rate_ == 0.3


def test_averaged_weights_predict_where_asked() -> None:
    x, y, _, _ = noisy(rate=0.4, n=300)
    network = torch.nn.Linear(x.shape[1], 4)
    targets = torch.eye(4)[torch.from_numpy(y)]
    (average,) = train_robustly(
        [network], torch.from_numpy(x), targets, config=TrainingConfig(epochs=2, ema=0.9)
    )
    assert average is not network
    assert not torch.equal(average.weight, network.weight)
    before = copy.deepcopy(network)
    (average,) = train_robustly(
        [network], torch.from_numpy(x[:16]), targets[:16], config=TrainingConfig(epochs=1, ema=0.9)
    )  # one batch, one step
    torch.testing.assert_close(average.weight, 0.9 * before.weight + 0.1 * network.weight)


def test_rows_without_weight_are_never_drawn() -> None:
    x, weights = torch.ones(100, 3), torch.ones(100)
    x[50:], weights[50:] = torch.nan, 0.0
    network = torch.nn.Linear(3, 2)
    train_robustly([network], x, torch.eye(2)[torch.arange(100) % 2], weights)
    assert torch.isfinite(network.weight).all()


def test_mixup_mixes_labels_as_it_mixes_what_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(Strategy):
        name = "watched"
        seen: ClassVar[list[float]] = []

        def losses(self, logits: torch.Tensor, targets: torch.Tensor, rows: torch.Tensor):
            torch.testing.assert_close(logits, targets)  # the network's input is the label itself
            self.seen += targets.max(dim=1).values.tolist()
            return super().losses(logits, targets, rows)

    monkeypatch.setitem(STRATEGIES, "watched", Watched)
    labels = torch.eye(4)[torch.arange(64) % 4]
    network = torch.nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.eye(4))
    config = TrainingConfig(epochs=1, mixup=1.0, lr=0.0)
    train_robustly([network], labels, labels, strategy="watched", config=config)
    assert len(Watched.seen) == 64 and min(Watched.seen) < 0.9


def test_early_stopping_returns_the_weights_of_the_best_epoch() -> None:
    x, y, x_dev, truth = noisy(rate=0.6, n=100, d=60)
    network, kept, losses = torch.nn.Linear(60, 4), [], []
    dev = torch.from_numpy(x_dev[:200]), torch.from_numpy(truth[:200])

    def look(epoch: int, logits: list[torch.Tensor]) -> None:
        kept.append(network.weight.detach().clone())
        losses.append(torch.nn.functional.cross_entropy(network(dev[0]), dev[1]).item())

    config = TrainingConfig(epochs=60, lr=3e-2, patience=4)
    targets = torch.eye(4)[torch.from_numpy(y)]
    train_robustly([network], torch.from_numpy(x), targets, config=config, dev=dev, on_epoch=look)
    best = int(np.argmin(losses))
    assert len(losses) == best + 5 < 60
    assert torch.equal(network.weight, kept[best]) and not torch.equal(kept[best], kept[-1])


def test_what_cannot_be_is_refused() -> None:
    x, y, _, _ = noisy(rate=0.0, n=50)
    with pytest.raises(ConfigError, match="no strategy is called 'magic'"):
        RobustHead(strategy="magic").fit(x, y)
    with pytest.raises(ConfigError, match="cannot be combined with mixup"):
        RobustHead(strategy="elr", mixup=1.0).fit(x, y)
    with pytest.raises(DataError, match="must have the same rows"):
        RobustHead().fit(x, y[:10])
    with pytest.raises(DataError, match="NaN or infinite"):
        RobustHead().fit(np.full_like(x, np.inf), y)
    with pytest.raises(TrainingError, match="the loss became"):
        RobustHead(strategy="plain", lr=1e30, epochs=3).fit(x, y)


class Shelf:
    """Checkpoints in memory; the process "dies" when the given epoch is to be kept."""

    def __init__(self, dies_at: int) -> None:
        self.dies_at, self.kept = dies_at, None

    def save(self, epoch: int, state: dict[str, Any]) -> None:
        if epoch == self.dies_at:
            raise KeyboardInterrupt
        self.kept = epoch, copy.deepcopy(state)

    def newest(self) -> tuple[int, dict[str, Any]] | None:
        return self.kept


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("plain", {"mixup": 0.5, "ema": 0.9, "patience": 4}),
        ("elr", {"ema": 0.9}),
        ("forward", {}),
        ("co_teaching", {}),
        ("small_loss_mixture", {"patience": 4}),
    ],
)
def test_interrupted_training_ends_with_the_same_weights(strategy: str, options: dict) -> None:
    x, y, x_dev, truth = noisy(rate=0.4, n=600)
    targets = torch.eye(4)[torch.from_numpy(y)]
    noise = Noise(rate=0.4, transition=torch.eye(4))

    def trained(shelf: Shelf | None) -> list[torch.Tensor]:
        torch.manual_seed(1)
        networks = [
            torch.nn.Sequential(torch.nn.Linear(24, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(),
                                torch.nn.Linear(16, 4))
            for _ in range(STRATEGIES[strategy].n_networks)
        ]  # fmt: skip
        done = train_robustly(
            networks, torch.from_numpy(x), targets, strategy=strategy, noise=noise,
            config=TrainingConfig(epochs=6, batch_size=64, **options),
            dev=(torch.from_numpy(x_dev), torch.from_numpy(truth)), checkpoints=shelf,
        )  # fmt: skip
        return [tensor for network in done for tensor in network.state_dict().values()]

    shelf = Shelf(dies_at=5)
    with pytest.raises(KeyboardInterrupt):
        trained(shelf)
    shelf.dies_at = 0
    for resumed, undisturbed in zip(trained(shelf), trained(None), strict=True):
        assert torch.equal(resumed, undisturbed)
