"""The LSTM VAE for sentences, after Bowman et al. (2016).

    encoder   x -> embedding -> LSTM -> its states, pooled -> mu, logvar                      q(z|x)
    z         mu + exp(logvar / 2) * noise                                                    reparameterization
    decoder   z is the initial state and part of every input; LSTM -> logits of the next word  p(x|z)

The decoder also sees the words before the one it predicts. That second path, from the words and not from z, is what
causes posterior collapse (KL vanishing). Word dropout weakens it. Annealing lets the path through z develop first.

Shapes: B sentences, T tokens, E embedding, H hidden, L latent, V words. A sentence is <bos> word ... word <eos>.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kldanneal import _checks
from kldanneal.lab.corpora.corpus import BOS, EOS, PAD, UNK

POOLINGS = ("max", "last")


class LSTMVAE(nn.Module):
    """A VAE of sentences with an LSTM on both sides and a diagonal Gaussian in between.

    Args:
        vocab_size (int): V, the special tokens included.
        embedding (int): E, the size of a word vector. Default: 64.
        hidden (int): H, the size of both LSTMs' states. Default: 64.
        latent (int): L, the dimensions of z. Default: 8.
        pooling (str): how the encoder's states become one vector: ``'max'`` over time (Long et al. 2019), or
            ``'last'``, the state after the last token. Default: ``'max'``.
        word_dropout (float): the share of the decoder's input words that become <unk> in training. Default: 0.0.
        dropout (float): dropout on the decoder's inputs and states in training. Default: 0.0.
        generator (torch.Generator, optional): draws the initial weights.

    Shape:
        - forward: x (B, T) -> logits (tokens, V), targets (tokens,), mu (B, L), logvar (B, L), where tokens counts
          what is to be predicted in the batch, padding left out. They go straight into
          ``VAELoss('cross_entropy')``.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        embedding: int = 64,
        hidden: int = 64,
        latent: int = 8,
        pooling: str = "max",
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.pooling = _checks.one_of("pooling", pooling, POOLINGS)
        self.word_dropout, self.dropout = word_dropout, dropout
        self.encoder_embedding = nn.Embedding(vocab_size, embedding)
        self.encoder_lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.to_mu = nn.Linear(hidden, latent)
        self.to_logvar = nn.Linear(hidden, latent)
        self.z_to_state = nn.Linear(latent, hidden)
        self.decoder_embedding = nn.Embedding(vocab_size, embedding)
        self.decoder_lstm = nn.LSTM(embedding + latent, hidden, batch_first=True)
        self.to_vocab = nn.Linear(hidden, vocab_size)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Uniform in +-1/sqrt(H), biases too, as torch does it for an LSTM; embeddings normal with deviation 0.1."""
        bound = self.to_mu.in_features**-0.5
        for name, parameter in self.named_parameters():
            if "embedding" in name:
                nn.init.normal_(parameter, std=0.1, generator=generator)
            else:
                nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar, generator)
        logits, targets = self.decode(z, x, generator)
        return logits, targets, mu, logvar

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z|x) = N(mu, exp(logvar)) of sentences x (B, T): mu (B, L) and logvar (B, L)."""
        words = x[:, 1:]  # (B, T-1) without <bos>
        states, _ = self.encoder_lstm(self.encoder_embedding(words))  # (B, T-1, H)
        padding = (words == PAD).unsqueeze(2)  # (B, T-1, 1)
        if self.pooling == "max":
            pooled = states.masked_fill(padding, -torch.inf).amax(dim=1)  # (B, H)
        else:
            last = (~padding).sum(dim=1, keepdim=True) - 1  # (B, 1, 1), the position of <eos>
            pooled = states.gather(1, last.expand(-1, 1, states.shape[2])).squeeze(1)  # (B, H)
        return self.to_mu(pooled), self.to_logvar(pooled)

    @staticmethod
    def reparameterize(mu: Tensor, logvar: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A sample z (B, L) of N(mu, exp(logvar)) through which gradients reach mu and logvar."""
        noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + torch.exp(logvar / 2) * noise

    def decode(self, z: Tensor, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Logits (tokens, V) of each next token of x (B, T) given z (B, L) and the true words before, and the targets.

        Only the positions that hold a token are projected onto the vocabulary, which is most of the work.
        """
        inputs, targets = x[:, :-1], x[:, 1:]  # (B, T-1) each: <bos> word ... and word ... <eos>
        states, _ = self.decoder_lstm(self._decoder_inputs(inputs, z, generator), self._initial_state(z))  # (B, T-1, H)
        real = targets != PAD  # (B, T-1)
        states = self._drop(states[real], generator)  # (tokens, H)
        return self.to_vocab(states), targets[real]

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) of each sentence, (B,), in nats."""
        logits, targets = self.decode(z, x)
        log_p = x.new_zeros(x[:, 1:].shape, dtype=logits.dtype)  # (B, T-1)
        log_p[x[:, 1:] != PAD] = -F.cross_entropy(logits, targets, reduction="none")
        return log_p.sum(dim=1)

    @torch.no_grad()
    def generate(
        self, z: Tensor, *, max_length: int = 40, sample: bool = False, generator: torch.Generator | None = None
    ) -> Tensor:
        """Sentences decoded from z (B, L), word by word: (B, at most max_length), <pad> after <eos>.

        Each word is the most likely one (greedy), or drawn from p(word | words before, z) with ``sample=True``.
        """
        state = self._initial_state(z)
        word = torch.full((len(z), 1), BOS, device=z.device)  # (B, 1)
        ended = torch.zeros(len(z), 1, dtype=torch.bool, device=z.device)
        words = []
        for _ in range(max_length):
            output, state = self.decoder_lstm(self._with_z(self.decoder_embedding(word), z), state)  # (B, 1, H)
            logits = self.to_vocab(output[:, 0])  # (B, V)
            logits[:, [PAD, BOS]] = -torch.inf
            if sample:
                word = logits.softmax(dim=1).multinomial(1, generator=generator)  # (B, 1)
            else:
                word = logits.argmax(dim=1, keepdim=True)  # (B, 1)
            word = word.masked_fill(ended, PAD)
            ended |= word == EOS
            words.append(word)
            if ended.all():
                break
        return torch.cat(words, dim=1)

    def reconstruct(self, x: Tensor, max_length: int = 40) -> Tensor:
        """What the decoder writes from the posterior mean of x (B, T), greedily."""
        return self.generate(self.encode(x)[0], max_length=max_length)

    def interpolate(self, x_from: Tensor, x_to: Tensor, n: int = 7, max_length: int = 40) -> Tensor:
        """n sentences on the straight line between the posterior means of two sentences (T,): (n, time)."""
        mu_from, mu_to = self.encode(x_from[None])[0], self.encode(x_to[None])[0]  # (1, L)
        share = torch.linspace(0, 1, n, device=mu_from.device)[:, None]  # (n, 1)
        return self.generate(torch.lerp(mu_from, mu_to, share), max_length=max_length)

    def _initial_state(self, z: Tensor) -> tuple[Tensor, Tensor]:
        cell = self.z_to_state(z)[None]  # (1, B, H)
        return cell.tanh(), cell

    def _decoder_inputs(self, inputs: Tensor, z: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.training and self.word_dropout:
            dropped = torch.rand(inputs.shape, generator=generator, device=inputs.device) < self.word_dropout
            inputs = inputs.masked_fill(dropped & (inputs != BOS), UNK)
        return self._with_z(self._drop(self.decoder_embedding(inputs), generator), z)

    @staticmethod
    def _with_z(embedded: Tensor, z: Tensor) -> Tensor:
        return torch.cat([embedded, z[:, None].expand(-1, embedded.shape[1], -1)], dim=2)  # (B, T, E+L)

    def _drop(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        if not (self.training and self.dropout):
            return values
        kept = torch.rand(values.shape, generator=generator, device=values.device) >= self.dropout
        return values * kept / (1 - self.dropout)
