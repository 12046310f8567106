"""A practitioner's VAE of handwritten digits: VAELoss and Annealer in three lines, and a resume from a checkpoint.

Needs torch, scikit-learn and kldanneal without an extra. Writes checkpoint.pt where it runs.
"""

import torch
from sklearn.datasets import load_digits

from kldanneal import Annealer, VAELoss

EPOCHS, BATCH = 12, 64


class DigitVAE(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2 * 8))
        self.decoder = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64))

    def forward(self, x0):
        mu, logvar = self.encoder(x0).chunk(2, dim=1)
        z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)
        return torch.sigmoid(self.decoder(z)), mu, logvar


class Run:
    def __init__(self, data):
        torch.manual_seed(0)
        self.data = data
        self.model = DigitVAE()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=3e-3)
        self.criterion, self.annealer = VAELoss(), Annealer(total_steps=EPOCHS * len(data) // BATCH // 2)  # line 1
        self.epoch, self.history = 0, []

    def train(self, epochs):
        for _ in range(epochs):
            sums = torch.zeros(2)
            for x0 in self.data[torch.randperm(len(self.data))].split(BATCH):
                x, mu, logvar = self.model(x0)
                bce, kld = self.criterion(x, x0, mu, logvar)
                loss = bce + self.annealer(kld)  # line 2
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.annealer.step()  # line 3
                sums += torch.stack([bce, kld]).detach() * len(x0)
            self.epoch += 1
            self.history.append([*(sums / len(self.data)).tolist(), self.annealer.weight])
        return self

    def save(self, path):
        state = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "annealer")}
        torch.save({**state, "epoch": self.epoch, "history": self.history, "random": torch.get_rng_state()}, path)

    def load(self, path):
        saved = torch.load(path)  # plain data and tensors: torch's safe loading takes it
        for name in ("model", "optimizer", "annealer"):
            getattr(self, name).load_state_dict(saved[name])
        self.epoch, self.history = saved["epoch"], saved["history"]
        torch.set_rng_state(saved["random"])
        return self


def main():
    data = torch.tensor(load_digits().data / 16, dtype=torch.float32)
    whole = Run(data).train(EPOCHS)
    for epoch, (bce, kld, weight) in enumerate(whole.history, start=1):
        print(f"epoch {epoch:2}  reconstruction {bce:6.2f}  KL {kld:6.2f}  -ELBO {bce + kld:6.2f}  weight {weight:.2f}")

    Run(data).train(EPOCHS // 3).save("checkpoint.pt")  # inside the ramp
    halted = Run(data).load("checkpoint.pt")
    assert 0 < halted.annealer.weight < 1
    resumed = halted.train(EPOCHS - halted.epoch)

    weights = [weight for _, _, weight in whole.history]
    assert weights == sorted(weights) and weights[0] < weights[-1] == 1
    (bce, kld, _), (last_bce, last_kld, _) = whole.history[0], whole.history[-1]
    assert last_bce + last_kld < bce + kld - 2  # nats per digit
    assert last_kld > 1  # the code is in use
    assert resumed.history == whole.history
    states = zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)
    assert resumed.annealer == whole.annealer
    print("resumed equals uninterrupted, bit for bit")


if __name__ == "__main__":
    main()
