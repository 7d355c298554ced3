import numpy as np
import pytest

from clipnav.training.batches import BucketedBatchOrder


@pytest.fixture
def lengths():
    return np.random.default_rng(0).integers(10, 50, 103)


def order(lengths, seed=0, bucket=4, batch_size=8):
    names = [str(index) for index in range(len(lengths))]
    return BucketedBatchOrder(names, lengths, batch_size, bucket, seed)


def test_an_epoch_has_every_episode_at_most_once(lengths):
    batches = order(lengths)
    assert batches.batches_per_epoch == 12
    seen = [name for iteration in range(12) for name in batches.batch(iteration)]
    assert len(seen) == len(set(seen)) == 96
    later = [name for iteration in range(12, 24) for name in batches.batch(iteration)]
    assert later != seen


def test_a_batch_depends_on_seed_and_iteration_alone(lengths):
    one, other = order(lengths), order(lengths)
    backwards = {iteration: other.batch(iteration) for iteration in reversed(range(30))}
    assert all(one.batch(iteration) == backwards[iteration] for iteration in range(30))
    assert order(lengths, seed=1).batch(0) != one.batch(0)


def test_buckets_save_padding(lengths):
    def padding(batches):
        return sum(
            max(sizes) * len(sizes) - sum(sizes)
            for sizes in (
                [int(lengths[int(name)]) for name in batches.batch(iteration)]
                for iteration in range(12)
            )
        )

    assert padding(order(lengths, bucket=12)) < 0.3 * padding(order(lengths, bucket=1))


def test_batches_are_multiples_of_a_group():
    names = ["a", "b", "c", "d", "e", "f", "g"]
    few = BucketedBatchOrder(names, [1] * 7, batch_size=64, bucket=1, seed=0, multiple=2)
    assert len(few.batch(0)) == 6
    with pytest.raises(ValueError, match="7 episodes, but a batch needs at least 8"):
        BucketedBatchOrder(names, [1] * 7, batch_size=64, bucket=1, seed=0, multiple=8)


def test_a_batch_that_is_smaller_than_the_number_of_ranks_is_refused(lengths):
    names = [str(number) for number in range(len(lengths))]
    BucketedBatchOrder(names, lengths, 8, 16, 0, multiple=8)
    with pytest.raises(ValueError, match="--batch-size 8: 16 processes share a batch"):
        BucketedBatchOrder(names, lengths, 8, 16, 0, multiple=16)
