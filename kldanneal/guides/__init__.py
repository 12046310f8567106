"""Pages of documentation whose examples run as tests.

training_loops        where the lines go: PyTorch, Lightning, transformers, Accelerate, DDP, torch.compile
vae_in_lightning      a script: a VAE for images under Lightning, from the data to the report on its posteriors
elsewhere             how other libraries write their KL schedules, and the same in Annealer
from_vae_annealing    for those who come from hubertrybka/vae-annealing
"""
