"""A setting names every part of the field that it makes."""

from experiments.stages.setting import Setting
from modules.alignment import SameTime
from modules.ensemble import CaptionKept, Uniform
from modules.guard import Guard
from modules.schedules import Cosine
from modules.selection import Top


def test_a_setting_hands_on_what_it_says():
    """kills: a router told a dropped caption unasked, or not where asked; a part left out."""
    router, guard = Uniform(2), Guard(t_max=0.9)
    for kept in (False, True):
        setting = Setting(3, 2.0, Cosine(), SameTime(), guard, null_by_caption=kept)
        field = setting.ensemble([], router, Top(1))
        assert field.router == (CaptionKept(router) if kept else router)
        parts = (field.path, field.alignment, field.guard, field.selection)
        assert parts == (Cosine(), SameTime(), guard, Top(1))
