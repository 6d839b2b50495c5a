import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from weak_supervision.bags import AttentionBagClassifier
from weaklight.errors import DataError


def planted_bags(n_bags=200, d=32, seed=0):
    """Return bags of 3 to 9 instances, their labels, and which instances are positive."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=d)
    direction *= 5 / np.linalg.norm(direction)
    bags, labels, positive = [], [], []
    for _ in range(n_bags):
        is_positive = rng.random(rng.integers(3, 10)) < 0.12
        bags.append(rng.normal(size=(len(is_positive), d)) + is_positive[:, None] * direction)
        labels.append(int(is_positive.any()))
        positive.append(is_positive)
    return bags, np.array(labels), positive


@pytest.fixture(scope="module")
def trained():
    bags, labels, _ = planted_bags()
    return AttentionBagClassifier().fit(bags, labels)


@pytest.mark.parametrize("gated", [True, False])
def test_planted_bags_and_instances_are_found(gated):
    bags, labels, _ = planted_bags()
    model = AttentionBagClassifier(gated=gated).fit(bags, labels)
    fresh, fresh_labels, positive = planted_bags(seed=1)
    # the same direction: drawn first from its own generator
    direction = np.random.default_rng(0).normal(size=32)
    other = np.random.default_rng(1).normal(size=32)
    shift = 5 * (direction / np.linalg.norm(direction) - other / np.linalg.norm(other))
    fresh = [bag + hit[:, None] * shift for bag, hit in zip(fresh, positive, strict=True)]
    assert roc_auc_score(fresh_labels, model.predict_proba(fresh)[:, 1]) > 0.9
    scores = np.concatenate(model.predict_instances(fresh))[:, 1]
    assert roc_auc_score(np.concatenate(positive), scores) > 0.9


def test_padding_never_changes_an_answer(trained):
    bags, _, _ = planted_bags(n_bags=12, seed=2)
    together = trained.predict_proba(bags)
    alone = np.concatenate([trained.predict_proba([bag]) for bag in bags])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    for attention, bag in zip(trained.attention_of(bags), bags, strict=True):
        assert len(attention) == len(bag)
        np.testing.assert_allclose(attention.sum(), 1.0, rtol=1e-5)


def test_order_in_a_bag_does_not_matter(trained):
    bags, _, _ = planted_bags(n_bags=5, seed=3)
    flipped = [bag[::-1] for bag in bags]
    np.testing.assert_allclose(
        trained.predict_proba(flipped), trained.predict_proba(bags), atol=1e-6
    )
    for one, other in zip(
        trained.predict_instances(bags), trained.predict_instances(flipped), strict=True
    ):
        np.testing.assert_allclose(other[::-1], one, atol=1e-6)


def test_an_instance_is_a_bag_of_one(trained):
    bag = planted_bags(n_bags=1, seed=4)[0][0]
    scores = trained.predict_instances([bag])[0]
    singles = trained.predict_proba([instance[None] for instance in bag])
    np.testing.assert_array_equal(scores, singles)


def test_a_seed_repeats_itself_and_leaves_torch_alone():
    bags, labels, _ = planted_bags(n_bags=40)
    before = torch.get_rng_state()
    first = AttentionBagClassifier(epochs=3, seed=5).fit(bags, labels).predict_proba(bags)
    again = AttentionBagClassifier(epochs=3, seed=5).fit(bags, labels).predict_proba(bags)
    other = AttentionBagClassifier(epochs=3, seed=6).fit(bags, labels).predict_proba(bags)
    assert torch.equal(before, torch.get_rng_state())
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_wrong_bags_are_refused(trained):
    bags, labels, _ = planted_bags(n_bags=6)
    model = AttentionBagClassifier(epochs=1)
    with pytest.raises(DataError, match="kind teach nothing"):
        model.fit(bags, np.ones(6))
    with pytest.raises(DataError, match="one integer label"):
        model.fit(bags, labels[:-1])
    with pytest.raises(DataError, match="non-empty"):
        model.fit([*bags[:-1], bags[-1][:0]], labels)
    with pytest.raises(DataError, match="32 features"):
        trained.predict_proba([np.ones((2, 31))])
    with pytest.raises(DataError, match="finite"):
        trained.predict_proba([np.full((2, 32), np.nan)])
