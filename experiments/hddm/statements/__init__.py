"""Every empirical statement of HDDM, as a hypothesis on the rows of our tables."""

from experiments.hddm.statements.conversion import CONVERSION
from experiments.hddm.statements.mixtures import MIXTURES
from experiments.hddm.statements.routing import ROUTING
from experiments.hddm.statements.switching import SWITCHING

STATEMENTS = (*ROUTING, *CONVERSION, *SWITCHING, *MIXTURES)
