"""kldanneal.lab.model: the LSTM VAE, against sentences run one by one, torch.distributions and probability itself."""

import inspect
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal

import kldanneal.lab.model
from kldanneal import VAELoss
from kldanneal.lab.corpora.corpus import BOS, EOS, PAD, UNK
from kldanneal.lab.model import LSTMVAE, POOLINGS

VOCAB, LATENT = 20, 3
SENTENCES = [[BOS, 5, 6, 7, EOS], [BOS, 8, EOS], [BOS, 9, 10, 11, 12, 13, EOS], [BOS, EOS]]
LENGTHS = [len(sentence) for sentence in SENTENCES]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def make(seed=0, scale=2.0, **options):
    """A small model in evaluation mode; its weights are enlarged, so that every input leaves a trace in the outputs."""
    model = LSTMVAE(VOCAB, **{"embedding": 6, "hidden": 8, "latent": LATENT, **options}, generator=seeded(seed))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model.eval()


def batch(sentences=SENTENCES, further=0):
    """(B, T), padded to the longest sentence, and further."""
    time = max(map(len, sentences)) + further
    return torch.tensor([sentence + [PAD] * (time - len(sentence)) for sentence in sentences])


def draw_z(n=4, seed=1):
    return torch.randn(n, LATENT, generator=seeded(seed))


# ------------------------------------------------------------------------------------------------------------ encoder


def test_shapes():
    model, x = make(), batch()
    logits, targets, mu, logvar = model(x)
    tokens = sum(LENGTHS) - len(SENTENCES)  # everything but <bos> is predicted
    assert logits.shape == (tokens, VOCAB) and targets.shape == (tokens,)
    assert mu.shape == logvar.shape == (len(SENTENCES), LATENT)
    assert model.log_likelihood(x, mu).shape == (len(SENTENCES),)
    assert model.generate(mu, max_length=5).shape[0] == len(SENTENCES)
    assert model(x[:1])[0].shape == (LENGTHS[0] - 1, VOCAB)  # a batch of one


@pytest.mark.parametrize("pooling", POOLINGS)
def test_encoder_equals_sentences_run_one_by_one(pooling):
    """'last' takes the state at <eos>, 'max' the largest of the states; neither sees padding."""
    model = make(pooling=pooling)
    mu, logvar = model.encode(batch())
    for i, sentence in enumerate(SENTENCES):
        words = torch.tensor([sentence[1:]])  # without <bos>
        states, (final, _) = model.encoder_lstm(model.encoder_embedding(words))
        pooled = final[0] if pooling == "last" else states.max(dim=1).values
        torch.testing.assert_close(mu[i], model.to_mu(pooled)[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(logvar[i], model.to_logvar(pooled)[0], atol=1e-6, rtol=1e-5)


def test_poolings_differ():
    by_max, by_last = (make(pooling=pooling).encode(batch())[0] for pooling in POOLINGS)
    assert not torch.allclose(by_max, by_last, atol=1e-3)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_further_padding_changes_nothing(pooling):
    model = make(pooling=pooling)
    z = draw_z()
    for short, long in zip(model.encode(batch()), model.encode(batch(further=6)), strict=True):
        torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-5)
    for short, long in zip(model.decode(z, batch()), model.decode(z, batch(further=6)), strict=True):
        torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-5)
    short, long = model.log_likelihood(batch(), z), model.log_likelihood(batch(further=6), z)
    torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "Max", "", None])
def test_wrong_pooling_is_named(pooling):
    with pytest.raises(ValueError) as error:
        make(pooling=pooling)
    for words in ("pooling", "'max'", "'last'", repr(pooling)):
        assert words in str(error.value)


# ----------------------------------------------------------------------------------------------- reparameterization


def test_reparameterize_draws_from_the_posterior():
    mu, logvar = torch.tensor([[1.0, -2.0, 0.0]]), torch.tensor([[0.0, -3.0, 1.0]])
    n = 100_000
    z = LSTMVAE.reparameterize(mu.expand(n, -1), logvar.expand(n, -1), seeded(0))
    posterior = Normal(mu[0], (logvar[0] / 2).exp())
    five_errors = 5 * posterior.stddev / n**0.5
    assert ((z.mean(dim=0) - posterior.mean).abs() < five_errors).all()
    assert ((z.var(dim=0) / posterior.variance - 1).abs() < 5 * (2 / n) ** 0.5).all()
    off_diagonal = torch.corrcoef(z.T) - torch.eye(LATENT)
    assert off_diagonal.abs().max() < 5 / n**0.5


