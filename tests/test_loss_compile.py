"""VAELoss in compiled, exported, vectorised code and under autocast, against the same loss computed eagerly."""

import pytest
import torch
import torch.nn.functional as F
from test_loss import BATCH, RECONSTRUCTIONS, example, torch_is_at_least, with_gradients
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from kldanneal import Annealer, VAELoss

pytestmark = pytest.mark.skipif(not torch_is_at_least(2, 4), reason="older torch: validate=False to compile the loss")

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
OUT_OF_RANGE = (torch.zeros(1, 1), torch.full((1, 1), 2.0), torch.zeros(1, 1), torch.zeros(1, 1))  # a target of 2
OPTIONS = [(reconstruction,) for reconstruction in RECONSTRUCTIONS]
OPTIONS += [("cross_entropy", "mean"), ("cross_entropy", "none"), ("bce", "none")]


def gradients(losses, inputs):
    return torch.autograd.grad(sum(loss.sum() for loss in losses), inputs)


@pytest.fixture(autouse=True)
def nothing_compiled_before():
    torch._dynamo.reset()


@pytest.mark.parametrize("arguments", OPTIONS, ids=str)
def test_compiled_as_one_graph_the_loss_and_its_gradients_are_the_same(arguments):
    x, x0, mu, logvar = example(arguments[0])
    x, mu, logvar = with_gradients(x, mu, logvar)
    criterion = VAELoss(*arguments)
    compiled = torch.compile(criterion, backend="eager", fullgraph=True)(x, x0, mu, logvar)
    eager = criterion(x, x0, mu, logvar)
    torch.testing.assert_close(compiled, eager)
    torch.testing.assert_close(gradients(compiled, [x, mu, logvar]), gradients(eager, [x, mu, logvar]))


def test_variance_and_free_bits_compile():
    criterion, batch = VAELoss("mse", variance=2.0, free_bits=0.5), example("mse")
    compiled = torch.compile(criterion, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*batch), criterion(*batch))


def test_one_graph_and_no_recompilation_while_the_weight_changes():
    """The advice of VAELoss: compile model and loss, and keep the annealer outside."""
    graphs = []

    def counting(graph, _):
        graphs.append(graph)
        return graph.forward

    def train(compiler):
        generator = torch.Generator().manual_seed(0)
        encoder, decoder = torch.nn.Linear(6, 4), torch.nn.Linear(2, 6)
        weights = [*encoder.parameters(), *decoder.parameters()]
        with torch.no_grad():
            for weight in weights:
                weight.copy_(torch.randn(weight.shape, generator=generator) / 4)
        criterion, annealer = VAELoss("bce_with_logits"), Annealer(20)
        optimizer, data = torch.optim.SGD(weights, lr=0.1), (torch.rand(8, 6, generator=generator) > 0.5).float()

        def terms(x0, noise):
            mu, logvar = encoder(x0).chunk(2, dim=1)
            return criterion(decoder(mu + noise * (logvar / 2).exp()), x0, mu, logvar)

        terms, losses, kl_weights = compiler(terms), [], set()
        for _ in range(24):
            optimizer.zero_grad()
            bce, kld = terms(data, torch.randn(8, 2, generator=generator))
            kl_weights.add(annealer.weight)
            loss = bce + annealer(kld)
            loss.backward()
            optimizer.step()
            annealer.step()
            losses.append(loss.detach())
        assert len(kl_weights) == 21
        return torch.stack(losses)

    compiled = train(lambda terms: torch.compile(terms, backend=counting, fullgraph=True))
    assert len(graphs) == 1
    torch.testing.assert_close(compiled, train(lambda terms: terms))


@pytest.mark.parametrize("arguments", OPTIONS, ids=str)
def test_exported_it_takes_any_batch_size(arguments):
    criterion, batch = VAELoss(*arguments), example(arguments[0])
    size = torch.export.Dim("batch")
    exported = torch.export.export(criterion, batch, dynamic_shapes=({0: size},) * 4, strict=False).module()
    for examples in (BATCH, BATCH - 1):
        part = [tensor[:examples] for tensor in batch]
        torch.testing.assert_close(exported(*part), criterion(*part))


