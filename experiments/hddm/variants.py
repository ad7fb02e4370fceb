"""What HDDM varies, by the names that its tables' rows have: mixes, routers, strategies."""

from modules.denoising import (
    DDPMExpert,
    DenoisingExpert,
    FlowMatchingExpert,
    VExpert,
    X0Expert,
)
from modules.selection import Full, Selection, Top

OBJECTIVES: dict[str, type[DenoisingExpert]] = {
    "fm": FlowMatchingExpert,
    "ddpm": DDPMExpert,
    "x0": X0Expert,
    "v": VExpert,
}
"""What an expert predicts, by the names that commands take."""
DDPM_CLUSTERS = (0, 3)
"""Those of 2DDPM:6FM (§3.1); which is the one of 1DDPM:7FM the paper does not say."""
HOMOGENEOUS, HETEROGENEOUS = "8FM", "2DDPM:6FM"
MIXES: dict[str, dict[int, type[DenoisingExpert]]] = {
    HOMOGENEOUS: {},
    "1DDPM:7FM": dict.fromkeys(DDPM_CLUSTERS[:1], DDPMExpert),
    HETEROGENEOUS: dict.fromkeys(DDPM_CLUSTERS, DDPMExpert),
}
"""The clusters whose experts are not FM's."""
ROUTERS = {"text-free": False, "text-aware": True}
"""Whether it reads text. The paper's does not."""
STRATEGIES: dict[str, Selection] = {"Top-1": Top(1), "Top-2": Top(2), "Full": Full()}
"""Those of Table 1."""
