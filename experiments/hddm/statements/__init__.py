"""Every empirical statement of HDDM and Paris 2.0, as a hypothesis on the rows of our tables."""

from experiments.hddm.statements.conversion import CONVERSION
from experiments.hddm.statements.mixtures import MIXTURES
from experiments.hddm.statements.routing import ROUTING
from experiments.hddm.statements.switching import SWITCHING
from experiments.paris2.statements import VIDEO

CLAIMS = (*ROUTING, *CONVERSION, *SWITCHING, *MIXTURES, *VIDEO)