@pytest.mark.parametrize("arguments", OPTIONS, ids=str)
def test_gradients_of_each_example_by_vmap(arguments):
    x, x0, mu, logvar = example(arguments[0])
    criterion = VAELoss(*arguments)

    def loss(x, mu, logvar, x0):
        return sum(term.sum() for term in criterion(x[None], x0[None], mu[None], logvar[None]))

    found = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1, 2)))(x, mu, logvar, x0)
    for b in range(BATCH):
        one = with_gradients(x[b], mu[b], logvar[b])
        expected = torch.autograd.grad(loss(*one, x0[b]), one)
        torch.testing.assert_close(tuple(gradient[b] for gradient in found), expected)


def test_values_are_not_checked_where_code_is_traced():
    criterion = VAELoss("bce_with_logits")
    with pytest.raises(ValueError, match="targets x0"):
        criterion(*OUT_OF_RANGE)
    expected = VAELoss("bce_with_logits", validate=False)(*OUT_OF_RANGE)
    compiled = torch.compile(criterion, backend="eager", fullgraph=True)
    traced = make_fx(criterion)(*OUT_OF_RANGE)
    exported = torch.export.export(criterion, OUT_OF_RANGE, strict=False).module()
    for function in (compiled, traced, exported):
        torch.testing.assert_close(tuple(function(*OUT_OF_RANGE)), expected)
    rows = tuple(tensor[None] for tensor in OUT_OF_RANGE)
    torch.testing.assert_close(torch.func.vmap(criterion)(*rows), tuple(term[None] for term in expected))
    with pytest.raises(ValueError, match="targets x0"):
        criterion(*OUT_OF_RANGE)  # in eager code they still are


@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_tensors_without_data_give_losses_without_data(reconstruction):
    bce, kld = VAELoss(reconstruction)(*(tensor.to("meta") for tensor in example(reconstruction)))
    assert (bce.device.type, bce.shape, kld.device.type, kld.shape) == ("meta", (), "meta", ())


# -------------------------------------------------------------------------------------------------------- autocast


@pytest.fixture
def cuda_autocast():
    """CUDA autocast, also where there is no GPU; torch.autocast would turn itself off."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.float16)
    yield
    torch.set_autocast_enabled("cuda", before[0])
    torch.set_autocast_dtype("cuda", before[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_cuda_autocast_by_tensors_without_data(reconstruction, dtype, cuda_autocast):
    batch = example(reconstruction, dtype)
    with FakeTensorMode():
        batch = [torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda") for tensor in batch]
        with pytest.raises(RuntimeError, match="unsafe to autocast"):
            F.binary_cross_entropy(batch[2], batch[2])  # autocast is on, and refuses it
        losses = VAELoss(reconstruction)(*batch)
    assert [(loss.dtype, loss.shape, loss.device.type) for loss in losses] == [(torch.float32, (), "cuda")] * 2
    assert torch.is_autocast_enabled("cuda")  # the caller's setting is back


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_under_autocast_the_loss_has_the_digits_of_float32(reconstruction, device, compiled):
    batch = [tensor.to(device) for tensor in example(reconstruction, torch.bfloat16)]
    x, x0, mu, logvar = batch
    x, mu, logvar = with_gradients(x, mu, logvar)
    criterion = VAELoss(reconstruction)
    function = torch.compile(criterion, backend="eager", fullgraph=True) if compiled else criterion
    with torch.autocast(device, dtype=torch.bfloat16):
        losses = function(x, x0, mu, logvar)
    exact = with_gradients(*(tensor.detach().double() for tensor in (x, mu, logvar)))  # the same numbers
    target = x0.double() if x0.is_floating_point() else x0
    expected = criterion(exact[0], target, *exact[1:])
    for loss, reference in zip(losses, expected, strict=True):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss.double(), reference, rtol=1e-6, atol=0)
    for found, reference in zip(gradients(losses, [x, mu, logvar]), gradients(expected, exact), strict=True):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), reference, rtol=2**-8, atol=1e-6)
