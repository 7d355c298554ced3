import gc
import weakref

import pytest
import torch

from clipnav.agents.layers.accumulated import KeyGradient, dot, weighted_sum
from clipnav.agents.layers.attention import SoftDotAttention
from clipnav.agents.layers.encoders import Context

MASK = torch.arange(5) < torch.tensor([5, 3, 4, 1]).unsqueeze(1)


def words(seed=0):
    return torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def walk(attention, context, query):
    """Attend to the words at four steps, without the first row of the batch after each step."""
    total = query.new_zeros(())
    for _ in range(4):
        attended, weights = attention(
            query, context.words, context.mask, collector=context.collector
        )
        total = total + attended.square().sum() + weights[:, 0].sum()
        if len(query) == 1:
            break
        rest = torch.arange(1, len(query))
        query, context = torch.tanh(attended)[rest], context.rows(rest)
    return total


def gradients(collected, backward):
    """Return the gradients of words and query weights that `backward(loss of a seed)` leaves."""
    torch.manual_seed(0)
    attention = SoftDotAttention(6, 6)
    keys = words()

    def loss(seed):
        context = Context(keys, MASK)
        context = context.collected() if collected else context
        assert (context.collector is not None) == collected
        query = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
        query.requires_grad_()
        return walk(attention, context, query), query

    backward(loss)
    return keys.grad, attention.query.weight.grad


def once(loss):
    loss(1)[0].backward()


def two_walks_in_one_pass(loss):
    (loss(1)[0] + loss(2)[0]).backward()


def after_a_pass_that_skips_the_words(loss):
    total, query = loss(1)
    torch.autograd.grad(total, query, retain_graph=True)
    total.backward()


def after_an_interrupted_pass(loss):
    total, query = loss(1)

    def interrupt(_):
        raise KeyboardInterrupt

    handle = query.register_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        total.backward(retain_graph=True)
    handle.remove()
    total.backward()


@pytest.mark.parametrize(
    "backward", [once, two_walks_in_one_pass, after_a_pass_that_skips_the_words]
)
def test_gradients_are_those_of_torch(backward):
    for mine, theirs in zip(gradients(True, backward), gradients(False, backward), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_an_interrupted_pass_leaves_nothing_for_the_next():
    mine, _ = gradients(True, after_an_interrupted_pass)
    theirs, _ = gradients(True, once)
    torch.testing.assert_close(mine, theirs)


def test_a_pass_that_skips_the_words_keeps_no_tensors():
    keys, query = words(), torch.randn(4, 6, requires_grad=True)
    scores = KeyGradient(keys).dot(query, keys.detach())
    kept = weakref.WeakSet()
    scores.register_hook(kept.add)
    torch.autograd.grad(scores.square().sum(), query)
    del scores
    gc.collect()
    assert not list(kept)


def test_half_precision_gives_gradients_of_full_precision_keys():
    keys, query = words(), torch.randn(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        collector = KeyGradient(keys)
        scores = collector.dot(query, keys.detach())
        total = collector.weighted_sum(torch.softmax(scores, 1), keys.detach())
    total.float().square().sum().backward()
    mine, keys.grad = keys.grad, None
    weighted_sum(torch.softmax(dot(query, keys), 1), keys).square().sum().backward()
    assert mine.dtype == torch.float32
    torch.testing.assert_close(mine, keys.grad, rtol=0.1, atol=0.1)


def test_repeated_rows_are_refused():
    context = Context(words(), MASK).collected()
    with pytest.raises(ValueError, match="distinct"):
        context.rows(torch.tensor([0, 0]))


def test_words_are_copied_only_when_more_than_a_quarter_of_the_rows_have_ended():
    context = Context(words(), MASK).collected()
    most = context.rows(torch.tensor([0, 2, 3]))
    assert most.words is context.words
    few = most.rows(torch.tensor([1, 2]))
    torch.testing.assert_close(few.words, context.words[[2, 3]])
    torch.testing.assert_close(few.mask, context.mask[[2, 3]])
