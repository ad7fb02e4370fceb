"""Every empirical statement of HDDM and Paris 2.0, as a hypothesis on the rows of our tables."""

from experiments.statements.conversion import CONVERSION
from experiments.statements.mixtures import MIXTURES
from experiments.statements.routing import ROUTING
from experiments.statements.switching import SWITCHING
from experiments.statements.video import VIDEO

CLAIMS = (*ROUTING, *CONVERSION, *SWITCHING, *MIXTURES, *VIDEO)
