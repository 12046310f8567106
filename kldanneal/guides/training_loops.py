"""Training loops: where the lines of this package go, in PyTorch, Lightning, transformers and Accelerate.

The model and the data of all examples:

    >>> import torch
    >>> from kldanneal import Annealer, VAELoss

    >>> class DigitVAE(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.encoder, self.decoder = torch.nn.Linear(64, 2 * 4), torch.nn.Linear(4, 64)
    ...
    ...     def forward(self, x0):
    ...         mu, logvar = self.encoder(x0).chunk(2, dim=1)
    ...         z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)
    ...         return torch.sigmoid(self.decoder(z)), mu, logvar

    >>> model, criterion = DigitVAE(), VAELoss()
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> dataloader = [torch.rand(16, 64) for _ in range(6)]        # yours

Three rules hold everywhere:

- Use the weight, then step: ``annealer.step()`` comes after ``optimizer.step()``, once for each optimizer update.
- The annealer is a small Python object. It has no tensors, so it needs no device, but it belongs into the checkpoint.
- Compare models, select them and stop early by -ELBO at weight 1, ``bce + kld``. The annealed loss of a batch is
  lowest where the weight is low, at the start of each ramp.


Epochs, and cycles that are switched off and on
-----------------------------------------------

``total_steps`` counts calls of ``step()``, so it may count epochs as well. Here are cycles of 10 epochs, switched off
at epoch 30 and on again at epoch 70. Off, the ramp that is under way completes and the weight stays at 1. On again,
the next ``step()`` starts a cycle.

    >>> annealing_agent = Annealer(total_steps=10, shape='linear', cyclical=True)
    >>> weights = []
    >>> for epoch in range(100):
    ...     if epoch == 30:
    ...         annealing_agent.cyclical_setter(False)
    ...     if epoch == 70:
    ...         annealing_agent.cyclical_setter(True)
    ...     for x0 in dataloader:
    ...         x, mu, logvar = model(x0)
    ...         bce, kld = criterion(x, x0, mu, logvar)
    ...         kld = annealing_agent(kld)
    ...         optimizer.zero_grad()
    ...         (bce + kld).backward()
    ...         optimizer.step()
    ...     weights.append(annealing_agent.weight)
    ...     annealing_agent.step()

    >>> weights[28:32], weights[39:42], weights[69:73]
    ([0.8, 0.9, 0.0, 0.1], [0.9, 1.0, 1.0], [1.0, 1.0, 0.0, 0.1])

The counter of a cycle becomes 0 as it reaches ``total_steps``. With the default ``ratio=1`` the last weight of a cycle
is therefore just below 1. With ``ratio=0.5`` (Fu et al. 2019) the ramp takes half of each cycle, and then the weight
is 1.


Save and resume
---------------

The annealer has a ``state_dict``, like the model and the optimizer. It is plain data.

    >>> import io
    >>> annealer, file = Annealer(total_steps=10), io.BytesIO()
    >>> for _ in range(4):
    ...     annealer.step()
    >>> parts = {'model': model, 'optimizer': optimizer, 'annealer': annealer}
    >>> torch.save({name: part.state_dict() for name, part in parts.items()}, file)

    >>> parts['annealer'] = Annealer(total_steps=10)                # in another process, made as before
    >>> _ = file.seek(0)
    >>> checkpoint = torch.load(file, weights_only=True)
    >>> for name, part in parts.items():
    ...     _ = part.load_state_dict(checkpoint[name])
    >>> parts['annealer'].weight
    0.4

If you save the number of updates anyway, ``annealer.weight_at(update)`` needs no state of its own:

    >>> annealer.weight_at(4)
    0.4


Lightning
---------

:class:`kldanneal.integrations.lightning.AnnealerCallback` steps the annealer, saves it, and logs the weight. It works
for ``lightning`` and for ``pytorch_lightning``. :mod:`kldanneal.guides.vae_in_lightning` is a whole script.

    >>> import pytorch_lightning as pl                              # or: import lightning.pytorch as pl
    >>> from kldanneal.integrations.lightning import AnnealerCallback

    >>> class LitDigitVAE(pl.LightningModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.vae, self.criterion, self.annealer = DigitVAE(), VAELoss(), Annealer(total_steps=12)
    ...
    ...     def training_step(self, x0):
    ...         x, mu, logvar = self.vae(x0)
    ...         bce, kld = self.criterion(x, x0, mu, logvar)
    ...         return bce + self.annealer(kld)
    ...
    ...     def validation_step(self, x0):
    ...         x, mu, logvar = self.vae(x0)
    ...         bce, kld = self.criterion(x, x0, mu, logvar)
    ...         self.log('val_-elbo', bce + kld)                    # at weight 1: monitor this
    ...
    ...     def configure_optimizers(self):
    ...         return torch.optim.Adam(self.parameters())

    >>> quiet = dict(accelerator='cpu', logger=False, enable_checkpointing=False,
    ...              enable_progress_bar=False, enable_model_summary=False)
    >>> digits = torch.utils.data.DataLoader(torch.rand(96, 64), batch_size=16)
    >>> trainer = pl.Trainer(max_epochs=2, callbacks=[AnnealerCallback()], **quiet)
    >>> trainer.fit(LitDigitVAE(), digits)
    >>> trainer.callback_metrics['kl_weight']                      # of the last of 12 updates
    tensor(0.9167)

If your LightningModule calls ``annealer.step()`` in a hook, remove that call: the callback does it. A call in
``on_train_batch_end`` counts batches where gradients are accumulated, and a checkpoint that is written inside an epoch
then holds the step before.


transformers
------------

The model returns its loss, so the annealer is an attribute of the model. In evaluation the loss is -ELBO at weight 1.
``return_loss`` is the argument by which the Trainer knows that the model computes a loss without labels.

    >>> import tempfile
    >>> from transformers import Trainer, TrainingArguments
    >>> from kldanneal.integrations.transformers import AnnealerCallback

    >>> class DigitVAEWithLoss(DigitVAE):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.criterion, self.annealer = VAELoss(), Annealer(total_steps=12)
    ...
    ...     def forward(self, x0, return_loss=True):
    ...         x, mu, logvar = super().forward(x0)
    ...         bce, kld = self.criterion(x, x0, mu, logvar)
    ...         return {'loss': bce + (self.annealer(kld) if self.training else kld)}

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trainer = Trainer(
    ...         DigitVAEWithLoss(),
    ...         TrainingArguments(folder, num_train_epochs=2, per_device_train_batch_size=16, logging_steps=6,
    ...                           report_to=[], disable_tqdm=True, use_cpu=True, save_strategy='no'),
    ...         train_dataset=[{'x0': x0} for x0 in torch.rand(96, 64)],
    ...         callbacks=[AnnealerCallback()],
    ...     )
    ...     _ = trainer.train()                                     # doctest: +ELLIPSIS
    {'loss': ..., 'kl_weight': '0.4167'...}
    {'loss': ..., 'kl_weight': '0.9167'...}
    {'train_runtime': ...}


Accelerate
----------

Register the annealer for checkpointing, and step where the gradients are complete. This loop is right with gradient
accumulation, several processes and mixed precision: an update that the gradient scaler skips lowers its scale.

    >>> from accelerate import Accelerator
    >>> accelerator = Accelerator(gradient_accumulation_steps=2, cpu=True)
    >>> annealer = Annealer(total_steps=6)
    >>> digits = torch.utils.data.DataLoader(torch.rand(96, 64), batch_size=16)
    >>> model = DigitVAE()
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> model, optimizer, digits = accelerator.prepare(model, optimizer, digits)
    >>> accelerator.register_for_checkpointing(annealer)            # save_state() and load_state() include it

    >>> def scale():
    ...     return accelerator.scaler.get_scale() if accelerator.scaler else 0.0

    >>> for epoch in range(2):
    ...     for x0 in digits:
    ...         with accelerator.accumulate(model):
    ...             x, mu, logvar = model(x0)
    ...             bce, kld = criterion(x, x0, mu, logvar)
    ...             accelerator.backward(bce + annealer(kld))
    ...             before = scale()
    ...             optimizer.step()
    ...             optimizer.zero_grad()
    ...             if accelerator.sync_gradients and scale() >= before:
    ...                 annealer.step()

    >>> annealer.weight                                             # 12 batches, 6 updates
    1.0

Most optimizers need no scale: ``not accelerator.optimizer_step_was_skipped`` says the same. But fused optimizers skip
by themselves, and Accelerate does not see it.


DistributedDataParallel
-----------------------

Nothing is special: every process has its own annealer, makes the same number of updates, and so has the same weight.
Save the state in one process, and load it in all of them. DDP averages the gradients over the processes. With batches
of equal size this is the gradient of the whole batch, because :class:`kldanneal.VAELoss` averages over the batch too.

    >>> def train(rank, world_size, file):
    ...     torch.distributed.init_process_group('gloo', f'file://{file}', rank=rank, world_size=world_size)
    ...     model = torch.nn.parallel.DistributedDataParallel(DigitVAE())
    ...     optimizer = torch.optim.Adam(model.parameters())
    ...     annealer = Annealer(total_steps=4)
    ...     for x0 in torch.rand(4, 32, 64).chunk(world_size, dim=1)[rank]:
    ...         x, mu, logvar = model(x0)
    ...         bce, kld = criterion(x, x0, mu, logvar)
    ...         optimizer.zero_grad()
    ...         (bce + annealer(kld)).backward()
    ...         optimizer.step()
    ...         annealer.step()
    ...     trained = model.module
    ...     del model                                               # first what uses the group, or a process may hang
    ...     torch.distributed.destroy_process_group()
    ...     return trained, annealer.weight

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model, weight = train(0, 1, f'{folder}/rendezvous')     # torchrun starts one process for each rank
    >>> weight
    1.0


torch.compile
-------------

Compile the model and the loss. Keep the annealer outside: its weight is a new Python number at each update, and each
new number would compile the function again.

    >>> @torch.compile(fullgraph=True, backend='eager')             # backend: for this page; leave it out
    ... def terms(x0):
    ...     x, mu, logvar = model(x0)
    ...     return criterion(x, x0, mu, logvar)

    >>> annealer, optimizer = Annealer(total_steps=6), torch.optim.Adam(model.parameters())
    >>> for x0 in dataloader:
    ...     bce, kld = terms(x0)
    ...     optimizer.zero_grad()
    ...     (bce + annealer(kld)).backward()
    ...     optimizer.step()
    ...     annealer.step()
    >>> torch.compiler.reset()                                      # for this page, too

If the whole step must be one function, pass the weight in as a tensor: ``step(x0, torch.tensor(annealer.weight))``.
"""
