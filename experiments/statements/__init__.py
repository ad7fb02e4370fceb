"""Every empirical statement of HDDM, as a hypothesis on the rows of our tables."""

from experiments.statements.conversion import CONVERSION
from experiments.statements.mixtures import MIXTURES
from experiments.statements.routing import ROUTING
from experiments.statements.switching import SWITCHING

CLAIMS = (*ROUTING, *CONVERSION, *SWITCHING, *MIXTURES)
