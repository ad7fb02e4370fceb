"""The columns that tables share, by the key of the score."""

from experiments.results import Column

FID = Column("fid", "FID (digit features)", 2)
KID = Column("kid", "KID (digit features)", 2)
ACCURACY = Column("accuracy", "Prompt accuracy, %", 1, factor=100)
DIVERSITY = Column("diversity", "Diversity (digit features)", 2)
SPREAD = Column("spread", "All-pairs diversity (digit features)", 2)
NEAREST = Column("nearest", "Nearest training picture (held-out = 1)", 2)
EXPERT = Column("expert_evaluations", "Expert evaluations a sample", 0, counted=True)
ROUTER = Column("router_evaluations", "Router evaluations a sample", 0, counted=True)