def test_reparameterize_lets_gradients_through():
    """z = mu + exp(logvar / 2) noise: dz/dmu = 1 and dz/dlogvar = (z - mu) / 2."""
    mu = torch.randn(4, LATENT, generator=seeded(0)).requires_grad_()
    logvar = torch.randn(4, LATENT, generator=seeded(1)).requires_grad_()
    z = LSTMVAE.reparameterize(mu, logvar, seeded(2))
    z.sum().backward()
    torch.testing.assert_close(mu.grad, torch.ones_like(mu))
    torch.testing.assert_close(logvar.grad, ((z - mu) / 2).detach())
    assert logvar.grad.abs().min() > 0


def test_every_parameter_learns():
    model = make().train()
    bce, kld = VAELoss("cross_entropy")(*model(batch(), seeded(0)))
    (bce + kld).backward()
    assert [name for name, parameter in model.named_parameters() if not parameter.grad.any()] == []


# ------------------------------------------------------------------------------------------------------------ decoder


def test_logits_and_targets_stand_in_the_order_of_the_text():
    model, z = make(), draw_z()
    logits, targets = model.decode(z, batch())
    assert targets.tolist() == [word for sentence in SENTENCES for word in sentence[1:]]
    per_token = F.cross_entropy(logits, targets, reduction="none")
    of_sentences = torch.stack([part.sum() for part in per_token.split([n - 1 for n in LENGTHS])])
    torch.testing.assert_close(model.log_likelihood(batch(), z), -of_sentences)
    bce, _ = VAELoss("cross_entropy")(logits, targets, z, z)
    torch.testing.assert_close(bce, of_sentences.mean())


def test_decoder_equals_an_lstm_cell_that_gets_z_at_every_step():
    model, z = make(), draw_z()
    cell = torch.nn.LSTMCell(model.decoder_lstm.input_size, model.decoder_lstm.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in model.decoder_lstm.state_dict().items()})
    expected = []
    for i, sentence in enumerate(SENTENCES):
        memory = model.z_to_state(z[i])
        state = memory.tanh()
        for word in sentence[:-1]:
            state, memory = cell(torch.cat([model.decoder_embedding.weight[word], z[i]]), (state, memory))
            expected.append(model.to_vocab(state))
    torch.testing.assert_close(model.decode(z, batch())[0], torch.stack(expected), atol=1e-5, rtol=1e-5)


def test_likelihoods_of_all_continuations_sum_to_one():
    model, z = make(), draw_z(1)
    prefix = model.log_likelihood(torch.tensor([[BOS, 5, 6]]), z)
    others = [word for word in range(VOCAB) if word != PAD]  # a target that is <pad> does not count
    with_one_more = torch.tensor([[BOS, 5, 6, word] for word in others])
    total = model.log_likelihood(with_one_more, z.expand(len(others), -1)).logsumexp(dim=0)
    p_pad = model.decode(z, torch.tensor([[BOS, 5, 6, 7]]))[0][-1].softmax(dim=0)[PAD]
    torch.testing.assert_close(total - prefix[0], torch.log1p(-p_pad))


def test_decoder_uses_z_from_the_first_word_on():
    model, x = make(), batch([SENTENCES[2]])
    one, _ = model.decode(draw_z(1, seed=1), x)
    other, _ = model.decode(draw_z(1, seed=2), x)
    assert ((one - other).abs().amax(dim=1) > 1e-3).all()


@pytest.mark.parametrize("position", range(1, 6))
def test_decoder_cannot_see_the_future(position):
    model, z = make(), draw_z(1)
    changed = list(SENTENCES[2])
    changed[position] = 15
    before, _ = model.decode(z, batch([SENTENCES[2]]))
    after, _ = model.decode(z, batch([changed]))
    same = (before == after).all(dim=1)
    # the logits at i predict token i + 1 from the tokens up to i
    assert same[:position].all() and not same[position:].any()


# --------------------------------------------------------------------------------------------------------- randomness


