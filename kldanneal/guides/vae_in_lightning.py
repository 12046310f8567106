"""A VAE for small images, trained with Lightning and the callback. It ends with a report on its posteriors.

    python -m kldanneal.guides.vae_in_lightning        # needs lightning: pip install "kldanneal[lightning]"

Each image of 12 x 12 pixels shows one bright blob. Its position, two numbers, is all that z can tell about an image.
"""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from kldanneal import Annealer, VAELoss
from kldanneal.diagnostics import Posteriors, Report
from kldanneal.integrations.lightning import AnnealerCallback


def blobs(n: int, seed: int) -> Tensor:
    place = 2 + 8 * torch.rand(n, 2, 1, generator=torch.Generator().manual_seed(seed))
    y, x = (-(torch.arange(12.0) - place).square() / 4).exp().unbind(dim=1)
    return y[:, :, None] * x[:, None, :]


class BlobVAE(pl.LightningModule):
    def __init__(self, updates: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 2 * 4))
        self.decoder = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 144), nn.Unflatten(1, (12, 12)))
        self.criterion = VAELoss("bce_with_logits")
        self.annealer = Annealer(total_steps=updates // 2)  # the weight is 1 for the second half of the run

    def training_step(self, batch: tuple[Tensor]) -> Tensor:
        (x0,) = batch
        mu, logvar = self.encoder(x0).chunk(2, dim=1)
        x = self.decoder(mu + torch.exp(logvar / 2) * torch.randn_like(mu))
        bce, kld = self.criterion(x, x0, mu, logvar)
        return bce + self.annealer(kld)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main(updates: int = 800, **options: Any) -> Report:
    pl.seed_everything(0, verbose=False)
    model, images = BlobVAE(updates), TensorDataset(blobs(2000, seed=0))
    trainer = pl.Trainer(max_steps=updates, callbacks=[AnnealerCallback()], **options)
    trainer.fit(model, DataLoader(images, batch_size=50, shuffle=True))

    x0, posteriors, reconstruction = blobs(1000, seed=1), Posteriors(), VAELoss("bce_with_logits", reduction="none")
    with torch.no_grad():
        mu, logvar = model.encoder(x0).chunk(2, dim=1)
        posteriors.add(mu, logvar)
        return posteriors.report(lambda z, i: reconstruction(model.decoder(z), x0[i], mu[i], logvar[i])[0])


if __name__ == "__main__":
    print(main(accelerator="cpu", logger=False, enable_checkpointing=False))
