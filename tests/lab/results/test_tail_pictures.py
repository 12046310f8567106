"""The figures of the runs with a tail show all of the stored runs."""

from kldanneal.lab.results import tail_pictures


def test_no_kl_is_above_its_panel():
    for axes in tail_pictures.plot_over_distance().axes:
        bottom, top = axes.get_ylim()
        highest = max(line.get_ydata().max() for line in axes.lines)
        assert bottom == 0 and 0 < highest <= top