def test_initial_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    one = LSTMVAE(VOCAB, generator=seeded(7)).state_dict()
    torch.manual_seed(2)
    same = LSTMVAE(VOCAB, generator=seeded(7)).state_dict()
    other = LSTMVAE(VOCAB, generator=seeded(8)).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_training_noise_comes_from_the_generator_alone():
    model = make(word_dropout=0.3, dropout=0.3).train()
    torch.manual_seed(1)
    one = model(batch(), seeded(7))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    same = model(batch(), seeded(7))
    assert torch.equal(torch.get_rng_state(), before)
    other = model(batch(), seeded(8))
    assert torch.equal(one[0], same[0]) and not torch.equal(one[0], other[0])


@pytest.fixture
def seen(request):
    """Records what a module of a model gets: ``seen(module)`` returns the list of its inputs, one for each call."""

    def record(module):
        inputs = []
        handle = module.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].detach().clone()))
        request.addfinalizer(handle.remove)
        return inputs

    return record


def test_word_dropout_replaces_its_share_of_input_words_in_training(seen):
    model = make(word_dropout=0.3)
    read = seen(model.decoder_embedding)
    x = torch.randint(4, VOCAB, (300, 12), generator=seeded(0))
    x[:, 0], x[:, -1] = BOS, EOS
    _, targets, _, _ = model.train()(x, seeded(1))
    assert (read[0][:, 0] == BOS).all()  # never <bos>
    words, kept = read[0][:, 1:], x[:, 1:-1]
    dropped = words == UNK
    assert torch.equal(words[~dropped], kept[~dropped])  # the others are as they were
    assert dropped.double().mean().item() == pytest.approx(0.3, abs=5 * (0.3 * 0.7 / kept.numel()) ** 0.5)
    assert targets.tolist() == x[:, 1:].flatten().tolist()  # what is to be predicted is unchanged

    model.eval()(x, seeded(1))
    assert torch.equal(read[1], x[:, :-1])  # and nothing is dropped outside of training


def test_word_dropout_does_not_reach_the_encoder():
    model, x = make(word_dropout=0.9), batch()
    torch.testing.assert_close(model.train()(x, seeded(0))[2], model.eval()(x)[2])


def test_dropout_in_training_only(seen):
    model, z = make(dropout=0.4), draw_z(200)
    states = seen(model.to_vocab)
    x = batch([SENTENCES[2]] * 200)
    model.train().decode(z, x, seeded(0))
    zeros = (states[0] == 0).double().mean().item()
    assert zeros == pytest.approx(0.4, abs=5 * (0.4 * 0.6 / states[0].numel()) ** 0.5)
    model.eval()
    plain = make(dropout=0.0)
    torch.testing.assert_close(model.decode(z, x, seeded(0))[0], plain.decode(z, x)[0])


def test_dropout_keeps_the_mean_of_what_it_drops(seen):
    """Kept values are scaled by 1 / (1 - p), as in torch.nn.Dropout: evaluation needs no correction."""
    model, z = make(dropout=0.4), draw_z(1).expand(4000, -1)
    inputs, x = seen(model.decoder_lstm), batch([[BOS, EOS]] * 4000)
    model.train().decode(z, x, seeded(0))
    model.eval().decode(z, x)
    dropped, whole = (recorded[:, 0, : model.decoder_embedding.embedding_dim] for recorded in inputs)
    allowed = 5 * whole[0].abs() * (0.4 / 0.6 / 4000) ** 0.5
    assert ((dropped.mean(dim=0) - whole[0]).abs() < allowed).all()


# ----------------------------------------------------------------------------------------------------------- generate


def make_writer(eos=0.0):
    """A model that writes a variety of words, and that would love to write <pad> and <bos>."""
    model = make(scale=4.0)
    with torch.no_grad():
        model.decoder_embedding.weight.mul_(5)  # the word before counts for much
        model.to_mu.weight.mul_(5)  # and sentences are far apart
        model.to_vocab.bias.zero_()
        model.to_vocab.bias[[PAD, BOS]] += 100
        model.to_vocab.bias[EOS] += eos
    return model


def check_sentences(ids):
    """Each row is words, <eos>, then <pad> only; or words only, if there was no room for <eos>."""
    for row in ids.tolist():
        end = row.index(EOS) if EOS in row else len(row)
        assert not {PAD, BOS} & set(row[:end])
        assert set(row[end + 1 :]) <= {PAD}


