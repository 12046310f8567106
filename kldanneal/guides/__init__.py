"""Pages of documentation whose examples run as tests.

elsewhere             how other libraries write their KL schedules, and the same in Annealer
from_vae_annealing    for those who come from hubertrybka/vae-annealing
"""