@pytest.mark.parametrize("sample", [False, True])
def test_generate_ends_with_eos_then_padding(sample):
    ids = make_writer().generate(draw_z(100), sample=sample, generator=seeded(0), max_length=12)
    check_sentences(ids)
    ended = (ids == EOS).any(dim=1)
    assert ended.sum() > 10 and ids.shape[1] <= 12
    assert len({row.index(EOS) for row in ids[ended].tolist()}) > 1  # they ended at different places


def test_generate_stops_when_all_sentences_have_ended():
    assert make_writer(eos=100.0).generate(draw_z(5), max_length=40).tolist() == [[EOS]] * 5
    assert make_writer(eos=-100.0).generate(draw_z(5), max_length=7).shape == (5, 7)


def test_greedy_decoding_is_deterministic_and_leaves_the_generators_alone():
    model, before = make(), torch.get_rng_state()
    once = model.generate(draw_z())
    assert torch.equal(once, model.generate(draw_z()))
    assert torch.equal(torch.get_rng_state(), before)
    noisy = make(dropout=0.5, word_dropout=0.5).train()
    assert torch.equal(once, noisy.generate(draw_z()))  # no dropout in what is written, even in the midst of training


def test_greedy_words_are_the_most_likely_ones_of_decode():
    model, z = make_writer(), draw_z(50)
    ids = model.generate(z, max_length=10)
    x = torch.cat([torch.full((50, 1), BOS), ids], dim=1)
    logits, targets = model.decode(z, x)
    logits[:, [PAD, BOS]] = -torch.inf
    assert logits.argmax(dim=1).tolist() == targets.tolist()
    assert len(set(targets.tolist())) > 8  # the words are not all the same


def test_sampling_is_decided_by_its_generator():
    model = make()

    def sample(seed):
        return model.generate(draw_z(), sample=True, generator=seeded(seed), max_length=8)

    torch.manual_seed(0)
    one, before = sample(3), torch.get_rng_state()
    assert torch.equal(one, sample(3)) and torch.equal(torch.get_rng_state(), before)
    assert sample(4).tolist() != one.tolist()


def test_sampled_words_have_the_models_probabilities():
    model, n = make(), 20_000
    z = draw_z(1)
    words = model.generate(z.expand(n, -1), sample=True, generator=seeded(0), max_length=1)[:, 0]
    logits = model.decode(z, torch.tensor([[BOS, 5]]))[0][0]
    logits[[PAD, BOS]] = -torch.inf
    p = logits.softmax(dim=0)
    counts = torch.bincount(words, minlength=VOCAB)
    assert ((counts / n - p).abs() <= 5 * (p * (1 - p) / n).sqrt()).all()


def without_padding(ids):
    return [[word for word in row if word != PAD] for row in ids.tolist()]


def test_reconstruct_decodes_the_posterior_mean():
    model, x = make_writer(), batch()
    expected = model.generate(model.encode(x)[0], max_length=9)
    assert torch.equal(model.reconstruct(x, max_length=9), expected)
    assert model.reconstruct(x, max_length=4).shape[1] <= 4


def test_interpolation_runs_from_one_reconstruction_to_the_other():
    model = make_writer()
    first, second = torch.tensor(SENTENCES[0]), torch.tensor(SENTENCES[2])  # of different lengths
    ends = [without_padding(model.reconstruct(x[None]))[0] for x in (first, second)]
    steps = without_padding(model.interpolate(first, second, n=5))
    assert len(steps) == 5 and ends[0] != ends[1]
    assert [steps[0], steps[-1]] == ends
    middle = (model.encode(first[None])[0] + model.encode(second[None])[0]) / 2
    assert steps[2] == without_padding(model.generate(middle))[0]
    assert without_padding(model.interpolate(second, first, n=5)) == steps[::-1]
    assert without_padding(model.interpolate(first, first, n=3)) == [ends[0]] * 3


# -------------------------------------------------------------------------------------------------------- readability


def test_the_model_can_be_read_at_one_sitting():
    assert len(Path(inspect.getsourcefile(kldanneal.lab.model)).read_text(encoding="utf-8").splitlines()) <= 250
